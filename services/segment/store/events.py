"""Batches of events: reading what they name, and writing what was decided about them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment.domain.conflicts import candidates
from services.segment.domain.facts import Fact
from services.segment.domain.model import (
    Binding,
    ContactMoved,
    Event,
    IdentityKey,
    Order,
    OrderCompleted,
    OrderRefunded,
    Refund,
    Uncounted,
)
from services.segment.domain.recorder import EventContext, KeyUse, OrderId, Recording
from services.segment.store.base import BOOK, Row, by_key
from services.segment.store.conflicts import note_conflicts
from services.segment.store.erasures import load_erased
from services.segment.store.errors import CollisionError
from services.segment.store.writes import Writes, save

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_ORDER: Final = msgspec.msgpack.Decoder(OrderCompleted)
_REFUND: Final = msgspec.msgpack.Decoder(OrderRefunded)

_PEOPLE: Final = ("members", "phones", "emails", "tokens", "identities")
_NOTHING: Final = dict.fromkeys(BOOK.parameters("load_event_context"))

Report = TypeVar("Report", Order, Refund)
_Hints = dict[tuple[Any, ...], bool]
"""Hint → whether a customer who is not found by it may have to be created."""


class _Named:
    """Everything that events name, each once."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.teams: set[UUID] = set()
        self.keys: set[tuple[UUID, str]] = set()
        self.orders: set[OrderId] = set()
        self.refunds: set[OrderId] = set()
        self.members: _Hints = {}
        self.phones: _Hints = {}
        self.emails: _Hints = {}
        self.tokens: _Hints = {}
        self.identities: _Hints = {}
        self.customers: set[tuple[UUID, UUID]] = set()
        for event in events:
            self._read(event)

    def _read(self, event: Event) -> None:
        team, selector, body = event.team_id, event.hints, event.body
        self.teams.add(team)
        self.keys.add((team, event.event_key))
        unsure = selector.customer_id is None
        if selector.customer_id is not None:
            self.customers.add((team, selector.customer_id))
        for key in _identities_of(event):
            _note(self.identities, (team, *key), unsure)
        if selector.member_id is not None:
            _note(self.members, (team, fold(selector.member_id)), unsure)
        if selector.phone is not None:
            _note(self.phones, (team, selector.phone), unsure)
        if selector.email is not None:
            _note(self.emails, (team, fold(selector.email)), unsure)
        if selector.browser_token is not None:
            _note(self.tokens, (team, selector.browser_token), unsure)
        if isinstance(body, OrderCompleted):
            self.orders.add((team, body.shop_id, body.order_id))
        elif isinstance(body, OrderRefunded):
            self.refunds.add((team, body.shop_id, body.refund_id))
            if body.order_id:
                self.orders.add((team, body.shop_id, body.order_id))

    @property
    def hints(self) -> tuple[_Hints, ...]:
        """By which people are found."""
        return (self.members, self.phones, self.emails, self.tokens, self.identities)

    @property
    def unsure_count(self) -> int:
        """How many of the hints are unsure."""
        return sum(sum(hints.values()) for hints in self.hints)

    def people(self) -> dict[str, Any]:
        """The hints as rows, by the parameters of `load_event_context`."""
        rows = [[(*key, unsure) for key, unsure in hints.items()] or None for hints in self.hints]
        return dict(zip(_PEOPLE, rows, strict=True))

    def reports(self) -> dict[str, Any]:
        """What is no hint, in the same way."""
        return {
            "teams": list(self.teams),
            "keys": list(self.keys) or None,
            "orders": list(self.orders) or None,
            "refunds": list(self.refunds) or None,
        }


def _note(hints: _Hints, key: tuple[Any, ...], unsure: bool) -> None:
    hints[key] = unsure or hints.get(key, False)


async def load_event_context(
    connection: Connection, events: Sequence[Event], creating: Iterable[UUID] = ()
) -> EventContext:
    """Everything that the events name; their customers are locked until the transaction ends. `creating`: teams in
    which somebody will have to be created, as far as is known; saying so saves a question."""
    named = _Named(events)
    asked = {**named.reports(), **named.people(), "customers": list(named.customers) or None}
    alone = {"unsure_count": named.unsure_count, "creating": sorted(creating) or None}
    row = await _load_context(connection, {**asked, **alone})
    context = _context(row)
    _note_people(context, row)
    if not row["locked"]:
        row = await _lock_found(connection, context, events, named)
    lead_on(context, row["merged"], context.customers)
    await _note_missing(connection, context, named)
    return context


