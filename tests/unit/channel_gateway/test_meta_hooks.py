"""What is read of webhooks of Meta whose forms differ by product."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.channel_gateway.clients.channels.meta_rules import failure_reason
from services.channel_gateway.convert.heard import stored_events
from services.channel_gateway.domain import meta_hooks
from services.channel_gateway.domain.callbacks import Callback, callback_text
from services.channel_gateway.domain.heard import (
    ITEMS_MAX,
    BodyFaultError,
    Left,
    Limited,
    MessageReceipt,
    MessageTaken,
    Moved,
    Preference,
    PreferenceSource,
    Wrote,
)
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
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


NOBODYS_NUMBER = "US.13491208655302741918"


def _whatsapp(**value: object) -> bytes:
    entry = {"id": "2", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


@pytest.mark.rule("C-20b")
def test_who_shows_no_number_on_whatsapp_is_known_by_what_the_business_knows_them_by() -> None:
    message = {"from_user_id": NOBODYS_NUMBER, "id": "wamid.1", "timestamp": "1527492624", "type": "text"}
    wants = {
        "user_id": NOBODYS_NUMBER,
        "category": "marketing_messages",
        "value": "stop",
        "timestamp": 1527492624,
    }
    failed = {"id": "wamid.2", "status": "failed", "timestamp": "1527492624", "errors": [{"code": 131049}]}
    body = _whatsapp(
        contacts=[{"profile": {"name": "Mei"}, "user_id": NOBODYS_NUMBER}],
        messages=[
            message,
            {**message, "from_user_id": "US.a b"},
            {**message, "from_user_id": "13491208655302741918"},
        ],
        statuses=[{**failed, "recipient_user_id": NOBODYS_NUMBER}],
        user_preferences=[wants],
    )
    _, items = meta_hooks.read_meta(body)
    assert [bool(item.fault) for item in items] == [False, True, True, False, False]
    wrote, limited, preference = (item.heard[0] for item in items if item.heard)
    assert isinstance(wrote, Wrote)
    assert (wrote.external_id, wrote.name) == (NOBODYS_NUMBER, "Mei")
    assert limited == Limited(NOBODYS_NUMBER, AT)
    assert isinstance(preference, Preference)
    assert preference.external_id == NOBODYS_NUMBER


@pytest.mark.rule("C-03d")
@pytest.mark.parametrize(("code", "left"), [(131026, 1), (131053, 0)])
def test_who_has_no_whatsapp_is_gone_also_where_that_is_told_after_the_answer(code: int, left: int) -> None:
    status = {"id": "wamid.1", "status": "failed", "timestamp": "1527492624", "errors": [{"code": code}]}
    person = {"recipient_id": "886912000001"}
    others = [{**status, "status": "sent", **person}, status, {**status, **person, "id": "a b"}]
    _, items = meta_hooks.read_meta(_whatsapp(statuses=[{**status, **person}, *others]))
    assert [each for item in items for each in item.heard if isinstance(each, Left)] == [
        Left("886912000001", AT, "wamid.1.failed")
    ] * left


@pytest.mark.rule("J-26b")
def test_a_time_that_lies_too_far_ahead_is_that_of_receipt_whatever_is_told_of() -> None:
    """Else nothing that comes later would be the last of its kind, for years."""
    ahead = {"timestamp": str(int(AT.timestamp()) + 10**9)}
    number = {"recipient_id": "886912000001", "id": "wamid.1"}
    ours = callback_text(Callback(UUID(int=1), UUID(int=2), 0))
    body = _whatsapp(
        messages=[
            {"from": "886912000001", "id": "wamid.2", "type": "text", "text": {"body": "STOP"}, **ahead}
        ],
        statuses=[
            {"status": "sent", "biz_opaque_callback_data": ours, **number, **ahead},
            {
                "status": "failed",
                "errors": [{"code": 131026}, {"code": 131049}, {"code": 131050}],
                **number,
                **ahead,
            },
        ],
        user_preferences=[
            {
                "wa_id": "886912000001",
                "category": "marketing_messages",
                "value": "stop",
                "timestamp": ahead["timestamp"],
            }
        ],
    )
    webhook = StoredWebhook(1, UUID(int=3), InboxSource.META, str(UUID(int=4)), "w", body, AT)
    heard = stored_events(webhook, timedelta(minutes=5)).heard
    assert len(heard) == 9
    times = {each.sent_at if isinstance(each, MessageTaken) else each.at for each in heard}  # type: ignore[union-attr]
    assert times == {AT}


OLD, NEW = "886912000001", "886912000002"
OLD_ID, NEW_ID = "TW.1", "TW.2"


def _notice(sender: dict[str, object], **system: object) -> bytes:
    notice = {"id": "wamid.1", "timestamp": "1527492624", "type": "system", "system": system, **sender}
    return _whatsapp(messages=[notice])


@pytest.mark.rule("C-20b")
@pytest.mark.parametrize(
    ("body", "moved"),
    [
        (_notice({"from": OLD}, type="user_changed_number", wa_id=NEW), [(OLD, NEW)]),
        (_notice({"from": f"+{OLD}"}, type="user_changed_number", new_wa_id=NEW), [(OLD, NEW)]),
        (_notice({}, type="customer_changed_number", customer=OLD, wa_id=NEW), [(OLD, NEW)]),
        (
            _notice(
                {"from": OLD},
                type="user_changed_number",
                wa_id=NEW,
                user_id=NEW_ID,
                previous_user_id=OLD_ID,
            ),
            [(OLD, NEW), (OLD_ID, NEW_ID)],
        ),
        (
            _notice({}, type="user_changed_user_id", user_id=NEW_ID, previous_user_id=OLD_ID),
            [(OLD_ID, NEW_ID)],
        ),
        (
            _notice({"from_user_id": OLD_ID}, type="user_changed_user_id", user_id=NEW_ID),
            [(OLD_ID, NEW_ID)],
        ),
        (
            _whatsapp(
                user_id_update=[
                    {"user_id": {"previous": OLD_ID, "current": NEW_ID}, "timestamp": "1527492624"}
                ]
            ),
            [(OLD_ID, NEW_ID)],
        ),
        (_notice({"from": OLD}, type="user_changed_number", wa_id=OLD), []),
        (_notice({"from": OLD}, type="customer_identity_changed", identity="x", wa_id=OLD), []),
        (_notice({"from": OLD}, type="something_new", wa_id=NEW), []),
    ],
)
def test_who_changes_their_number_or_gets_another_id_is_known_by_it(
    body: bytes, moved: list[tuple[str, str]]
) -> None:
    _, [item] = meta_hooks.read_meta(body)
    assert not item.fault
    found = [each for each in item.heard if isinstance(each, Moved)]
    assert [(each.external_id, each.moved_to) for each in found] == moved
    assert {each.at for each in found} <= {AT}
    assert len({each.key for each in found}) == len(moved)


@pytest.mark.parametrize(
    "body",
    [
        _notice({"from": OLD}, type="user_changed_number"),
        _notice({}, type="user_changed_number", wa_id=NEW),
        _notice({"from": OLD}, type="user_changed_number", wa_id="Mei"),
        _notice({"from": OLD}, type="user_changed_user_id", user_id="TW 2", previous_user_id=OLD_ID),
        _whatsapp(user_id_update=[{"user_id": {"current": NEW_ID}, "timestamp": "1527492624"}]),
    ],
)
def test_a_change_that_does_not_say_who_it_is_is_set_aside_with_that(body: bytes) -> None:
    _, [item] = meta_hooks.read_meta(body)
    assert item.heard == ()
    assert "does not say" in item.fault


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize(
    "odd",
    [
        {"errors": [{"code": "131026", "title": None}]},
        {"errors": [{"code": 131026, "error_data": None}], "recipient_user_id": None},
        {"errors": [{"code": 131026}], "recipient_id": 886912000001, "timestamp": "1527492624000"},
        {"errors": [None, {"code": 131026.0}], "biz_opaque_callback_data": None, "conversation": None},
    ],
)
def test_null_is_not_said_and_a_number_may_be_written_as_a_text(odd: dict[str, object]) -> None:
    status = {
        "id": "wamid.1",
        "status": "failed",
        "timestamp": 1527492624,
        "recipient_id": "886912000001",
        **odd,
    }
    value = {"metadata": {"phone_number_id": 1}, "contacts": None, "statuses": [status]}
    entry = {"id": 2, "changes": [{"field": "messages", "value": value}]}
    _, [item] = meta_hooks.read_meta(
        json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    )
    assert item.fault == ""
    assert [each.external_id for each in item.heard if isinstance(each, Left)] == ["886912000001"]


@pytest.mark.rule("C-20d")
def test_what_has_no_form_at_all_is_still_set_aside() -> None:
    odds: tuple[object, ...] = (7, "x", {"errors": "many"}, {"status": {}})
    for odd in odds:
        status = odd if not isinstance(odd, dict) else {"id": "wamid.1", "status": "failed", **odd}
        entry = {"id": "2", "changes": [{"field": "messages", "value": {"statuses": [status]}}]}
        body = {"object": "whatsapp_business_account", "entry": [entry]}
        _, [item] = meta_hooks.read_meta(json.dumps(body).encode())
        assert item.fault


@pytest.mark.rule("C-20b", "S-08a")
@pytest.mark.parametrize(("said", "wanted"), [("STOP_NOTIFICATIONS", False), ("RESUME_NOTIFICATIONS", True)])
def test_who_stops_notifications_on_messenger_wants_no_messages(said: str, wanted: bool) -> None:
    optin = {"type": "notification_messages", "notification_messages_status": said}
    event = {"sender": {"id": 501}, "timestamp": 1527492624000, "optin": optin}
    body = {"object": "page", "entry": [{"id": "7", "messaging": [event]}]}
    _, [item] = meta_hooks.read_meta(json.dumps(body).encode())
    assert item.heard == (Preference("501", AT, wanted, PreferenceSource.CHANNEL),)
