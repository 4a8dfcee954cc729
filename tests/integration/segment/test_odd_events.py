"""Events that no honest client sends: each is answered by itself, beside a good one that is recorded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from omnijourney.common.v1 import history_pb2
from omnijourney.internal.v1 import change_pb2
from omnijourney.segment.v1 import event_pb2
from tests.integration.segment.conftest import Segment

ACCEPTED = event_pb2.EVENT_STATUS_ACCEPTED
REFUSED = event_pb2.EVENT_STATUS_REFUSED
WHO = {"member_id": "42"}


def _set(path: str, value: Any) -> Callable[[event_pb2.CustomerEvent], None]:
    """Sets one field of an event, however deep."""

    def apply(event: event_pb2.CustomerEvent) -> None:
        *way, last = path.split(".")
        message: Any = event
        for name in way:
            message = getattr(message, name)
            message = message.add() if hasattr(message, "add") else message
        if isinstance(value, Timestamp):
            getattr(message, last).CopyFrom(value)
        else:
            setattr(message, last, value)

    return apply


ODD: dict[str, Callable[[event_pb2.CustomerEvent], None]] = {
    "the driver's -infinity": _set("occur_time", Timestamp(seconds=-62_135_596_800)),
    "the driver's infinity": _set("occur_time", Timestamp(seconds=253_402_300_799, nanos=999_999_999)),
    "before 1970": _set("occur_time", Timestamp(seconds=-1)),
    "no time of any calendar": _set("occur_time", Timestamp(seconds=2**63 - 1)),
    "negative nanoseconds": _set("occur_time", Timestamp(nanos=-1)),
    "NUL in the key": _set("event_key", "a\0b"),
    "NUL in the member": _set("customer.member_id", "a\0b"),
    "NUL in the name": _set("customer_name", "a\0b"),
    "NUL in the shop": _set("order_completed.shop_id", "a\0b"),
    "NUL in a line": _set("order_completed.items.name", "a\0b"),
    "NUL in a quantity": _set("order_completed.items.quantity", "1\0"),
    "NUL in a product": _set("order_completed.items.product_id", "a\0b"),
    "NUL in a click": _set("order_completed.click_id", "a\0b"),
    "a huge amount": _set("order_completed.amount.amount_micros", 2**63 - 1),
    "a hugely negative amount": _set("order_completed.amount.amount_micros", -(2**63)),
    "no currency": _set("order_completed.amount.currency_code", "\0\0\0"),
    "a huge quantity": _set("order_completed.items.quantity", "9" * 400),
    "an endless quantity": _set("order_completed.items.quantity", "Infinity"),
    "no team": _set("team_id", "none"),
    "a huge name": _set("customer_name", "x" * 1_000_000),
    "a huge line": _set("order_completed.items.name", "x" * 1_000_000),
}


LEFT_OUT = {"NUL in the member", "NUL in the name", "a huge name", "NUL in a click"}
"""What is said of the customer or of a click and cannot be used is left out, and the order counts."""


@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_event_is_refused_and_its_neighbour_recorded(segment: Segment, odd: str) -> None:
    event = segment.order("odd", "o1", who=WHO)
    ODD[odd](event)
    answer, recorded = await segment.record(event, segment.order("good", "o2", who=WHO))
    expected = ACCEPTED if odd in LEFT_OUT else REFUSED
    assert (answer.status, recorded.status) == (expected, ACCEPTED)
    assert answer.message or odd in LEFT_OUT
    assert bool(answer.left_out) == (odd in LEFT_OUT), "and said to be"
    # Whatever was left behind would show in the team's customer and history.
    customer = await segment.customer(recorded.customer_id)
    assert customer.times.HasField("checkout_time")
    assert [fact.customer_id for fact in await segment.facts()].count(customer.customer_id) > 0


@pytest.mark.rule("J-26b")
async def test_a_time_ahead_is_no_time_of_an_event(segment: Segment) -> None:
    """Ten years ahead "within the last day" would hold until then; clocks that go a little wrong are believed."""
    now = segment.clock.now()
    ahead, close = await segment.record(
        segment.order("ahead", "o1", who={"member_id": "1"}, at=now + timedelta(days=3_650)),
        segment.order("close", "o2", who={"member_id": "2"}, at=now + timedelta(minutes=4)),
    )
    assert (ahead.status, close.status) == (ACCEPTED, ACCEPTED)
    assert [[each.field for each in result.left_out] for result in (ahead, close)] == [["occur_time"], []]
    times = [
        (await segment.customer(each.customer_id)).times.checkout_time.ToDatetime(UTC)
        for each in (ahead, close)
    ]
    assert times == [now, now], "the time of a customer is never ahead"
    happened = [
        fact.occur_time.ToDatetime(UTC)
        for fact in await segment.facts()
        if fact.HasField("checkout_completed")
    ]
    assert sorted(happened) == [now, now + timedelta(minutes=4)]


async def test_a_customer_has_no_more_tags_than_the_limit(segment: Segment) -> None:
    customer_id = await segment.create(tags=[f"tag {n}" for n in range(500)])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await segment.call("ChangeCustomerTags", customer_id=customer_id, add=["one more"])
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "500" in (caught.value.details() or "")
    tags = change_pb2.TagChange(add=["one more"])
    (result,) = await segment.apply(segment.change(customer_id, tags=tags))
    assert result.status == change_pb2.CHANGE_STATUS_REFUSED
    # One for another is no more.
    await segment.call("ChangeCustomerTags", customer_id=customer_id, add=["one more"], remove=["tag 0"])
    assert len((await segment.customer(customer_id)).tags) == 500


@pytest.mark.parametrize("position", [-1, -(2**63), -(2**31)])
async def test_a_negative_position_is_refused_at_once(segment: Segment, position: int) -> None:
    cursor = history_pb2.HistoryCursor(partition=1, after_position=position)
    for name, arguments in (
        ("ListMail", {"partition": cursor}),
        ("ListHistory", {"cursors": [cursor], "form": 1}),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await segment.call(name, **arguments)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
