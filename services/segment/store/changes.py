"""Batches of changes: reading what they name, and writing what was decided about them; traits for edits as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.audience.expressions import AttributeType
from libs.common.db.pool import Connection, Pool, fetch_alone
from libs.common.ids import CustomerKey
from libs.common.text import fold
from services.segment.domain.changes import (
    NOBODY_MERGED,
    Applied,
    EffectUse,
    TagKey,
    Traits,
    ValueKey,
    led_on,
)
from services.segment.domain.facts import Fact
from services.segment.domain.model import (
    Attribute,
    AttributeChange,
    AttributeValue,
    Change,
    Customer,
    MarketedChange,
    TagChange,
)
from services.segment.domain.results import APPLIED, ChangeResult, ChangeStatus
from services.segment.store.base import BOOK, Row, by_key
from services.segment.store.merged import merged_customers
from services.segment.store.writes import Writes, save

_UNCHANGED: Final = ChangeResult(ChangeStatus.UNCHANGED)
_MISSING: Final = ChangeResult(ChangeStatus.REFUSED, "RESOURCE_NOT_FOUND")


class ChangeContext(NamedTuple):
    """What a batch of changes names, as it is."""

    customers: dict[CustomerKey, Customer]
    traits: Traits
    effects: dict[tuple[UUID, UUID], EffectUse]
    """Those that came before."""
    merged: Mapping[CustomerKey, UUID] = NOBODY_MERGED
    """Of the customers who are named those who were merged, and whom into."""


async def load_change_context(connection: Connection, changes: Sequence[Change]) -> ChangeContext:
    """The customers, locked; their tags and values as far as they are named; and the effects that came before. Of those
    who were merged all is that of whom they were merged into."""
    context = await _load_named(connection, changes, NOBODY_MERGED)
    missing = {(each.team_id, each.customer_id) for each in changes} - context.customers.keys()
    merged = await merged_customers(connection, missing) if missing else NOBODY_MERGED
    if not merged:
        return context
    return (await _load_named(connection, changes, merged))._replace(merged=merged)


async def _load_named(
    connection: Connection, changes: Sequence[Change], merged: Mapping[CustomerKey, UUID]
) -> ChangeContext:
    changes = [led_on(change, merged) for change in changes]
    customers = list({(change.team_id, change.customer_id) for change in changes})
    effects = list({(change.team_id, change.effect_key) for change in changes})
    tags: set[TagKey] = set()
    values: set[ValueKey] = set()
    for change in changes:
        match change.body:
            case TagChange(add=add, remove=remove):
                tags.update((change.team_id, change.customer_id, fold(tag)) for tag in (*add, *remove))
            case AttributeChange(key=key):
                values.add((change.team_id, change.customer_id, key))
    return await _load_context(connection, customers, effects, tags, values)


async def load_traits(connection: Connection, tags: Iterable[TagKey], values: Iterable[ValueKey]) -> Traits:
    """The named tags and values as they are, and the definitions of the attributes named."""
    return (await _load_context(connection, (), (), set(tags), set(values))).traits


async def _load_context(
    connection: Connection,
    customers: Sequence[CustomerKey],
    effects: Sequence[tuple[UUID, UUID]],
    tags: set[TagKey],
    values: set[ValueKey],
) -> ChangeContext:
    attributes = {(team, key) for team, _, key in values}
    named = {
        "customers": list(customers),
        "effects": list(effects),
        "tags": list(tags),
        "own_values": list(values),
        "attributes": list(attributes),
    }
    if not any(named.values()):
        return ChangeContext({}, Traits(), {})
    tagged = list({(team, customer) for team, customer, _ in tags})
    query = BOOK.bind(
        "load_change_context", tagged=tagged or None, **{name: rows or None for name, rows in named.items()}
    )
    row = await connection.fetchrow(*query)
    assert row is not None
    traits = Traits(
        attributes={(each[0], each[1]): attribute_of(each) for each in row["attributes"] or ()},
        tags={(team, customer, folded): tag for team, customer, folded, tag in row["tags"] or ()},
        values={
            (team, customer, key): AttributeValue(kind, value)
            for team, customer, key, kind, value in row["own_values"] or ()
        },
        tag_counts=dict(zip(tagged, row["tag_counts"] or (), strict=False)),
    )
    used = {
        (team, key): EffectUse(digest, status, reason)
        for team, key, digest, status, reason in row["effects"] or ()
    }
    return ChangeContext(by_key(row["customers"]), traits, used)


async def save_applied(
    connection: Connection, applied: Applied, before: dict[CustomerKey, Customer], now: datetime
) -> list[Fact]:
    """Writes it all; returns the facts with their positions. Raises as `save`."""
    writes = Writes()
    writes.change_customers(applied.changed, before)
    writes.change_traits(applied.traits)
    writes.remember(applied.effects, applied.facts)
    return await save(connection, writes, applied.facts, now)


async def move_marketed_times(pool: Pool, changes: Sequence[Change], now: datetime) -> list[ChangeResult]:
    """Moves "team last marketed" of customers, each named once; a transaction of its own, in one statement."""
    rows: list[tuple[Any, ...]] = []
    for place, change in enumerate(changes):
        assert isinstance(change.body, MarketedChange)
        rows.append((change.team_id, change.customer_id, place, change.body.at))
    teams = list({change.team_id for change in changes})
    query = BOOK.bind("move_marketed_times", teams=teams, rows=rows, now=now)
    ((moved, present),) = await fetch_alone(pool, *query)
    if present is None:
        return [APPLIED] * len(changes)
    results = [_MISSING] * len(changes)
    for place in present:
        results[place] = _UNCHANGED
    for place in moved or ():
        results[place] = APPLIED
    return results


def attribute_of(row: Row) -> Attribute:
    """A definition from its row."""
    return Attribute(
        team_id=row["team_id"],
        key=row["key"],
        display_name=row["display_name"],
        type=AttributeType(row["type"]),
        archived=row["archived"],
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
