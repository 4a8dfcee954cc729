"""One odd thing in a webhook that somebody signed costs what it stands in, and nothing beside it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channel_gateway.convert.heard import stored_events
from services.channel_gateway.domain.heard import BodyFaultError
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
from services.channel_gateway.domain.json_items import without_depths
from services.channel_gateway.domain.line_hooks import line_events
from services.channel_gateway.domain.meta_hooks import shares

NOW: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNT: Final = str(UUID(int=7))
AT_MS: Final = 1_772_000_000_000
GONE: Final = object()
"""In the place of a value: the field is not there."""
DEEP: Final = b'{"a":[' * 600 + b"1" + b"]}" * 600
RAW: Final = [
    DEEP,
    b"[" * 1_000 + b"]" * 1_000,
    b'"\\ud800"',
    b'"a\\udc00b"',
    b'"a\\u0000b"',
    b'"\xff\xfe"',
    b"9" * 400,
    b"9223372036854775808",
    b"-9223372036854775809",
    b"1e400",
    b"253402300799999",
    b"-62135596800000",
    b'"253402300799"',
    b'{"id":1,"id":"2"}',
    b'"' + b"x" * 50_000 + b'"',
]
"""As it stands in the body."""
VALUES: Final = [
    GONE,
    None,
    True,
    0,
    -1,
    1.5,
    "",
    "x",
    "\u202e",
    "２０２６",
    [],
    {},
    [None],
    [[]],
    {"id": None},
    "unknown",
]
FOLLOWS: Final = {"type": "follow", "timestamp": AT_MS, "source": {"type": "user", "userId": "U" + "1" * 32}}
LINE: Final = {
    "destination": "U" + "0" * 32,
    "events": [
        {
            **FOLLOWS,
            "type": "message",
            "webhookEventId": "1",
            "message": {"id": "1", "type": "text", "text": "hi"},
        },
        {**FOLLOWS, "type": "postback", "webhookEventId": "2", "postback": {"data": "x"}},
        {**FOLLOWS, "webhookEventId": "GOOD"},
    ],
}
WROTE: Final = {"from": "886912000001", "timestamp": "1772000000", "type": "text", "text": {"body": "hi"}}
NUMBERS: Final = {
    "messages": [
        {**WROTE, "id": "wamid.1", "context": {"id": "wamid.0"}},
        {
            **WROTE,
            "id": "wamid.2",
            "type": "system",
            "system": {"type": "user_changed_number", "wa_id": "886912000002"},
        },
        {**WROTE, "id": "wamid.GOOD"},
    ],
    "contacts": [{"profile": {"name": "Mei"}, "wa_id": "886912000001"}],
    "statuses": [
        {"id": "wamid.9", "status": "failed", "timestamp": "1772000000", "errors": [{"code": 131026}]}
    ],
    "user_preferences": [
        {
            "wa_id": "886912000001",
            "category": "marketing_messages",
            "value": "stop",
            "timestamp": 1772000000,
        }
    ],
    "metadata": {"phone_number_id": "100"},
}
TALK: Final = {"sender": {"id": "501"}, "recipient": {"id": "7"}, "timestamp": AT_MS}
TALKS: Final = [
    {**TALK, "message": {"mid": "m1", "text": "hi", "quick_reply": {"payload": "a"}}},
    {**TALK, "postback": {"mid": "m2", "title": "t", "payload": "p"}},
    {**TALK, "delivery": {"mids": ["m5"], "watermark": AT_MS}},
    {**TALK, "read": {"watermark": AT_MS}},
    {**TALK, "policy_enforcement": {"action": "block", "reason": "x"}},
    {**TALK, "message": {"mid": "GOOD", "text": "good"}},
]
CHANGES: Final = [{"field": "x", "value": {}}, {"field": "messages", "value": NUMBERS}]
BODIES: Final[dict[str, Any]] = {
    "line": LINE,
    "whatsapp": {
        "object": "whatsapp_business_account",
        "entry": [{"id": "9", "time": 1, "changes": CHANGES}],
    },
    "messenger": {
        "object": "page",
        "entry": [{"id": "7", "time": AT_MS, "messaging": TALKS, "changes": [], "standby": []}],
    },
    "instagram": {
        "object": "instagram",
        "entry": [{"id": "7", "time": AT_MS, "messaging": TALKS, "changes": []}],
    },
}
Place = tuple[str | int, ...]


def places(value: Any, place: Place = ()) -> list[Place]:
    """Everything within a body."""
    found = [place]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += places(each, (*place, key))
    return found


def holds_good(body: Any, place: Place) -> bool:
    """Whether the one event that must be read stands there, or cannot be told without what stands there."""
    for key in place:
        body = body[key]
    needed = {"events", "entry", "object", "field", "metadata", "phone_number_id"}
    names_account = place[-1:] == ("id",) and len(place) == 3
    return "GOOD" in json.dumps(body) or bool(needed & set(place[-1:])) or names_account


def is_within_good(body: Any, place: Place) -> bool:
    """Whether it is a part of that event."""
    for key in place:
        body = body[key]
        if isinstance(body, dict) and "GOOD" in json.dumps(
            [each for each in body.values() if isinstance(each, str)]
        ):
            return True
        if isinstance(body, dict) and body.get("message", {}).get("mid") == "GOOD":
            return True
    return False


ODD: Final = {
    name: [
        place
        for place in places(body)
        if place and not holds_good(body, place) and not is_within_good(body, place)
    ]
    for name, body in BODIES.items()
}


def with_odd(body: Any, place: Place, odd: Any) -> bytes:
    """The body with something else in one place."""
    changed = json.loads(json.dumps(body))
    around = changed
    for key in place[:-1]:
        around = around[key]
    if odd is GONE:
        del around[place[-1]]
    else:
        around[place[-1]] = "@odd@" if isinstance(odd, bytes) else odd
    written = json.dumps(changed).encode()
    return written.replace(b'"@odd@"', odd) if isinstance(odd, bytes) else written


@pytest.mark.rule("C-20d")
@pytest.mark.parametrize("name", BODIES)
@given(st.data())
def test_one_odd_thing_costs_nothing_beside_it(name: str, data: st.DataObject) -> None:
    place, odd = data.draw(st.sampled_from(ODD[name])), data.draw(st.sampled_from([*VALUES, *RAW]))
    body = with_odd(BODIES[name], place, odd)
    source = InboxSource.LINE if name == "line" else InboxSource.META
    bodies = [body] if name == "line" else [share.body for share in shares(body).values()]
    keys: list[str] = []
    for each in bodies:
        webhook = StoredWebhook(1, UUID(int=1), source, ACCOUNT, "w", each, NOW)
        read = stored_events(webhook, timedelta(minutes=5))
        assert not read.fault
        assert all(event.SerializeToString() for event in read.events)
        keys += [event.event_key for event in read.events]
    assert any("GOOD" in key for key in keys)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("odd", RAW)
def test_a_field_that_nobody_knows_may_hold_anything(name: str, odd: bytes) -> None:
    body = json.loads(json.dumps(BODIES[name]))
    around = body["events"] if name == "line" else body["entry"]
    around[0]["unknown"] = "@odd@"
    written = json.dumps(body).encode().replace(b'"@odd@"', odd)
    if name == "line":
        assert len(line_events(written)) == 3
    else:
        assert not any(sender.is_nobody for sender in shares(written))


trees = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=20,
)


def cut(tree: Any, most: int) -> Any:
    """What the function is to leave."""
    if not isinstance(tree, list | dict):
        return tree
    if most == 0:
        return None
    if isinstance(tree, list):
        return [cut(each, most - 1) for each in tree]
    return {key: cut(each, most - 1) for key, each in tree.items()}


@given(trees, st.integers(0, 5), st.booleans())
def test_what_lies_too_deep_is_nothing(tree: Any, most: int, ascii_only: bool) -> None:
    body = json.dumps(tree, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert json.loads(without_depths(body, most)) == cut(tree, most)


@pytest.mark.parametrize("body", [b"]", b"[", b'["', b"[[]", b"}{", b"[" * 300_000, b""])
def test_what_is_no_json_stays_as_it_is(body: bytes) -> None:
    assert without_depths(body, 5) == body
    with pytest.raises(BodyFaultError):
        line_events(body)
