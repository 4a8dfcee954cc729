"""What is read of webhooks of Meta whose forms differ by product."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.channel_gateway.clients.channels.meta_rules import failure_reason
from services.channel_gateway.domain import meta_hooks
from services.channel_gateway.domain.callbacks import Callback, callback_text
from services.channel_gateway.domain.heard import (
    ITEMS_MAX,
    BodyFaultError,
    MessageReceipt,
    MessageTaken,
    Preference,
    Wrote,
)
from services.channel_gateway.domain.model import Channel

AT = datetime(2018, 5, 28, 7, 30, 24, tzinfo=UTC)


def _instagram(**change: object) -> bytes:
    return json.dumps({"object": "instagram", "entry": [{"id": "77", "changes": [change]}]}).encode()


@pytest.mark.rule("C-20b")
@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("messages", {"message": {"mid": "m_1", "text": "hi"}}),
        ("messaging_postbacks", {"postback": {"mid": "m_1", "payload": "x"}}),
        ("messaging_referral", {"referral": {"ref": "j7"}}),
    ],
)
@pytest.mark.parametrize("timestamp", ["1527492624", 1527492624000, "1527492624000"])
def test_changes_of_instagram_tell_what_messaging_does(
    field: str, what: dict[str, object], timestamp: object
) -> None:
    value = {"sender": {"id": "501"}, "recipient": {"id": "77"}, "timestamp": timestamp, **what}
    channel, [item] = meta_hooks.read_meta(_instagram(field=field, value=value))
    [wrote] = item.heard
    assert isinstance(wrote, Wrote)
    assert (channel, wrote.external_id, wrote.at) == (Channel.INSTAGRAM, "501", AT)


def test_what_holds_no_event_takes_room_as_one_does() -> None:
    empty = {"object": "page", "entry": [{"id": "77"}]}
    assert [share.event_count for share in meta_hooks.shares(json.dumps(empty).encode()).values()] == [1]
    many = {"object": "page", "entry": [{}] * (ITEMS_MAX + 1)}
    with pytest.raises(BodyFaultError):
        meta_hooks.shares(json.dumps(many).encode())


@pytest.mark.parametrize("part", ["message_template_name", "message_template_language"])
def test_a_template_whose_name_is_none_is_refused_by_itself(part: str) -> None:
    """A name that no table takes would hold up what came with it."""
    named = {"message_template_name": "hello", "message_template_language": "en", "event": "PAUSED"}
    changes = [
        {"field": "message_template_status_update", "value": value}
        for value in (named, named | {part: "a\x00b"}, named | {part: ""})
    ]
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "2", "time": 1527492624, "changes": changes}],
    }
    _, items = meta_hooks.read_meta(json.dumps(body).encode())
    assert [bool(item.heard) for item in items] == [True, False, False]
    assert [bool(item.fault) for item in items] == [False, True, True]


@pytest.mark.rule("C-04b")
def test_whatever_whatsapp_tells_of_a_message_says_that_it_has_it() -> None:
    team, key = UUID(int=1), UUID(int=2)
    status = {"id": "wamid.1", "timestamp": "1527492624", "recipient_id": "886912000001"}
    ours = {**status, "biz_opaque_callback_data": callback_text(Callback(team, key, 1))}
    told = [{**ours, "status": each} for each in ("sent", "delivered", "read", "failed", "warning")]
    value = {"statuses": [*told, {**status, "status": "sent"}, {**ours, "status": "sent", "id": "a b"}]}
    body = {
        "object": "whatsapp_business_account",
        "entry": [{"id": "2", "changes": [{"field": "messages", "value": value}]}],
    }
    _, items = meta_hooks.read_meta(json.dumps(body).encode())
    taken = [[each for each in item.heard if isinstance(each, MessageTaken)] for item in items]
    has_it = MessageTaken(key, 1, "wamid.1", "886912000001", AT)
    failed = MessageTaken(key, 1, "wamid.1")
    assert taken == [[has_it]] * 3 + [[failed], [], [], [has_it._replace(message_id="")]]


def test_a_message_that_failed_says_why() -> None:
    key = UUID(int=2)
    status = {"id": "wamid.1", "timestamp": "1527492624", "status": "failed"}
    status["biz_opaque_callback_data"] = callback_text(Callback(UUID(int=1), key, 0))
    value = {"statuses": [status, {**status, "errors": [{"code": 131026}, {"code": 1}]}]}
    entry = {"id": "2", "changes": [{"field": "messages", "value": value}]}
    _, items = meta_hooks.read_meta(
        json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    )
    told = [each for item in items for each in item.heard if isinstance(each, MessageReceipt)]
    assert [each.code for each in told] == [0, 131026]
    assert (failure_reason(131026), failure_reason(4), failure_reason(-7)) == (
        "UNDELIVERABLE",
        "WHATSAPP_4",
        "WHATSAPP_-7",
    )


@pytest.mark.rule("C-04b")
@pytest.mark.parametrize(("metadata", "count"), [("00" * 16 + ":" + "0" * 31 + "2:0", 1), ("j7", 0), ("", 0)])
def test_an_echo_says_which_message_of_ours_it_is(metadata: str, count: int) -> None:
    message = {"mid": "m_1", "is_echo": True, "metadata": metadata}
    event = {
        "sender": {"id": "77"},
        "recipient": {"id": "501"},
        "timestamp": 1527492624000,
        "message": message,
    }
    body = {"object": "page", "entry": [{"id": "77", "messaging": [event]}]}
    _, [item] = meta_hooks.read_meta(json.dumps(body).encode())
    assert item.heard == (MessageTaken(UUID(int=2), 0, "m_1"),) * count


@pytest.mark.parametrize("written", ["886912345678", "+886912345678", "00886912345678"])
def test_who_writes_on_whatsapp_has_one_spelling(written: str) -> None:
    message = {"from": written, "id": "wamid.1", "timestamp": "1527492624", "type": "text"}
    wants = {"wa_id": written, "category": "marketing_messages", "value": "stop", "timestamp": 1527492624}
    value = {"messages": [message], "user_preferences": [wants]}
    change = {"field": "messages", "value": value}
    body = {"object": "whatsapp_business_account", "entry": [{"id": "2", "changes": [change]}]}
    _, items = meta_hooks.read_meta(json.dumps(body).encode())
    heard = [each for item in items for each in item.heard]
    assert [each.external_id for each in heard if isinstance(each, Wrote | Preference)] == [
        "886912345678"
    ] * 2
