"""Refunds, and what shops say is left of their orders (C-21d).

A refund is known by team, shop and refund id. One that names an order counts with it: what comes before the order
counts is kept, and counts when it does. A shop that says what is left of an order (`left_micros`) is taken at its word:
what was left before and is not any more is a refund. A refund that is told after it was taken back like that takes
nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.segment.domain.facts import RefundReported
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
from services.segment.domain.recorder import OrderId, Recorder
from services.segment.domain.results import EventResult, EventStatus, refused_event

REFUNDS_MAX: Final = 1_000
"""Refunds of one order: all are read together."""


class _Report(NamedTuple):
    """A refund as it is reported now."""

    event: Event
    body: OrderRefunded
    refund_id: OrderId
    order_id: OrderId | None


def order_refunded(recorder: Recorder, event: Event) -> EventResult:
    """A refund was reported, or what is left of an order."""
    report = _report_of(event)
    present = recorder.refund(report.refund_id)
    if present is not None and present.uncounted == Uncounted.COUNTS:
        _learn(recorder, event, present, signed=report.body.signed)
        return EventResult(EventStatus.DUPLICATE, customer_id=present.customer_id)
    order = recorder.order(report.order_id) if report.order_id is not None else None
    if fault := _fault(recorder, report, present, order):
        return refused_event("INVALID_FIELDS", fault)
    trusted = is_trusted(recorder, event, report.body.signed)
    customer, created = _customer_of_refund(recorder, event, order, may_create=trusted)
    uncounted = _why_uncounted(report, customer, order, trusted=trusted)
    if present is not None and uncounted != Uncounted.COUNTS:
        return EventResult(EventStatus.DUPLICATE, customer_id=id_of(customer))
    body = report.body
    if uncounted == Uncounted.COUNTS and order is not None and report.order_id is not None:
        body = _as_counted(body, order, _counted(recorder, report.order_id))
        if body.left_micros is not None and not body.amount_micros:
            return EventResult(EventStatus.DUPLICATE, customer_id=id_of(customer))
    key = refund_key_of(*report.refund_id)
    refund = Refund(key, id_of(customer), body, uncounted, event.occurred_at)
    _hold_order(recorder, report)
    recorder.keep_refund(report.refund_id, refund)
    _tell(recorder, event.team_id, refund, customer, order)
    return EventResult(EventStatus.ACCEPTED, id_of(customer), customer_created=created)


def count_waiting(recorder: Recorder, order_id: OrderId, order: Order, customer: Customer) -> None:
    """The order counts from now on: so does what was reported of it before, first what was given back, then what the
    shop said last of what was left."""
    reported = recorder.refunds_of(order_id)
    if not reported:
        return
    waiting = sorted(
        (refund.occurred_at, refund_id)
        for refund_id, refund in reported.items()
        if refund.uncounted != Uncounted.COUNTS and _is_vouched_for(recorder, order_id[0], refund.body.signed)
    )
    refunds = [(refund_id, refund) for _, refund_id in waiting if (refund := recorder.refund(refund_id))]
    given_back = [each for each in refunds if each[1].body.left_micros is None]
    left = [each for each in refunds if each[1].body.left_micros is not None]
    for refund_id, refund in (*given_back, *left[-1:]):
        body = _as_counted(refund.body, order, _counted(recorder, order_id))
        counted = msgspec.structs.replace(
            refund, customer_id=customer.customer_id, body=body, uncounted=Uncounted.COUNTS
        )
        recorder.keep_refund(refund_id, counted)
        if body.left_micros is None or body.amount_micros:
            _tell(recorder, order_id[0], counted, customer, order)


def left_of(amount_micros: int, currency: str, counted: Iterable[OrderRefunded]) -> int:
    """What is left of an order's amount after the refunds that count; those in another currency take nothing of it."""
    return amount_micros - sum(
        refund.amount_micros - refund.known_micros for refund in counted if refund.currency == currency
    )


def id_of(customer: Customer | None) -> UUID | None:
    """None for nobody."""
    return None if customer is None else customer.customer_id


def is_trusted(recorder: Recorder, event: Event, signed: bool) -> bool:
    """Whether somebody vouches for a report: a signature, or the team's settings."""
    return _is_vouched_for(recorder, event.team_id, signed)


def why_uncounted(customer: Customer | None, *, trusted: bool, test: bool) -> Uncounted:
    """Why a report does not count by itself."""
    if test:
        return Uncounted.TEST
    if not trusted:
        return Uncounted.UNSIGNED
    return Uncounted.ANONYMOUS if customer is None else Uncounted.COUNTS


def _is_vouched_for(recorder: Recorder, team_id: UUID, signed: bool) -> bool:
    return signed or recorder.context.unsigned_counts[team_id]


