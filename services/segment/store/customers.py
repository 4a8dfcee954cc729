"""Customers: reading them whole, and what people's edits need and write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.text import fold
from services.segment.domain.desk import CustomerKey
from services.segment.domain.editing import Edited, EditKnown, Profile
from services.segment.domain.facts import NOBODY, Fact
from services.segment.domain.model import (
    Binding,
    Customer,
    CustomerView,
    Event,
    Identity,
    IdentityKey,
    Listed,
    Selector,
    TeamInteracted,
)
from services.segment.domain.recorder import Known, Recorder
from services.segment.store.base import BOOK, append_facts, columns, customer_of, lock_customers
from services.segment.store.batches import find_people, insert_customers, update_customers
from services.segment.store.changes import load_traits, save_traits

_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""For finding a customer, which depends on no time."""


async def load_views(
    connection: Connection, keys: Iterable[CustomerKey], *, archived: bool = False
) -> dict[CustomerKey, CustomerView]:
    """Customers with all that belongs to them; `archived`: with values of archived attributes, too."""
    arrays = columns(sorted(set(keys)), 2)
    customers = await connection.fetch(BOOK["load_customers"], *arrays)
    tags: dict[CustomerKey, list[str]] = defaultdict(list)
    for team, customer, tag in await connection.fetch(BOOK["customer_tags"], *arrays):
        tags[team, customer].append(tag)
    values: dict[CustomerKey, dict[str, str]] = defaultdict(dict)
    for row in await connection.fetch(BOOK["customer_values"], *arrays):
        if archived or not row["archived"]:
            values[row["team_id"], row["customer_id"]][row["key"]] = row["value"]
    identities: dict[CustomerKey, list[Identity]] = defaultdict(list)
    for row in await connection.fetch(BOOK["customer_identities"], *arrays):
        key = IdentityKey(row["channel"], row["account_id"], row["external_id"])
        identities[row["team_id"], row["customer_id"]].append(Identity(key, row["blocked"], row["bind_time"]))
    views: dict[CustomerKey, CustomerView] = {}
    for row in customers:
        at = (row["team_id"], row["customer_id"])
        views[at] = CustomerView(customer_of(row), tuple(tags[at]), dict(values[at]), tuple(identities[at]))
    return views


async def list_customers(
    connection: Connection, team_id: UUID, *, keyword: str, after: UUID | None, row_max: int
) -> list[Customer]:
    """Customers in order of their ids; `keyword` empty: all."""
    if keyword:
        rows = await connection.fetch(BOOK["search_customers"], team_id, after, row_max, fold(keyword))
    else:
        rows = await connection.fetch(BOOK["list_customers"], team_id, after, row_max)
    return [customer_of(row) for row in rows]


async def list_tags(
    connection: Connection, team_id: UUID, after: str, row_max: int
) -> list[tuple[str, str, int]]:
    """Tags in use: folded, as written by somebody, customers."""
    rows = await connection.fetch(BOOK["list_tags"], team_id, after, row_max)
    return [(row["tag_folded"], row["tag"], row["customers"]) for row in rows]


async def find_customer(connection: Connection, team_id: UUID, selector: Selector) -> UUID | None:
    """The customer that an event with this selector would go to; nothing is locked."""
    event = Event(team_id, "", selector, _NO_TIME, TeamInteracted())
    known = Known(unsigned_counts={})
    await find_people(connection, known, [event])
    ids = {*known.members.values(), *known.phones.values(), *known.emails.values(), *known.tokens.values()}
    ids |= {binding.customer_id for binding in known.identities.values()}
    ids |= {selector.customer_id} if selector.customer_id else set()
    rows = await connection.fetch(BOOK["load_customers"], *columns([(team_id, each) for each in ids], 2))
    known.customers = {(team_id, row["customer_id"]): customer_of(row) for row in rows}
    found = Recorder(known, _NO_TIME, iter(())).find(event)
    return None if found is None else found.customer_id


