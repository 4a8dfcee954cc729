"""Customers: reading them whole, and what people's edits need and write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, fetch_alone, replanned, transaction
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment.domain.edits import EditContext, Edited, Profile
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
from services.segment.domain.recorder import Recorder
from services.segment.domain.views import CustomerParts
from services.segment.store.base import BOOK, customer_of, lock_customers
from services.segment.store.changes import load_traits
from services.segment.store.events import lead_on, load_hinted
from services.segment.store.merged import merged_customers
from services.segment.store.writes import Writes, save

_NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""For finding a customer, which depends on no time."""


_ACTIVE: Final = CustomerParts()
_BARE: Final = CustomerParts(tags=False, attributes=False, identities=False)


async def load_views(
    connection: Connection, keys: Iterable[CustomerKey], wanted: CustomerParts = _ACTIVE
) -> dict[CustomerKey, CustomerView]:
    """Customers with what belongs to them; those that are not there are left out."""
    return _views(await connection.fetch(*_views_query(None, set(keys), wanted)))


async def read_views(
    pool: Pool, keys: Iterable[CustomerKey], wanted: CustomerParts = _ACTIVE
) -> dict[CustomerKey, CustomerView]:
    """`load_views` as a transaction of its own, in one statement; of those who were merged the view of whom into."""
    distinct = set(keys)
    teams = list({team for team, _ in distinct})
    views = _views(await fetch_alone(pool, *_views_query(teams, distinct, wanted)))
    if missing := distinct - views.keys():
        views.update(await _views_of_merged(pool, missing, wanted))
    return views


async def _views_of_merged(
    pool: Pool, keys: Iterable[CustomerKey], wanted: CustomerParts
) -> dict[CustomerKey, CustomerView]:
    """By the customers who were merged those whom they were merged into."""
    distinct = set(keys)
    async with transaction(pool, {team for team, _ in distinct}) as connection:
        merged = await merged_customers(connection, distinct)
        if not merged:
            return {}
        survivors = {(key[0], survivor) for key, survivor in merged.items()}
        views = await load_views(connection, survivors, wanted)
    return {key: views[key[0], each] for key, each in merged.items() if (key[0], each) in views}


def _views_query(teams: list[UUID] | None, keys: set[CustomerKey], wanted: CustomerParts) -> tuple[Any, ...]:
    return BOOK.bind(
        "load_customer_views",
        teams=teams,
        keys=list(keys),
        with_tags=wanted.tags,
        with_values=wanted.attributes,
        with_archived=wanted.archived,
        with_identities=wanted.identities,
    )


def _views(rows: Iterable[Any]) -> dict[CustomerKey, CustomerView]:
    views: dict[CustomerKey, CustomerView] = {}
    for row in rows:
        *own, tags, values, identities = row
        views[own[0], own[1]] = CustomerView(
            Customer(*own),
            tuple(tags or ()),
            dict(map(tuple, values or ())),
            tuple(
                Identity(IdentityKey(channel, account, external), blocked, bound_at)
                for channel, account, external, blocked, bound_at in identities or ()
            ),
        )
    return views


async def list_customers(
    connection: Connection, team_id: UUID, *, keyword: str, phone: str, after: UUID | None, row_max: int
) -> list[Customer]:
    """Customers in order of their ids; `keyword` empty: all; `phone` is the number that it is, empty for none."""
    await replanned(connection)
    page = {"team_id": team_id, "after": after, "row_max": row_max}
    if keyword:
        folded = fold(keyword)
        query = BOOK.bind("search_customers", **page, keyword=folded, phone=phone or folded)
    else:
        query = BOOK.bind("list_customers", **page)
    rows = await connection.fetch(*query)
    return [customer_of(row) for row in rows]


async def list_tags(
    connection: Connection, team_id: UUID, after: str, row_max: int
) -> list[tuple[str, str, int]]:
    """Tags in use: folded, as written by somebody, customers."""
    await replanned(connection)
    rows = await connection.fetch(*BOOK.bind("list_tags", team_id=team_id, after=after, row_max=row_max))
    return [(row["tag_folded"], row["tag"], row["customers"]) for row in rows]