def _report_of(event: Event) -> _Report:
    body = event.body
    assert isinstance(body, OrderRefunded)
    order_id = (event.team_id, body.shop_id, body.order_id) if body.order_id else None
    return _Report(event, body, (event.team_id, body.shop_id, body.refund_id), order_id)


def _fault(recorder: Recorder, report: _Report, present: Refund | None, order: Order | None) -> str:
    """Why a report cannot be taken with what is known of its order; empty: it can."""
    body = report.body
    if body.left_micros is not None and order is not None and order.body.currency != body.currency:
        return f"order_updated.left_amount.currency_code must be the order's: {order.body.currency}"
    others = recorder.refunds_of(report.order_id) if present is None and report.order_id is not None else ()
    if len(others) >= REFUNDS_MAX:
        return f"order_id has {REFUNDS_MAX} refunds already, the most that an order can have"
    return ""


def _why_uncounted(
    report: _Report, customer: Customer | None, order: Order | None, *, trusted: bool
) -> Uncounted:
    uncounted = why_uncounted(customer, trusted=trusted, test=False)
    if uncounted != Uncounted.COUNTS:
        return uncounted
    if order is None:
        # Nobody knows what was left before.
        return Uncounted.COUNTS if report.body.left_micros is None else Uncounted.ORDER_UNCOUNTED
    return Uncounted.COUNTS if order.uncounted == Uncounted.COUNTS else Uncounted.ORDER_UNCOUNTED


def _customer_of_refund(
    recorder: Recorder, event: Event, order: Order | None, *, may_create: bool
) -> tuple[Customer | None, bool]:
    """The customer of the order, for the points were earned there; else whom the report names."""
    if order is not None and order.customer_id is not None:
        customer = recorder.pending.customer(event.team_id, order.customer_id)
        if customer is not None and may_create:
            customer = recorder.complete(customer, event)
        return customer, False
    if event.selector.is_empty():
        return None, False
    if may_create:
        return recorder.find_or_create(event)
    return recorder.find(event), False


def _learn(recorder: Recorder, event: Event, present: Refund, *, signed: bool) -> None:
    """What a later report of a refund that counts says of its customer."""
    if present.customer_id is None or not is_trusted(recorder, event, signed):
        return
    customer = recorder.pending.customer(event.team_id, present.customer_id)
    if customer is not None:
        recorder.complete(customer, event)


def _counted(recorder: Recorder, order_id: OrderId) -> list[OrderRefunded]:
    """Refunds of an order that count."""
    refunds = recorder.refunds_of(order_id).values()
    return [refund.body for refund in refunds if refund.uncounted == Uncounted.COUNTS]


def _as_counted(body: OrderRefunded, order: Order, counted: list[OrderRefunded]) -> OrderRefunded:
    """The refund with what it takes of its order, beside those that count already."""
    if body.currency != order.body.currency:
        return body
    if body.left_micros is not None:
        left = left_of(order.body.amount_micros, order.body.currency, counted)
        return msgspec.structs.replace(body, amount_micros=max(0, left - body.left_micros))
    lowered = sum(other.amount_micros for other in counted if other.left_micros is not None)
    explained = sum(other.known_micros for other in counted)
    return msgspec.structs.replace(body, known_micros=min(body.amount_micros, max(0, lowered - explained)))


def _hold_order(recorder: Recorder, report: _Report) -> None:
    """Writes the row of the order, so that nobody else decides on its refunds, or makes it count, at the same time.
    One that is not there yet gets a row that holds its place."""
    if (order_id := report.order_id) is None:
        return
    order = recorder.orders.get(order_id) or recorder.context.orders.get(order_id)
    recorder.orders[order_id] = order or Order(
        order_key=order_key_of(*order_id),
        customer_id=None,
        body=OrderCompleted(report.body.shop_id, report.body.order_id, 0, report.body.currency),
        uncounted=Uncounted.ORDER_UNCOUNTED,
        occurred_at=report.event.occurred_at,
    )


def _tell(
    recorder: Recorder, team_id: UUID, refund: Refund, customer: Customer | None, order: Order | None
) -> None:
    body = refund.body
    taken = msgspec.structs.replace(body, amount_micros=body.amount_micros - body.known_micros)
    order_key = order_key_of(team_id, body.shop_id, body.order_id) if body.order_id else None
    number = "" if order is None else order.body.order_number
    reported = RefundReported(refund.refund_key, order_key, taken, refund.uncounted, number)
    if customer is None:
        recorder.pending.emit_for_team(team_id, refund.occurred_at, reported)
    else:
        recorder.pending.emit(customer, refund.occurred_at, reported)
