"""Ids of shops, orders and refunds as people and programs copy them: what looks alike is one order (C-21a)."""

from __future__ import annotations

import pytest

from libs.common.ids import new_id
from omnijourney.segment.v1 import event_pb2
from services.segment.convert.events import read_event
from services.segment.domain import model
from services.segment.domain.results import EventResult

TEAM = str(new_id())


def read(kind: str, **body: object) -> model.OrderCompleted | model.OrderRefunded | EventResult:
    """The body of a report, or its refusal."""
    message = event_pb2.CustomerEvent(team_id=TEAM, event_key="key")
    message.occur_time.seconds = 1_790_000_000
    getattr(message, kind).CopyFrom(type(getattr(message, kind))(**body))
    event = read_event(message, {}).event
    if isinstance(event, EventResult):
        return event
    assert isinstance(event.body, model.OrderCompleted | model.OrderRefunded)
    return event.body


@pytest.mark.rule("C-21a")
@pytest.mark.parametrize("written", ["A1", " A1 ", "A1\u200b", "\ufeffA1", "A1\u00a0"])
def test_an_id_is_kept_as_it_is_seen(written: str) -> None:
    money = {"currency_code": "TWD", "amount_micros": 1}
    order = read("order_completed", shop_id="s", order_id=written, cart_id=written, amount=money)
    assert isinstance(order, model.OrderCompleted)
    assert (order.order_id, order.cart_id) == ("A1", "A1")
    refund = read("order_refunded", shop_id="s", refund_id=written, order_id=written, amount=money)
    left = read("order_updated", shop_id="s", order_id=written, left_amount=money)
    for each in (refund, left):
        assert isinstance(each, model.OrderRefunded)
        assert each.order_id == "A1"
    assert isinstance(refund, model.OrderRefunded)
    assert refund.refund_id == "A1"
    assert isinstance(left, model.OrderRefunded)
    assert left.refund_id.startswith("A1:left:")


def test_letters_of_another_case_are_another_id() -> None:
    money = {"currency_code": "TWD", "amount_micros": 1}
    order = read("order_completed", shop_id="s", order_id="a1", amount=money)
    assert isinstance(order, model.OrderCompleted)
    assert order.order_id == "a1"


@pytest.mark.parametrize("written", ["", " ", "\u200b", "\u3164\u2800"])
def test_an_id_of_which_nothing_is_seen_is_none(written: str) -> None:
    result = read("order_completed", shop_id="s", order_id=written, amount={"currency_code": "TWD"})
    assert isinstance(result, EventResult)
    assert "order_completed.order_id is required" in result.message
