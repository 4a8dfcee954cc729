"""Orders (C-21).

An order is known by team, shop and order id, whoever reports it. It *counts* when somebody knows the customer, somebody
vouches for it (a signature, or the team's settings) and it is no trial. The first report that makes it count makes the
one checkout; whatever comes before or after only fills gaps.
"""

from __future__ import annotations

import msgspec

from services.segment.domain.customer_changes import later
from services.segment.domain.facts import OrderReported, OrderStage
from services.segment.domain.keys import order_key_of
from services.segment.domain.model import Customer, Event, Order, OrderCompleted, Uncounted
from services.segment.domain.recorder import Recorder
from services.segment.domain.refunds import count_waiting, id_of, is_trusted, why_uncounted
from services.segment.domain.results import EventResult, EventStatus


def order_completed(recorder: Recorder, event: Event) -> EventResult:
    """A checkout was reported."""
    body = event.body
    assert isinstance(body, OrderCompleted)
    order_id = (event.team_id, body.shop_id, body.order_id)
    present = recorder.order(order_id)
    if present is not None and present.uncounted == Uncounted.COUNTS:
        return _fill_gaps(recorder, event, present, body)
    trusted = is_trusted(recorder, event, body.signed)
    customer, created = _customer_of_order(recorder, event, present, may_create=trusted and not body.test)
    uncounted = why_uncounted(customer, trusted=trusted, test=body.test)
    if present is not None and uncounted != Uncounted.COUNTS:
        return EventResult(EventStatus.DUPLICATE, customer_id=id_of(customer))
    order = Order(
        order_key=order_key_of(*order_id),
        customer_id=id_of(customer),
        body=body if present is None else _completed_by(body, present.body),
        uncounted=uncounted,
        occurred_at=event.occurred_at,
    )
    recorder.orders[order_id] = order
    _tell_order(recorder, event, order, customer)
    if customer is not None and uncounted == Uncounted.COUNTS:
        count_waiting(recorder, order_id, order, customer)
    return EventResult(EventStatus.ACCEPTED, id_of(customer), customer_created=created)


def _customer_of_order(
    recorder: Recorder, event: Event, present: Order | None, *, may_create: bool
) -> tuple[Customer | None, bool]:
    """Whose order it is. Reports that nobody vouches for make no customers and teach us nothing about known ones."""
    if event.selector.is_empty():
        known = present and present.customer_id
        return (recorder.pending.customer(event.team_id, known) if known else None), False
    if may_create:
        return recorder.find_or_create(event)
    return recorder.find(event), False


def _completed_by(body: OrderCompleted, other: OrderCompleted) -> OrderCompleted:
    """`body` with what it lacks taken from another report of the same order."""
    return msgspec.structs.replace(
        body,
        order_number=body.order_number or other.order_number,
        items=body.items or other.items,
        click_id=body.click_id or other.click_id,
        cart_id=body.cart_id or other.cart_id,
    )


def _fill_gaps(recorder: Recorder, event: Event, present: Order, body: OrderCompleted) -> EventResult:
    """A later report of an order that counts already."""
    assert present.customer_id is not None
    customer = recorder.pending.customer(event.team_id, present.customer_id)
    assert customer is not None, "the customer of a named order was loaded"
    trusted = is_trusted(recorder, event, body.signed) and not body.test
    filled = _completed_by(present.body, body)
    if filled != present.body:
        order = msgspec.structs.replace(present, body=filled)
        recorder.orders[event.team_id, body.shop_id, body.order_id] = order
        recorder.pending.emit(customer, event.occurred_at, _order_input(OrderStage.AMENDED, order, customer))
    if trusted:
        customer = recorder.complete(customer, event)
        recorder.learn_token(customer, event.selector.browser_token)
    return EventResult(EventStatus.DUPLICATE, customer_id=present.customer_id)


def _order_input(stage: OrderStage, order: Order, customer: Customer | None) -> OrderReported:
    has_phone = customer is not None and customer.phone is not None
    return OrderReported(stage, order.order_key, order.body, has_phone, order.uncounted)


def _tell_order(recorder: Recorder, event: Event, order: Order, customer: Customer | None) -> None:
    stage = OrderStage.COMPLETED if order.uncounted == Uncounted.COUNTS else OrderStage.STORED
    reported = _order_input(stage, order, customer)
    if customer is None:
        recorder.pending.emit_for_team(event.team_id, event.occurred_at, reported)
        return
    recorder.pending.emit(customer, event.occurred_at, reported)
    if stage == OrderStage.COMPLETED:
        at = min(event.occurred_at, recorder.pending.now)
        recorder.pending.change(
            customer,
            checkout_time=later(customer.checkout_time, at),
            customer_interact_time=later(customer.customer_interact_time, at),
        )