async def find_customer(connection: Connection, team_id: UUID, selector: Selector) -> UUID | None:
    """The customer that an event with this selector would go to; nothing is locked."""
    event = Event(team_id, "", selector, _NO_TIME, TeamInteracted())
    context = await load_hinted(connection, event)
    ids = {
        *context.members.values(),
        *context.phones.values(),
        *context.emails.values(),
        *context.tokens.values(),
    }
    ids |= {binding.customer_id for binding in context.identities.values()}
    ids |= {selector.customer_id} if selector.customer_id else set()
    keys = {(team_id, each) for each in ids}
    views = await load_views(connection, keys, _BARE)
    if missing := keys - views.keys():
        merged = await merged_customers(connection, missing)
        views.update(await load_views(connection, {(team_id, each) for each in merged.values()}, _BARE))
        lead_on(context, [(*key, survivor) for key, survivor in merged.items()], views)
        if selector.customer_id and (led := merged.get((team_id, selector.customer_id))):
            event = msgspec.structs.replace(event, selector=Selector(customer_id=led))
    context.customers = {key: view.customer for key, view in views.items()}
    found = Recorder(context, _NO_TIME, iter(())).find(event)
    return None if found is None else found.customer_id


async def find_listed(
    connection: Connection, team_id: UUID, hints: Sequence[tuple[str, str, str]]
) -> list[Listed]:
    """Whom each line of a list names by member id, e-mail address, phone ('' is no hint), in order."""
    lines = [
        (item, fold(member_id) if member_id else None, fold(email) if email else None, phone or None)
        for item, (member_id, email, phone) in enumerate(hints)
    ]
    rows = await connection.fetch(*BOOK.bind("find_listed", team_id=team_id, lines=lines))
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


async def load_for_creation(
    connection: Connection, team_id: UUID, profiles: Sequence[Profile]
) -> EditContext:
    """What new customers may collide with. Customers of their member ids are locked, and nobody else creates any."""
    await connection.execute(*BOOK.bind("guard_creation", team_id=team_id))
    context = EditContext(members=await _load_members(connection, team_id, profiles))
    wanted = set(context.members.values()) | {p.customer_id for p in profiles if p.customer_id is not None}
    context.customers = await lock_customers(connection, {(team_id, each) for each in wanted})
    if missing := {(team_id, each) for each in wanted} - context.customers.keys():
        context.merged = await merged_customers(connection, missing)
    await _load_additions(connection, context, team_id, profiles)
    return context


async def load_for_edit(
    connection: Connection, team_id: UUID, edits: Sequence[tuple[UUID, Profile]]
) -> EditContext:
    """Customers to be edited, locked, and what the profiles name of their traits and of others' bindings."""
    context = EditContext(
        customers=await lock_customers(connection, {(team_id, customer) for customer, _ in edits})
    )
    profiles = [profile for _, profile in edits]
    context.members = await _load_members(connection, team_id, profiles)
    await _load_additions(connection, context, team_id, profiles)
    tags = {(team_id, customer, fold(tag)) for customer, profile in edits for tag in profile.tags}
    values = {(team_id, customer, key) for customer, profile in edits for key, _ in profile.attributes}
    context.traits = await load_traits(connection, tags, values)
    return context


async def save_edited(
    connection: Connection, edited: Edited, before: dict[CustomerKey, Customer], now: datetime
) -> list[Fact]:
    """Writes it all; returns the facts with their positions. Raises as `save`."""
    for team_id, customer_id, key in edited.unbound:
        query = BOOK.bind("delete_identity", team_id=team_id, customer_id=customer_id, **key._asdict())
        await connection.execute(*query)
    writes = Writes()
    writes.create_customers(edited.created)
    writes.change_customers(edited.changed, before)
    writes.bind(edited.bound)
    writes.change_traits(edited.traits)
    return await save(connection, writes, edited.facts, now)


async def _load_members(
    connection: Connection, team_id: UUID, profiles: Sequence[Profile]
) -> dict[tuple[UUID, str], UUID]:
    members = {(team_id, fold(p.member_id)) for p in profiles if p.member_id is not None}
    if not members:
        return {}
    rows = await connection.fetch(*BOOK.bind("find_members", keys=list(members)))
    return {(row["team_id"], row["key"]): row["customer_id"] for row in rows}


async def _load_additions(
    connection: Connection, context: EditContext, team_id: UUID, profiles: Sequence[Profile]
) -> None:
    identities = {(team_id, *key, False) for profile in profiles for key in profile.identities}
    if identities:
        rows = await connection.fetch(*BOOK.bind("find_identities", keys=list(identities)))
        context.identities = {
            (row["team_id"], IdentityKey(row["channel"], row["account_id"], row["external_id"])): Binding(
                row["customer_id"], row["blocked"]
            )
            for row in rows
        }
    keys = {(team_id, NOBODY, key) for profile in profiles for key, _ in profile.attributes}
    context.traits = await load_traits(connection, (), keys)
