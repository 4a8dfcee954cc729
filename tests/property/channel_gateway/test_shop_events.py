"""Any body is taken or refused item by item, with the field named; and segment takes whatever the edge takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.ids import new_id
from services.channel_gateway.convert.events import customer_events
from services.channel_gateway.domain.inbox import InboxSource, StoredWebhook
from services.channel_gateway.domain.shop_events import EventFaultError, ShopReport, parse
from services.segment.convert.events import read_event
from services.segment.domain.model import Event

texts = (
    st.text(max_size=8)
    | st.text(st.characters(max_codepoint=0x20), max_size=3)
    | st.text(min_size=195, max_size=330)
)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
    | st.sampled_from(
        ["0912-345-678", "+886912345678", "a@b", "-1", "1e3", "0.000001", "9999999999999", "1000000000000.1"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
GOOD: dict[str, Any] = {
    "event": "order.completed",
    "event_id": "e1",
    "occurred_at": "2026-03-02T11:59:00Z",
    "customer": {
        "member_id": "42",
        "phone": "0912345678",
        "email": "a@b.c",
        "name": "Mei",
        "browser_token": "t",
    },
    "order": {
        "id": "o1",
        "number": "7",
        "currency": "USD",
        "total": "1.00",
        "items": [{"name": "a", "quantity": 1, "unit_price": "1", "sku": "s", "product_id": "p"}],
        "test": False,
    },
    "refund": {"id": "r1", "amount": "1.00"},
    "attribution": {"click_id": "c"},
}
PATHS = [
    *((field,) for field in GOOD),
    *(("order", field) for field in GOOD["order"]),
    *(("order", "items", 0, field) for field in GOOD["order"]["items"][0]),
    *(("customer", field) for field in GOOD["customer"]),
    ("refund", "id"),
    ("refund", "amount"),
    ("attribution", "click_id"),
]


def with_value(kind: str, path: tuple[Any, ...], value: object) -> dict[str, Any]:
    """A good event of a kind with one value at a path."""
    event: dict[str, Any] = json.loads(json.dumps(GOOD | {"event": kind}))
    inner: Any = event
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return event


def reports_of(body: bytes) -> list[ShopReport]:
    """The reports of a body; none where it is refused as a whole."""
    try:
        return parse(body)[0]
    except EventFaultError:
        return []


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    for report in reports_of(body):
        assert report.event is not None or (report.fault and report.fault.message and report.fault.remedy)


kinds = st.sampled_from(["order.completed", "order.refunded"])


@given(kinds, st.sampled_from(PATHS), json_values)
def test_any_value_in_any_field_is_taken_or_refused_by_name(
    kind: str, path: tuple[Any, ...], value: object
) -> None:
    (report,) = reports_of(json.dumps(with_value(kind, path, value)).encode())
    if report.event is None:
        assert report.fault is not None
        assert report.fault.field.split(".")[0].split("[")[0] == path[0]
    named = [left_out.field for left_out in report.left_out]
    assert path[0] in {"customer", "attribution"} or path[-1] == "name" or not named


@pytest.mark.rule("C-20c")
@given(kinds, st.lists(st.tuples(st.sampled_from(PATHS), json_values), min_size=1, max_size=4))
def test_segment_takes_whatever_the_edge_takes(
    kind: str, changes: list[tuple[tuple[Any, ...], object]]
) -> None:
    body = json.dumps([with_value(kind, path, value) for path, value in changes]).encode()
    taken = [report for report in reports_of(body) if report.event is not None]
    now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    webhook = StoredWebhook(1, new_id(), InboxSource.SHOP, "s" * 64, "w", body, now)
    converted = customer_events(webhook, timedelta(minutes=5))
    assert len(converted.events) == len(taken)
    for event in converted.events:
        read, _ = read_event(event, {event.team_id: "TW"})
        assert isinstance(read, Event), read


@given(st.lists(kinds, min_size=1, max_size=20))
def test_lists_keep_their_order(events: list[str]) -> None:
    body = json.dumps([GOOD | {"event": kind, "event_id": str(number)} for number, kind in enumerate(events)])
    reports, is_list = parse(body.encode())
    assert is_list
    assert [report.event and report.event.event for report in reports] == events
