"""Orders and refunds (C-21).

An order is known by team, shop and order id, whoever reports it. It *counts* when somebody knows the customer, somebody
vouches for it (a signature, or the team's settings) and it is no trial. The first report that makes it count makes the
one checkout; whatever comes before or after only fills gaps.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from services.segment.domain.customer_changes import later
from services.segment.domain.facts import OrderReported, OrderStage, RefundReported
from services.segment.domain.keys import order_key_of, refund_key_of
from services.segment.domain.model import (
    Customer,
    Event,
    Order,
    OrderCompleted,
    OrderRefunded,
    Refund,
    Uncounted,
)
from services.segment.domain.recorder import Recorder
from services.segment.domain.results import EventResult, EventStatus


def order_completed(recorder: Recorder, event: Event) -> EventResult:
    """A checkout was reported."""
    body = event.body
    assert isinstance(body, OrderCompleted)
    order_id = (event.team_id, body.shop_id, body.order_id)
    present = recorder.orders.get(order_id) or recorder.context.orders.get(order_id)
    if present is not None and present.uncounted == Uncounted.COUNTS:
        return _fill_gaps(recorder, event, present, body)
    trusted = _is_trusted(recorder, event, body.signed)
    customer, created = _customer_of_order(recorder, event, present, may_create=trusted and not body.test)
    uncounted = _why_uncounted(customer, trusted=trusted, test=body.test)
    if present is not None and uncounted != Uncounted.COUNTS:
        return EventResult(EventStatus.DUPLICATE, customer_id=_id_of(customer))
    order = Order(
        order_key=order_key_of(*order_id),
        customer_id=_id_of(customer),
        body=body if present is None else _completed_by(body, present.body),
        uncounted=uncounted,
        occurred_at=event.occurred_at,
    )
    recorder.orders[order_id] = order
    _tell_order(recorder, event, order, customer)
    return EventResult(EventStatus.ACCEPTED, _id_of(customer), customer_created=created)


def order_refunded(recorder: Recorder, event: Event) -> EventResult:
    """A refund was reported."""
    body = event.body
    assert isinstance(body, OrderRefunded)
    refund_id = (event.team_id, body.shop_id, body.refund_id)
    present = recorder.refunds.get(refund_id) or recorder.context.refunds.get(refund_id)
    if present is not None and present.uncounted == Uncounted.COUNTS:
        return EventResult(EventStatus.DUPLICATE, customer_id=present.customer_id)
    order = _order_of_refund(recorder, event, body)
    trusted = _is_trusted(recorder, event, body.signed)
    customer, created = _customer_of_refund(recorder, event, order, may_create=trusted)
    uncounted = _why_uncounted(customer, trusted=trusted, test=False)
    if uncounted == Uncounted.COUNTS and order is not None and order.uncounted != Uncounted.COUNTS:
        uncounted = Uncounted.ORDER_UNCOUNTED
    if present is not None and uncounted != Uncounted.COUNTS:
        return EventResult(EventStatus.DUPLICATE, customer_id=_id_of(customer))
    refund = Refund(
        refund_key=refund_key_of(*refund_id),
        customer_id=_id_of(customer),
        body=body,
        uncounted=uncounted,
        occurred_at=event.occurred_at,
    )
    recorder.refunds[refund_id] = refund
    _tell_refund(recorder, event, refund, customer, order)
    return EventResult(EventStatus.ACCEPTED, _id_of(customer), customer_created=created)


def _id_of(customer: Customer | None) -> UUID | None:
    return None if customer is None else customer.customer_id


def _is_trusted(recorder: Recorder, event: Event, signed: bool) -> bool:
    return signed or recorder.context.unsigned_counts[event.team_id]


def _why_uncounted(customer: Customer | None, *, trusted: bool, test: bool) -> Uncounted:
    if test:
        return Uncounted.TEST
    if not trusted:
        return Uncounted.UNSIGNED
    return Uncounted.ANONYMOUS if customer is None else Uncounted.COUNTS


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


def _customer_of_refund(
    recorder: Recorder, event: Event, order: Order | None, *, may_create: bool
) -> tuple[Customer | None, bool]:
    """The customer of the order, for the points were earned there; else whom the report names."""
    if order is not None and order.customer_id is not None:
        return recorder.pending.customer(event.team_id, order.customer_id), False
    if event.selector.is_empty():
        return None, False
    if may_create:
        return recorder.find_or_create(event)
    return recorder.find(event), False


def _order_of_refund(recorder: Recorder, event: Event, body: OrderRefunded) -> Order | None:
    if not body.order_id:
        return None
    order_id = (event.team_id, body.shop_id, body.order_id)
    return recorder.orders.get(order_id) or recorder.context.orders.get(order_id)


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
    filled = _completed_by(present.body, body)
    if filled != present.body:
        order = msgspec.structs.replace(present, body=filled)
        recorder.orders[event.team_id, body.shop_id, body.order_id] = order
        recorder.pending.emit(customer, event.occurred_at, _order_input(OrderStage.AMENDED, order, customer))
    if _is_trusted(recorder, event, body.signed):
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
        recorder.pending.change(
            customer,
            checkout_time=later(customer.checkout_time, event.occurred_at),
            customer_interact_time=later(customer.customer_interact_time, event.occurred_at),
        )


def _tell_refund(
    recorder: Recorder, event: Event, refund: Refund, customer: Customer | None, order: Order | None
) -> None:
    body = refund.body
    order_key = order_key_of(event.team_id, body.shop_id, body.order_id) if body.order_id else None
    number = "" if order is None else order.body.order_number
    reported = RefundReported(refund.refund_key, order_key, body, refund.uncounted, number)
    if customer is None:
        recorder.pending.emit_for_team(event.team_id, event.occurred_at, reported)
    else:
        recorder.pending.emit(customer, event.occurred_at, reported)
