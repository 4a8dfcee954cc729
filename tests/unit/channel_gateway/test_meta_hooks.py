"""What is read of webhooks of Meta whose forms differ by product."""

import json
from datetime import UTC, datetime

import pytest

from services.channel_gateway.domain import meta_hooks
from services.channel_gateway.domain.heard import ITEMS_MAX, BodyFaultError, Wrote
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
