"""Plain orders: new and signed, of customers who are named by id alone. What follows from them is known by their form.

It is what `record` decides of them for a customer who is there, without its state; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from services.segment.domain.fact_ids import FactIds
from services.segment.domain.facts import Fact, OrderReported, OrderStage, fact_partition
from services.segment.domain.keys import content_of_event, digest_of, order_key_of, report_of_event
from services.segment.domain.model import Customer, Event, OrderCompleted, Uncounted
from services.segment.domain.results import EventResult, EventStatus
from services.segment.domain.usual import SOME_TEXT, Decided, are_apart

_COUNTS: Final = Uncounted.COUNTS


def plain_orders(events: Sequence[Event], now: datetime, ahead_max: timedelta) -> Decided | None:
    """What follows from the events if they are plain orders, each of another customer; None if any is not."""
    if not all(map(_is_plain, events)):
        return None
    teams = [event.team_id for event in events]
    orders = [(event.body.shop_id, event.body.order_id) for event in events]  # type: ignore[union-attr]  # see above
    if not (
        are_apart(teams, [event.selector.customer_id for event in events])
        and are_apart(teams, [event.event_key for event in events])
        and are_apart(teams, orders)
    ):
        return None
    latest = now + ahead_max
    customers, facts = [], []
    for event in events:
        customer, fact = _decided(event, now, latest)
        customers.append(customer)
        facts.append(fact)
    results = [EventResult(EventStatus.ACCEPTED, customer.customer_id) for customer in customers]
    return Decided(facts, customers, results, {}, has_orders=True)


def _is_plain(event: Event) -> bool:
    body, selector = event.body, event.selector
    return (
        type(body) is OrderCompleted
        and body.signed
        and not body.test
        and not event.customer_name
        and selector.customer_id is not None
        and selector.is_id_alone
    )


def _decided(event: Event, now: datetime, latest: datetime) -> tuple[Customer, Fact]:
    team_id, customer_id, body = event.team_id, event.selector.customer_id, event.body
    assert customer_id is not None
    assert type(body) is OrderCompleted
    reported = OrderReported(
        OrderStage.COMPLETED,
        order_key_of(team_id, body.shop_id, body.order_id),
        body,
        has_phone=True,
        uncounted=_COUNTS,
    )
    occurred_at = event.occurred_at if event.occurred_at <= latest else now
    at = min(occurred_at, now)
    customer = Customer(
        team_id,
        customer_id,
        phone=SOME_TEXT,
        customer_interact_time=at,
        checkout_time=at,
        mail_number=1,
        revision=1,
        update_time=now,
    )
    fact = Fact(
        fact_partition(team_id, customer_id),
        team_id,
        customer_id,
        FactIds(team_id, report_of_event(event)).of(reported),
        occurred_at,
        now,
        0,
        1,
        reported,
        event_key=event.event_key,
        digest=digest_of(content_of_event(event)),
        trace=event.trace,
    )
    return customer, fact