async def find_listed(
    connection: Connection, team_id: UUID, hints: Sequence[tuple[str, str, str]]
) -> list[Listed]:
    """Whom each line of a list names by member id, e-mail address, phone ('' is not told), in order."""
    columns_of = [[text or None for text in column] for column in zip(*hints, strict=True)]
    members, emails = ([fold(text) if text else None for text in column] for column in columns_of[:2])
    rows = await connection.fetch(
        BOOK["find_listed"], team_id, list(range(len(hints))), members, emails, columns_of[2]
    )
    found = [Listed() for _ in hints]
    ranks: dict[int, int] = {}
    for row in rows:
        item = row["item"]
        if ranks.setdefault(item, row["rank"]) != row["rank"]:
            continue  # an earlier hint has decided
        if found[item].customer_id is None and not found[item].ambiguous:
            found[item] = Listed(row["customer_id"], channels=tuple(row["channels"]))
        else:
            found[item] = Listed(ambiguous=True)
    return found


async def load_for_creation(connection: Connection, team_id: UUID, profiles: Sequence[Profile]) -> EditKnown:
    """What new customers may collide with. Customers of their member ids are locked, and nobody else creates any."""
    await connection.execute(BOOK["guard_creation"], [team_id])
    known = EditKnown()
    members = {(team_id, fold(p.member_id)) for p in profiles if p.member_id is not None}
    nothing: list[list[Any]] = [[], []]
    rows = await connection.fetch(BOOK["find_customers"], *columns(members, 2), *nothing, *nothing, *nothing)
    known.members = {(row["team_id"], row["key"]): row["customer_id"] for row in rows}
    wanted = set(known.members.values()) | {p.customer_id for p in profiles if p.customer_id is not None}
    known.customers = await lock_customers(connection, {(team_id, each) for each in wanted})
    await _load_additions(connection, known, team_id, profiles)
    return known


async def load_for_edit(
    connection: Connection, team_id: UUID, edits: Sequence[tuple[UUID, Profile]]
) -> EditKnown:
    """Customers to be edited, locked, and what the profiles name of their traits and of others' bindings."""
    known = EditKnown(
        customers=await lock_customers(connection, {(team_id, customer) for customer, _ in edits})
    )
    profiles = [profile for _, profile in edits]
    members = {(team_id, fold(p.member_id)) for p in profiles if p.member_id is not None}
    if members:
        nothing: list[list[Any]] = [[], []]
        rows = await connection.fetch(
            BOOK["find_customers"], *columns(members, 2), *nothing, *nothing, *nothing
        )
        known.members = {(row["team_id"], row["key"]): row["customer_id"] for row in rows}
    await _load_additions(connection, known, team_id, profiles)
    tags = {(team_id, customer, fold(tag)) for customer, profile in edits for tag in profile.tags}
    values = {(team_id, customer, key) for customer, profile in edits for key, _ in profile.attributes}
    known.traits = await load_traits(connection, tags, values)
    return known


async def save_edited(
    connection: Connection, edited: Edited, before: dict[CustomerKey, Customer]
) -> list[Fact]:
    """Writes it all; returns the facts with their positions. Raises the driver's UniqueViolationError."""
    await insert_customers(connection, edited.created)
    await update_customers(connection, edited.changed, before)
    for team_id, customer_id, key in edited.unbound:
        await connection.execute(BOOK["delete_identity"], team_id, *key, customer_id)
    if edited.bound:
        rows = [(b.team_id, b.customer_id, *b.key, b.bind_time) for b in edited.bound]
        await connection.execute(BOOK["insert_identities"], *columns(rows, 6))
    await save_traits(connection, edited.traits, edited.facts)
    return await append_facts(connection, edited.facts)


async def _load_additions(
    connection: Connection, known: EditKnown, team_id: UUID, profiles: Sequence[Profile]
) -> None:
    identities = {(team_id, *key) for profile in profiles for key in profile.identities}
    if identities:
        rows = await connection.fetch(BOOK["find_identities"], *columns(identities, 4))
        known.identities = {
            (row["team_id"], IdentityKey(row["channel"], row["account_id"], row["external_id"])): Binding(
                row["customer_id"], row["blocked"]
            )
            for row in rows
        }
    keys = {(team_id, NOBODY, key) for profile in profiles for key, _ in profile.attributes}
    known.traits = await load_traits(connection, (), keys)