async def _load_context(connection: Connection, asked: Mapping[str, Any]) -> Row:
    """What is absent is not asked for."""
    row = await connection.fetchrow(*BOOK.bind("load_event_context", **{**_NOTHING, **asked}))
    assert row is not None
    return cast("Row", row)


async def _lock_found(
    connection: Connection, context: EventContext, events: Sequence[Event], named: _Named
) -> Row:
    """Locks customers where some hints found nobody: alone, if somebody must be created."""
    creating = sorted(
        {e.team_id for e in events if not _is_found(context, e)} & context.unsigned_counts.keys()
    )
    # A transaction that has waited for its turn finds the customers that another one has just created.
    people = named.people() if creating else {}
    customers = list(_customers_named(context, events)) or None
    row = await _load_context(connection, {**people, "customers": customers, "creating": creating})
    if creating:
        _note_people(context, row)
    context.customers = by_key(row["customers"])
    return row


async def load_hinted(connection: Connection, event: Event) -> EventContext:
    """Whom the hints of an event lead to; nobody is locked, and no customer is read."""
    row = await _load_context(connection, _Named([event]).people())
    context = EventContext(unsigned_counts={})
    _note_people(context, row)
    return context


async def save_recording(
    connection: Connection, context: EventContext, recording: Recording, now: datetime
) -> list[Fact]:
    """Writes it all; returns the facts with their positions. Raises as `save`."""
    for team_id, customer_id, key in recording.unbound:
        query = BOOK.bind("delete_identity", team_id=team_id, customer_id=customer_id, **key._asdict())
        await connection.execute(*query)
    writes = Writes()
    writes.create_customers(recording.created)
    writes.change_customers(recording.changed, context.customers)
    writes.bind(recording.bound)
    writes.switched = [(team, *key, *binding) for (team, key), binding in recording.switched.items()]
    writes.departed = sorted((team, *key, at) for (team, key), at in recording.departed.items())
    writes.learned = sorted((*key, customer) for key, customer in recording.tokens.items())
    writes.new_orders = _new(recording.orders, context.orders)
    writes.changed_orders = _changed(recording.orders, context.orders)
    writes.new_refunds = _new(recording.refunds, context.refunds)
    writes.changed_refunds = _changed(recording.refunds, context.refunds)
    writes.remember_keys(recording.keys, recording.facts)
    await note_conflicts(connection, recording.conflicts, now)
    return await save(connection, writes, recording.facts, now)


def _new(reports: Mapping[OrderId, Any], context: Mapping[OrderId, Any]) -> list[tuple[Any, ...]]:
    return sorted(
        (*key, report.order_key if isinstance(report, Order) else report.refund_key, *_row(report))
        for key, report in reports.items()
        if key not in context
    )


def _changed(reports: Mapping[OrderId, Any], context: Mapping[OrderId, Any]) -> list[tuple[Any, ...]]:
    """With how they counted when they were read: a transaction that is late changes no row."""
    return sorted(
        (*key, *_row(report), int(context[key].uncounted))
        for key, report in reports.items()
        if key in context
    )


def _row(report: Order | Refund) -> tuple[Any, ...]:
    return (report.customer_id, int(report.uncounted), report.occurred_at, _ENCODE(report.body))


def _context(row: Row) -> EventContext:
    """What was found of reports, and the customers, if they were locked."""
    return EventContext(
        unsigned_counts=dict(map(tuple, row["policies"] or ())),
        customers=by_key(row["customers"]),
        keys={(team, key): KeyUse(digest, customer) for team, key, digest, customer in row["keys"] or ()},
        orders={
            (team, shop, order_id): Order(key, customer, _ORDER.decode(body), Uncounted(uncounted), at)
            for team, shop, order_id, key, customer, uncounted, at, body in row["orders"] or ()
        },
        refunds={
            (team, shop, refund_id): Refund(key, customer, _REFUND.decode(body), Uncounted(uncounted), at)
            for team, shop, refund_id, key, customer, uncounted, at, body in row["refunds"] or ()
        },
    )


