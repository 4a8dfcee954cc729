"""What is read and written in one statement, where nothing has to be decided in between.

Rows go in the order in which customers are locked everywhere, so `place` counts in that order. Each function answers in
the order of what it was given, None in the place of what it left: that is not as it was presumed to be, and nothing is
written of it. Each is a transaction of its own and raises the driver's errors: then nothing is written at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from libs.common.audience.expressions import AttributeType
from libs.common.db.pool import Pool, fetch_alone
from libs.common.text import fold
from services.segment.domain.changes import digest_of_change, report_of
from services.segment.domain.fact_ids import FactIds
from services.segment.domain.facts import (
    NOBODY,
    AttributeChanged,
    Fact,
    OrderReported,
    encode_body,
    fact_partition,
)
from services.segment.domain.model import (
    AttributeChange,
    Change,
    ContactAdded,
    Customer,
    Event,
    Selector,
)
from services.segment.domain.usual import Decided, Found, Hint, Touch, hint_of
from services.segment.store.base import BOOK

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_NO_IDENTITY: Final = (None, None, None)
_NO_HINT: Final = (None, None, None)
_NOTHING_FOUND: Final = Hint(NOBODY, None, None, None, "", "")
_NO_ORDER: Final = (None, None, None, None)
_TEXT: Final = int(AttributeType.TEXT)
_PARTITION, _EVENT_ID = 8, 9
"""Places in a row of `set_usual`."""


async def find_usual(pool: Pool, hints: Sequence[Hint]) -> dict[Hint, Found]:
    """Whom hints lead to, and whether their orders are known. Nobody is locked."""
    teams = list({hint.team_id for hint in hints})
    (columns,) = await fetch_alone(pool, *BOOK.bind("find_usual", teams=teams, hints=hints))
    return dict(zip(hints, map(Found, *columns), strict=True))


async def record_usual(
    pool: Pool, events: Sequence[Event], decided: Decided, now: datetime
) -> list[Fact | None]:
    """The facts that were written, with their numbers and positions. Customers of whom something is written have their
    basic data and numbers afterwards."""
    facts, customers = decided.facts, decided.customers
    order = _lock_order(facts)
    query = BOOK.bind(
        "record_usual",
        teams=list({event.team_id for event in events}),
        now=now,
        rows=[
            _event_row(place, events[index], facts[index], customers[index])
            for place, index in enumerate(order)
        ],
        with_identities=bool(decided.identities),
        with_orders=decided.has_orders,
    )
    (columns,) = await fetch_alone(pool, *query)
    written: list[Fact | None] = [None] * len(facts)
    for place, number, position, *basics in zip(*(column or () for column in columns), strict=True):
        index = order[place]
        fact, customer = facts[index], customers[index]
        written[index] = fact
        fact.mail_number = customer.mail_number = number
        fact.position = position
        customer.name, customer.member_id, customer.phone, customer.email = basics
        _tell_phone(fact, customer)
    return written


async def record_touches(pool: Pool, touches: Sequence[Touch], now: datetime) -> list[bool]:
    """Which of the events were written that leave nothing but a time of their customers."""
    order = _lock_order(touches)
    rows = [touches[index] for index in order]
    query = BOOK.bind(
        "record_touches",
        teams=list({touch.team_id for touch in rows}),
        now=now,
        keys=[touch[:4] for touch in rows],
        customer_interact_times=[touch.at if touch.by_customer else None for touch in rows],
        team_interact_times=[None if touch.by_customer else touch.at for touch in rows],
    )
    ((places,),) = await fetch_alone(pool, *query)
    written = [False] * len(touches)
    for place in places or ():
        written[order[place - 1]] = True
    return written


def _lock_order(items: Sequence[Fact] | Sequence[Touch] | Sequence[Change]) -> list[int]:
    """The places of items in the order in which customers are locked everywhere."""
    keys = [item.team_id.bytes + item.customer_id.bytes for item in items]  # type: ignore[union-attr]  # of somebody
    return sorted(range(len(keys)), key=keys.__getitem__)


def _tell_phone(fact: Fact, customer: Customer) -> None:
    """What an order says of its customer's phone was presumed, and stored as it is."""
    body, has_phone = fact.body, customer.phone is not None
    if type(body) is OrderReported and body.has_phone is not has_phone:
        fact.body = msgspec.structs.replace(body, has_phone=has_phone)


