"""Reading what a batch of events names, and writing what was decided about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection
from libs.common.text import fold
from services.segment.domain.facts import Fact
from services.segment.domain.model import (
    Binding,
    Customer,
    Event,
    IdentityKey,
    Order,
    OrderCompleted,
    OrderRefunded,
    Refund,
    Uncounted,
)
from services.segment.domain.recorder import KeyUse, Known, OrderId, Recording, candidates
from services.segment.store.base import BOOK, CollisionError, append_facts, columns, lock_customers

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_ORDER: Final = msgspec.msgpack.Decoder(OrderCompleted)
_REFUND: Final = msgspec.msgpack.Decoder(OrderRefunded)


async def load_known(connection: Connection, events: Sequence[Event]) -> Known:
    """Everything that the events name; their customers are locked until the transaction ends."""
    teams = sorted({event.team_id for event in events})
    rows = await connection.fetch(BOOK["load_team_policies"], teams)
    known = Known(unsigned_counts={row["team_id"]: row["unsigned_orders_count"] for row in rows})
    await _find_keys(connection, known, events)
    await _find_orders(connection, known, events)
    await find_people(connection, known, events)
    creating = sorted({e.team_id for e in events if not _is_found(known, e)} & known.unsigned_counts.keys())
    if creating:
        # Whoever waited here may find now whom somebody else has just created.
        await connection.execute(BOOK["guard_creation"], creating)
        await find_people(connection, known, events)
    known.customers = await lock_customers(connection, _customers_named(known, events))
    _check_orders(known)
    return known


async def save_recording(connection: Connection, known: Known, recording: Recording) -> list[Fact]:
    """Writes it all; returns the facts with their positions.

    Raises CollisionError, or the driver's UniqueViolationError, when another transaction was faster.
    """
    await insert_customers(connection, recording.created)
    await update_customers(connection, recording.changed, known.customers)
    bound = [(b.team_id, b.customer_id, *b.key, b.bind_time) for b in recording.bound]
    await _write(connection, "insert_identities", bound, 6)
    blocked = [(team, *key, flag) for (team, key), flag in recording.blocked.items()]
    await _write(connection, "block_identities", blocked, 5)
    tokens = sorted((team, token, customer) for (team, token), customer in recording.tokens.items())
    await _write(connection, "insert_browsers", tokens, 3)
    orders = [_report_row(key, order.order_key, order) for key, order in recording.orders.items()]
    was_order = {key: order.uncounted for key, order in known.orders.items()}
    await _save_reports(connection, "orders", sorted(orders, key=_by_id), was_order)
    refunds = [_report_row(key, refund.refund_key, refund) for key, refund in recording.refunds.items()]
    was_refund = {key: refund.uncounted for key, refund in known.refunds.items()}
    await _save_reports(connection, "refunds", sorted(refunds, key=_by_id), was_refund)
    keys = sorted((*key, use.digest, use.customer_id) for key, use in recording.keys.items())
    await _write(connection, "insert_event_keys", keys, 4)
    return await append_facts(connection, recording.facts)


async def insert_customers(connection: Connection, customers: Sequence[Customer]) -> None:
    """Writes new customers. Raises the driver's UniqueViolationError for a member id that is taken."""
    rows = [
        (
            *_names_row(customer),
            customer.customer_interact_time,
            customer.team_interact_time,
            customer.marketed_time,
            customer.checkout_time,
            customer.mail_number,
            customer.revision,
            customer.create_time,
            customer.update_time,
        )
        for customer in customers
    ]
    await _write(connection, "insert_customers", rows, 17)


async def update_customers(
    connection: Connection, customers: Sequence[Customer], before: dict[tuple[UUID, UUID], Customer]
) -> None:
    """Writes changed customers; basic data only where it differs from `before`, since it is indexed."""
    times = [
        (
            customer.team_id,
            customer.customer_id,
            customer.customer_interact_time,
            customer.team_interact_time,
            customer.marketed_time,
            customer.checkout_time,
            customer.mail_number,
            customer.revision,
            customer.update_time,
        )
        for customer in customers
    ]
    await _write(connection, "update_customer_times", times, 9)
    names = [
        _names_row(customer)
        for customer in customers
        if _basics(customer) != _basics(before[customer.team_id, customer.customer_id])
    ]
    await _write(connection, "update_customer_names", names, 9)


def _basics(customer: Customer) -> tuple[str | None, ...]:
    return (customer.member_id, customer.name, customer.phone, customer.email)


def _names_row(customer: Customer) -> tuple[Any, ...]:
    return (
        customer.team_id,
        customer.customer_id,
        customer.member_id,
        None if customer.member_id is None else fold(customer.member_id),
        customer.name,
        fold(customer.name),
        customer.phone,
        customer.email,
        None if customer.email is None else fold(customer.email),
    )


async def _write(connection: Connection, query: str, rows: Sequence[Sequence[Any]], width: int) -> None:
    if rows:
        await connection.execute(BOOK[query], *columns(rows, width))


async def _save_reports(
    connection: Connection, table: str, rows: Sequence[tuple[Any, ...]], was: dict[OrderId, Uncounted]
) -> None:
    """`rows` begin with team, shop and id; `was` tells which of them are known, and how they counted."""
    await _write(connection, f"insert_{table}", [row for row in rows if row[:3] not in was], 8)
    changed = [(*row, int(was[row[:3]])) for row in rows if row[:3] in was]
    if changed:
        status = await connection.execute(BOOK[f"update_{table}"], *columns(changed, 9))
        if int(status.rpartition(" ")[2]) != len(changed):
            raise CollisionError(f"{table} changed while they were decided on")


