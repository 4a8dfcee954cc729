"""Reading what a batch of effects names, and writing what was decided about it; tags and values for edits as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.text import fold
from services.segment.domain.changing import Applied, EffectUse, TagKey, TraitChanges, Traits, ValueKey
from services.segment.domain.desk import CustomerKey
from services.segment.domain.facts import Fact
from services.segment.domain.model import (
    Attribute,
    AttributeChange,
    AttributeType,
    AttributeValue,
    Change,
    Customer,
    TagChange,
)
from services.segment.store.base import BOOK, Row, append_facts, columns, lock_customers
from services.segment.store.batches import update_customers


async def load_for_changes(
    connection: Connection, changes: Sequence[Change]
) -> tuple[dict[CustomerKey, Customer], Traits, dict[tuple[UUID, UUID], EffectUse]]:
    """The customers, locked; their tags and values as far as they are named; and the effects that came before."""
    customers = await lock_customers(connection, {(c.team_id, c.customer_id) for c in changes})
    rows = await connection.fetch(
        BOOK["find_effects"], *columns({(c.team_id, c.effect_key) for c in changes}, 2)
    )
    effects = {
        (row["team_id"], row["effect_key"]): EffectUse(row["digest"], row["status"], row["reason"])
        for row in rows
    }
    tags: set[TagKey] = set()
    values: set[ValueKey] = set()
    for change in changes:
        match change.body:
            case TagChange(add=add, remove=remove):
                tags.update((change.team_id, change.customer_id, fold(tag)) for tag in (*add, *remove))
            case AttributeChange(key=key):
                values.add((change.team_id, change.customer_id, key))
    return customers, await load_traits(connection, tags, values), effects


async def load_traits(connection: Connection, tags: Iterable[TagKey], values: Iterable[ValueKey]) -> Traits:
    """The named tags and values as they are, and the definitions of the attributes named."""
    traits = Traits()
    if wanted_tags := sorted(set(tags)):
        rows = await connection.fetch(BOOK["find_tags"], *columns(wanted_tags, 3))
        traits.tags = {(r["team_id"], r["customer_id"], r["tag_folded"]): r["tag"] for r in rows}
    if wanted_values := sorted(set(values)):
        rows = await connection.fetch(BOOK["find_values"], *columns(wanted_values, 3))
        traits.values = {
            (r["team_id"], r["customer_id"], r["key"]): AttributeValue(r["type"], r["value"]) for r in rows
        }
        keys = sorted({(team, key) for team, _, key in wanted_values})
        rows = await connection.fetch(BOOK["find_attributes"], *columns(keys, 2))
        traits.attributes = {(r["team_id"], r["key"]): attribute_of(r) for r in rows}
    return traits


async def save_applied(
    connection: Connection, applied: Applied, before: dict[CustomerKey, Customer]
) -> list[Fact]:
    """Writes it all; returns the facts with their positions.

    Raises the driver's UniqueViolationError when another transaction applied one of the effects first.
    """
    await update_customers(connection, applied.changed, before)
    await save_traits(connection, applied.traits, applied.facts)
    if applied.effects:
        rows = sorted((*key, use.digest, use.status, use.reason) for key, use in applied.effects.items())
        await connection.execute(BOOK["insert_effects"], *columns(rows, 5))
    return await append_facts(connection, applied.facts)


async def save_traits(connection: Connection, changes: TraitChanges, facts: Sequence[Fact]) -> None:
    """Writes tags and values that are different now. Tags are in order of application by the time of recording."""
    at = facts[0].record_time if facts else None
    await _write(connection, "delete_tags", [key for key, tag in changes.tags.items() if tag is None], 3)
    applied = [(*key, tag, at) for key, tag in changes.tags.items() if tag is not None]
    await _write(connection, "insert_tags", applied, 5)
    gone = [key for key, value in changes.values.items() if value is None]
    await _write(connection, "delete_values", gone, 3)
    kept = [_value_row(key, value) for key, value in changes.values.items() if value is not None]
    await _write(connection, "upsert_values", kept, 7)


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


def _value_row(key: ValueKey, value: AttributeValue) -> tuple[Any, ...]:
    number = Decimal(value.text) if value.type == AttributeType.NUMBER else None
    return (*key, int(value.type), value.text, fold(value.text), number)


async def _write(connection: Connection, query: str, rows: Sequence[Sequence[Any]], width: int) -> None:
    if rows:
        await connection.execute(BOOK[query], *columns(rows, width))
