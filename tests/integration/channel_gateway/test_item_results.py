"""What is said of each item is what becomes of it."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import pytest

from omnijourney.channel_gateway.v1 import webhook_pb2
from tests.integration.channel_gateway.conftest import Gateway
from tests.integration.channel_gateway.test_webhooks import Shop, order, stored


@pytest.fixture
async def shop(gateway: Gateway) -> Shop:
    """A shop with a key."""
    return Shop(gateway, await gateway.shop())


def with_order(number_: int, /, **changes: Any) -> dict[str, Any]:
    """An order with other fields of its own."""
    event = order(number_)
    return event | {"order": event["order"] | changes}


BAD: list[tuple[dict[str, Any], str, str]] = [
    (order(1, event_id=7), "event_id", "WRONG_TYPE"),
    (order(1, event_id=" "), "event_id", "MISSING"),
    (order(1, event_id="x" * 101), "event_id", "TOO_LONG"),
    (order(1, event_id="a\nb"), "event_id", "CONTROL_CHARACTERS"),
    (order(1, occurred_at="0001-01-01T00:00:00+14:00"), "occurred_at", "OUT_OF_RANGE"),
    (order(1, occurred_at="9999-12-31T23:59:59.999999Z"), "occurred_at", "OUT_OF_RANGE"),
    (order(1, occurred_at="yesterday"), "occurred_at", "MALFORMED"),
    (with_order(1, total="1000000000000.000001"), "order.total", "OUT_OF_RANGE"),
    (with_order(1, total="-1000000000001"), "order.total", "OUT_OF_RANGE"),
    (with_order(1, total="NaN"), "order.total", "MALFORMED"),
    (with_order(1, total=None), "order.total", "MISSING"),
    (with_order(1, id="\t"), "order.id", "MISSING"),
    (with_order(1, id="o\x7f"), "order.id", "CONTROL_CHARACTERS"),
    (with_order(1, number="a\nb"), "order.number", "CONTROL_CHARACTERS"),
    (with_order(1, items=[{}, {"sku": "a\x00"}]), "order.items[1].sku", "CONTROL_CHARACTERS"),
    (with_order(1, items=[{"quantity": "1e3"}]), "order.items[0].quantity", "MALFORMED"),
    (with_order(1, items=[{}] * 1_001), "order.items", "TOO_LONG"),
    (order(1, event="order.refunded", refund={"id": "r", "amount": "-1"}), "refund.amount", "OUT_OF_RANGE"),
    (order(1, event="order.refunded", refund={"amount": "1"}), "refund.id", "MISSING"),
]


@pytest.mark.rule("C-20c", "C-20d")
async def test_an_item_that_is_refused_names_its_field_and_its_neighbours_are_recorded(
    gateway: Gateway, shop: Shop
) -> None:
    items = [order(2), *(bad for bad, _, _ in BAD), order(3)]
    status, answer = await shop.post(items, "w1")
    assert status == 202
    first, *refused, last = answer["results"]
    assert first == {"event_id": "order-2", "status": "accepted"}
    assert last == {"event_id": "order-3", "status": "accepted"}
    found = [(result["status"], result["field"], result["reason"]) for result in refused]
    assert found == [("refused", f"[{n}].{field}", reason) for n, (_, field, reason) in enumerate(BAD, 1)]
    assert all(result["message"] and result["remedy"] for result in refused)
    assert await shop.post(items, "w1") == (status, answer), "repeated, it is answered alike"
    await gateway.settled()
    assert [event.event_key for event in gateway.neighbours.segment.events] == [
        "demo:order-2",
        "demo:order-3",
    ]
    (record,) = await stored(gateway)
    assert (record.state, list(record.refusals)) == (webhook_pb2.INBOX_STATE_RECORDED, [])


@pytest.mark.rule("C-20c")
async def test_where_every_item_is_refused_nothing_is_stored(gateway: Gateway, shop: Shop) -> None:
    for posted, at in (([bad for bad, _, _ in BAD], "[0]."), (BAD[0][0], "")):
        status, answer = await shop.post(posted)
        assert status == 400
        assert answer["error"]["field"] == f"{at}event_id"
        assert all(result["status"] == "refused" for result in answer["results"])
    assert await stored(gateway) == []


HINTS: list[tuple[dict[str, Any], list[tuple[str, str]], dict[str, str]]] = [
    ({"member_id": "m1", "phone": "0912345678"}, [], {"member_id": "m1", "phone": "0912345678"}),
    ({"member_id": "m1", "phone": "0912"}, [("phone", "UNREADABLE")], {"member_id": "m1"}),
    ({"member_id": "m1", "phone": "ask me"}, [("phone", "UNREADABLE")], {"member_id": "m1"}),
    ({"member_id": "m1", "phone": "1" * 100}, [("phone", "TOO_LONG")], {"member_id": "m1"}),
    ({"member_id": "m1", "phone": 912345678}, [], {"member_id": "m1", "phone": "912345678"}),
    ({"member_id": "m1", "email": "mei.example.com"}, [("email", "MALFORMED")], {"member_id": "m1"}),
    ({"member_id": "m1", "email": " a@b.c\u00a0"}, [], {"member_id": "m1", "email": "a@b.c"}),
    ({"member_id": " \t", "email": "a@b.c"}, [], {"email": "a@b.c"}),
    ({"member_id": 42}, [], {"member_id": "42"}),
    ({"member_id": ["42"], "browser_token": "t"}, [("member_id", "WRONG_TYPE")], {"browser_token": "t"}),
    ({"member_id": "m" * 201, "email": "a@b.c"}, [("member_id", "TOO_LONG")], {"email": "a@b.c"}),
    ({"member_id": "m1", "name": "Mei\nLin"}, [("name", "CONTROL_CHARACTERS")], {"member_id": "m1"}),
    ({"member_id": "m1", "name": None}, [], {"member_id": "m1"}),
]


@pytest.mark.rule("C-20c", "S-01c")
async def test_a_hint_that_cannot_be_used_is_left_out_and_told_and_the_order_is_recorded(
    gateway: Gateway, shop: Shop
) -> None:
    orders = [order(number, customer=customer) for number, (customer, _, _) in enumerate(HINTS)]
    status, answer = await shop.post(orders)
    assert status == 202
    for number, (result, (_, left_out, _)) in enumerate(zip(answer["results"], HINTS, strict=True)):
        assert result["status"] == "accepted"
        told = [(each["field"], each["reason"]) for each in result.get("left_out", [])]
        assert told == [(f"[{number}].customer.{field}", reason) for field, reason in left_out]
    await gateway.settled()
    for event, (_, left_out, used) in zip(gateway.neighbours.segment.events, HINTS, strict=True):
        # A phone goes as it was written: segment reads it by the same rule, and leaves it out by the same rule.
        found = {field.name: value for field, value in event.customer.ListFields()}
        if ("phone", "UNREADABLE") in left_out:
            del found["phone"]
        assert found == used
    assert len(await stored(gateway, webhook_pb2.INBOX_STATE_RECORDED)) == 1


@pytest.mark.parametrize("customer", [{"email": "nobody"}, {"member_id": ""}, 7, {}])
async def test_an_order_that_names_nobody_is_taken_as_anonymous(
    gateway: Gateway, shop: Shop, customer: object
) -> None:
    assert (await shop.post(order(1, customer=customer)))[0] == 202
    await gateway.settled()
    (event,) = gateway.neighbours.segment.events
    assert not event.HasField("customer")


async def test_an_id_used_again_for_something_else_makes_another_event(gateway: Gateway, shop: Shop) -> None:
    first, other = order(1), with_order(1, id="o2")
    status, answer = await shop.post([first, other, first])
    assert status == 202
    assert [result["status"] for result in answer["results"]] == ["accepted", "accepted", "duplicate"]
    await gateway.settled()
    assert [event.order_completed.order_id for event in gateway.neighbours.segment.events] == [
        "o1",
        "o2",
        "o1",
    ]
    assert len(gateway.neighbours.segment.whole_keys) == 2


@pytest.mark.rule("C-20c")
async def test_a_returned_line_and_a_total_below_zero_are_taken(gateway: Gateway, shop: Shop) -> None:
    returned = with_order(
        1, total="-100.00", items=[{"quantity": -1, "unit_price": "617"}, {"quantity": "1"}]
    )
    assert (await shop.post([returned, order(2)]))[1]["results"][0]["status"] == "accepted"
    await gateway.settled()
    completed = gateway.neighbours.segment.events[0].order_completed
    assert completed.amount.amount_micros == -100_000_000
    assert [item.quantity for item in completed.items] == ["-1", "1"]


@pytest.mark.rule("J-26b")
async def test_a_time_ahead_is_the_time_of_receipt_and_told(gateway: Gateway, shop: Shop) -> None:
    now = gateway.clock.now()
    times = [now + timedelta(days=2), now + timedelta(minutes=4), now - timedelta(days=400)]
    items = [order(n, occurred_at=at.isoformat()) for n, at in enumerate(times)]
    _, answer = await shop.post(items)
    assert [result.get("left_out", []) for result in answer["results"]] == [
        [
            {
                "field": "[0].occurred_at",
                "reason": "TOO_FAR_AHEAD",
                "message": "lies too far ahead: the time of receipt counts",
            }
        ],
        [],
        [],
    ]
    await gateway.settled()
    recorded = [event.occur_time.ToDatetime(UTC) for event in gateway.neighbours.segment.events]
    assert recorded == [now, *times[1:]]