def _event_row(place: int, event: Event, fact: Fact, customer: Customer) -> tuple[Any, ...]:
    body, hint, named = event.body, hint_of(event), event.hints
    return (
        place,
        fact.team_id,
        fact.customer_id,
        fact.event_key,
        fact.digest,
        customer.customer_interact_time,
        customer.checkout_time,
        bool(customer.name),
        customer.member_id is not None,
        True if named.phone is not None else None,
        customer.email is not None,
        fact.partition,
        fact.event_id,
        fact.occurred_at,
        encode_body(fact.body),
        *(body.identity if type(body) is ContactAdded else _NO_IDENTITY),
        *(_order_columns(fact.body) if type(fact.body) is OrderReported else _NO_ORDER),
        *((hint.member_id, hint.phone, hint.email) if hint else _NO_HINT),
        *(_NO_HINT if named.is_id_alone else _other_hints(named, hint)),
    )


def _other_hints(named: Selector, hint: Hint | None) -> tuple[str | None, str | None, str | None]:
    """What the event says beside the hint by which its customer was found, as it is searched by."""
    found = hint or _NOTHING_FOUND
    return (
        fold(named.member_id) if named.member_id is not None and found.member_id is None else None,
        named.phone if found.phone is None else None,
        fold(named.email) if named.email is not None and found.email is None else None,
    )


def _order_columns(body: OrderReported) -> tuple[Any, ...]:
    return (body.order.shop_id, body.order.order_id, body.order_key, _ENCODE(body.order))


async def set_usual(pool: Pool, changes: Sequence[Change], now: datetime) -> list[Fact | None]:
    """The facts of changes of text attributes, each of another customer."""
    order = _lock_order(changes)
    rows = [value_row(place, changes[index]) for place, index in enumerate(order)]
    teams = list({change.team_id for change in changes})
    query = BOOK.bind("set_usual", teams=teams, now=now, rows=rows)
    ((places, numbers, positions, olds),) = await fetch_alone(pool, *query)
    written: list[Fact | None] = [None] * len(changes)
    for place, number, position, old in zip(
        places or (), numbers or (), positions or (), olds or (), strict=True
    ):
        fact = written[order[place]] = _value_fact(changes[order[place]], rows[place], now, old)
        fact.mail_number, fact.position = number, position
    return written


def value_row(place: int, change: Change) -> tuple[Any, ...]:
    """A row of `set_usual`."""
    body = change.body
    assert isinstance(body, AttributeChange)
    event_id = FactIds(change.team_id, report_of(change)).of(
        AttributeChanged(body.key, _TEXT, None, body.text)
    )
    head, tail = packed_around(body.key, body.text)
    return (
        place,
        change.team_id,
        change.customer_id,
        change.effect_key,
        digest_of_change(change),
        body.key,
        body.text,
        fold(body.text),
        fact_partition(change.team_id, change.customer_id),
        event_id,
        change.occurred_at,
        change.depth,
        head,
        tail,
    )


def packed_around(key: str, text: str) -> tuple[bytes, bytes]:
    """The body of the fact that a text attribute was set, before and behind the value that it had."""
    whole = encode_body(AttributeChanged(key, _TEXT, None, text))
    split = len(whole) - len(_ENCODE(text)) - len(_ENCODE(False))
    return whole[: split - 1], whole[split:]  # the byte between them is that of "no value"


def _value_fact(change: Change, row: tuple[Any, ...], now: datetime, old: str | None) -> Fact:
    body = change.body
    assert isinstance(body, AttributeChange)
    return Fact(
        partition=row[_PARTITION],
        team_id=change.team_id,
        customer_id=change.customer_id,
        event_id=row[_EVENT_ID],
        occurred_at=change.occurred_at,
        record_time=now,
        depth=change.depth,
        mail_number=None,
        body=AttributeChanged(body.key, _TEXT, old, body.text),
    )