def _note_people(context: EventContext, row: Row) -> None:
    context.members = _by_text(row["members"])
    context.phones = _by_text(row["phones"])
    context.emails = _by_text(row["emails"])
    context.tokens = _by_text(row["tokens"])
    context.identities = {
        (team, IdentityKey(channel, account, external)): Binding(*binding)
        for team, channel, account, external, *binding in row["identities"] or ()
    }
    context.departures = {
        (team, IdentityKey(channel, account, external)): left_at
        for team, channel, account, external, left_at in row["departures"] or ()
    }


def _by_text(rows: Iterable[Any] | None) -> dict[tuple[UUID, str], UUID]:
    return {(team, text): customer for team, text, customer in rows or ()}


def _identities_of(event: Event) -> list[IdentityKey]:
    body = event.body
    own = [getattr(body, "identity", None), body.moved_to if isinstance(body, ContactMoved) else None]
    return [key for key in (event.selector.identity, *own) if key is not None]


def _named(context: EventContext, event: Event) -> list[UUID]:
    """Every customer that an event may turn out to be about."""
    found = [each.customer_id for each in candidates(context, event.team_id, event.hints)]
    found += [
        context.identities[event.team_id, key].customer_id
        for key in _identities_of(event)
        if (event.team_id, key) in context.identities
    ]
    return found


def _is_found(context: EventContext, event: Event) -> bool:
    """Whether nobody will have to be created, as far as is context before the customers are read."""
    anonymous = event.selector.is_empty() and not _identities_of(event)
    return anonymous or bool(_named(context, event))


def _customers_named(context: EventContext, events: Iterable[Event]) -> set[tuple[UUID, UUID]]:
    named = {(event.team_id, customer) for event in events for customer in _named(context, event)}
    reports: list[tuple[OrderId, Order | Refund]] = [*context.orders.items(), *context.refunds.items()]
    named.update((key[0], report.customer_id) for key, report in reports if report.customer_id is not None)
    return named


async def _note_missing(connection: Connection, context: EventContext, named: _Named) -> None:
    """Says which customers that are named, and not there, were erased. Raises CollisionError where one just went."""
    reports: list[tuple[OrderId, Order | Refund]] = [*context.orders.items(), *context.refunds.items()]
    owners = {(key[0], report.customer_id) for key, report in reports if report.customer_id is not None}
    bound = {(team, binding.customer_id) for (team, _), binding in context.identities.items()}
    missing = (owners | bound | named.customers) - context.customers.keys() - context.merged.keys()
    if not missing:
        return
    context.erased = await load_erased(connection, missing)
    if bound & missing or (owners & missing) - context.erased:
        raise CollisionError("the customer of an order or an identity went away")


def lead_on(context: EventContext, merged: Iterable[Any] | None, known: Container[tuple[UUID, UUID]]) -> None:
    """Lets whatever leads to customers who were merged lead to whom they were merged into, who are `known`.

    Raises CollisionError if one of those was merged in turn meanwhile.
    """
    if not merged:
        return
    leads = context.merged = {(team, customer): survivor for team, customer, survivor in merged}
    if any((team, survivor) not in known for (team, _), survivor in leads.items()):
        raise CollisionError("a customer was merged while events were recorded")
    for index in (context.members, context.phones, context.emails, context.tokens):
        for (team, text), customer in index.items():
            index[team, text] = leads.get((team, customer), customer)
    for (team, key), binding in context.identities.items():
        survivor = leads.get((team, binding.customer_id), binding.customer_id)
        context.identities[team, key] = binding._replace(customer_id=survivor)
    _lead_reports_on(context.orders, leads)
    _lead_reports_on(context.refunds, leads)


def _lead_reports_on(reports: dict[OrderId, Report], leads: Mapping[CustomerKey, UUID]) -> None:
    for place, report in reports.items():
        if report.customer_id is not None and (led := leads.get((place[0], report.customer_id))):
            reports[place] = msgspec.structs.replace(report, customer_id=led)