def _by_id(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row[:3]


def _report_row(report_id: OrderId, key: UUID, report: Order | Refund) -> tuple[Any, ...]:
    body = _ENCODE(report.body)
    return (*report_id, key, report.customer_id, int(report.uncounted), report.occurred_at, body)


async def _find_keys(connection: Connection, known: Known, events: Sequence[Event]) -> None:
    rows = await connection.fetch(
        BOOK["find_event_keys"], *columns({(e.team_id, e.event_key) for e in events}, 2)
    )
    known.keys = {(r["team_id"], r["event_key"]): KeyUse(r["digest"], r["customer_id"]) for r in rows}


async def _find_orders(connection: Connection, known: Known, events: Sequence[Event]) -> None:
    order_ids: set[OrderId] = set()
    refund_ids: set[OrderId] = set()
    for event in events:
        match event.body:
            case OrderCompleted() as body:
                order_ids.add((event.team_id, body.shop_id, body.order_id))
            case OrderRefunded() as body:
                refund_ids.add((event.team_id, body.shop_id, body.refund_id))
                if body.order_id:
                    order_ids.add((event.team_id, body.shop_id, body.order_id))
    if order_ids:
        rows = await connection.fetch(BOOK["find_orders"], *columns(order_ids, 3))
        known.orders = {
            (row["team_id"], row["shop_id"], row["order_id"]): Order(
                row["order_key"],
                row["customer_id"],
                _ORDER.decode(row["body"]),
                Uncounted(row["uncounted"]),
                row["occur_time"],
            )
            for row in rows
        }
    if refund_ids:
        rows = await connection.fetch(BOOK["find_refunds"], *columns(refund_ids, 3))
        known.refunds = {
            (row["team_id"], row["shop_id"], row["refund_id"]): Refund(
                row["refund_key"],
                row["customer_id"],
                _REFUND.decode(row["body"]),
                Uncounted(row["uncounted"]),
                row["occur_time"],
            )
            for row in rows
        }


async def find_people(connection: Connection, known: Known, events: Iterable[Event]) -> None:
    """Who the selectors of the events lead to."""
    members: set[tuple[UUID, str]] = set()
    phones: set[tuple[UUID, str]] = set()
    emails: set[tuple[UUID, str]] = set()
    tokens: set[tuple[UUID, str]] = set()
    identities: set[tuple[Any, ...]] = set()
    for event in events:
        team, selector = event.team_id, event.selector
        if selector.member_id is not None:
            members.add((team, fold(selector.member_id)))
        if selector.phone is not None:
            phones.add((team, selector.phone))
        if selector.email is not None:
            emails.add((team, fold(selector.email)))
        if selector.browser_token is not None:
            tokens.add((team, selector.browser_token))
        identities.update((team, *key) for key in _identities_of(event))
    if members or phones or emails or tokens:
        hints = [column for found in (members, phones, emails, tokens) for column in columns(found, 2)]
        _sort_in(known, await connection.fetch(BOOK["find_customers"], *hints))
    if identities:
        rows = await connection.fetch(BOOK["find_identities"], *columns(identities, 4))
        known.identities = {
            (row["team_id"], IdentityKey(row["channel"], row["account_id"], row["external_id"])): Binding(
                row["customer_id"], row["blocked"]
            )
            for row in rows
        }


def _sort_in(known: Known, rows: Iterable[Any]) -> None:
    known.members, known.phones, known.emails, known.tokens = {}, {}, {}, {}
    by_kind = (known.members, known.phones, known.emails, known.tokens)
    for kind, team_id, key, customer_id in rows:
        by_kind[kind - 1][team_id, key] = customer_id


def _identities_of(event: Event) -> list[IdentityKey]:
    own = getattr(event.body, "identity", None)
    return [key for key in (event.selector.identity, own) if key is not None]


def _named(known: Known, event: Event) -> list[UUID]:
    """Every customer that an event may turn out to be about."""
    found = [customer for customer, _ in candidates(known, event.team_id, event.selector)]
    found += [
        known.identities[event.team_id, key].customer_id
        for key in _identities_of(event)
        if (event.team_id, key) in known.identities
    ]
    return found


def _is_found(known: Known, event: Event) -> bool:
    """Whether nobody will have to be created, as far as can be told before the customers are read."""
    nothing_told = event.selector.is_empty() and not _identities_of(event)
    return nothing_told or bool(_named(known, event))


def _customers_named(known: Known, events: Iterable[Event]) -> set[tuple[UUID, UUID]]:
    named = {(event.team_id, customer) for event in events for customer in _named(known, event)}
    reports: list[tuple[OrderId, Order | Refund]] = [*known.orders.items(), *known.refunds.items()]
    named.update((key[0], report.customer_id) for key, report in reports if report.customer_id is not None)
    return named


def _check_orders(known: Known) -> None:
    for (team, _, _), order in known.orders.items():
        if order.customer_id is not None and (team, order.customer_id) not in known.customers:
            raise CollisionError("the customer of an order went away")
