"""Any body is either taken with every field in its form, or refused with the field named."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from libs.common.money import parse_micros
from services.channel_gateway.domain.shop_events import EventFaultError, parse

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
GOOD = {
    "event": "order.completed",
    "event_id": "e1",
    "occurred_at": "2026-03-02T11:59:00Z",
    "customer": {"member_id": "42"},
    "order": {"id": "o1", "currency": "USD", "total": "1.00", "items": [{"name": "a", "quantity": 1}]},
    "refund": {"id": "r1", "amount": "1.00"},
}


def fault_of(body: bytes) -> EventFaultError | None:
    """The fault of a body, if it has one."""
    try:
        parse(body)
    except EventFaultError as fault:
        return fault
    return None


@given(st.binary(max_size=200))
def test_any_bytes_are_taken_or_refused(body: bytes) -> None:
    fault = fault_of(body)
    assert fault is None or (fault.message and fault.remedy)


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_any_value_in_any_field_is_taken_or_refused_by_name(field: str, value: object) -> None:
    body = json.dumps(GOOD | {field: value}).encode()
    fault = fault_of(body)
    if fault is None:
        (event,), _ = parse(body)
        parse_micros(event.order.total or "0")
    else:
        assert fault.field.split(".")[0].split("[")[0] == field


@given(st.lists(st.sampled_from(["order.completed", "order.refunded"]), min_size=1, max_size=20))
def test_lists_keep_their_order(kinds: list[str]) -> None:
    events = [GOOD | {"event": kind, "event_id": str(number)} for number, kind in enumerate(kinds)]
    parsed, is_list = parse(json.dumps(events).encode())
    assert is_list
    assert [event.event for event in parsed] == kinds
