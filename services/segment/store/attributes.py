"""Definitions of attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from libs.common.audience.expressions import AttributeType
from libs.common.db.pool import Connection
from libs.common.errors import AlreadyExists, NotFound
from services.segment.domain.customer_changes import CustomerChanges
from services.segment.domain.facts import AttributeDefined, Fact
from services.segment.domain.model import Attribute
from services.segment.store.base import BOOK
from services.segment.store.changes import attribute_of
from services.segment.store.writes import Writes, save


async def insert_attribute(
    connection: Connection, team_id: UUID, key: str, display_name: str, kind: AttributeType, *, now: datetime
) -> Attribute:
    """A new definition. Raises AlreadyExists when the key is taken, also by an archived one."""
    query = BOOK.bind(
        "insert_attribute", team_id=team_id, key=key, display_name=display_name, type=kind, now=now
    )
    row = await connection.fetchrow(*query)
    if row is None:
        raise AlreadyExists.value_taken("key")
    return attribute_of(row)


async def lock_attribute(connection: Connection, team_id: UUID, key: str) -> Attribute:
    """A definition, locked. Raises NotFound."""
    row = await connection.fetchrow(*BOOK.bind("lock_attribute", team_id=team_id, key=key))
    if row is None:
        raise NotFound.of("attribute", key)
    return attribute_of(row)


async def update_attribute(connection: Connection, changed: Attribute, now: datetime) -> Attribute:
    """The changed definition, which was locked before."""
    query = BOOK.bind(
        "update_attribute",
        team_id=changed.team_id,
        key=changed.key,
        display_name=changed.display_name,
        type=changed.type,
        archived=changed.archived,
        now=now,
    )
    row = await connection.fetchrow(*query)
    assert row is not None
    return attribute_of(row)


async def save_definition_fact(
    connection: Connection,
    attribute: Attribute,
    old_type: int,
    now: datetime,
    ids: Iterator[UUID],
) -> list[Fact]:
    """Writes the fact that a definition is new or has changed, by which running journeys are warned."""
    pending = CustomerChanges({}, now, ids)
    body = AttributeDefined(attribute.key, attribute.type, attribute.archived, old_type)
    pending.emit_for_team(attribute.team_id, now, body)
    return await save(connection, Writes(), pending.facts, now)


async def find_attributes(
    connection: Connection, keys: Iterable[tuple[UUID, str]]
) -> dict[tuple[UUID, str], Attribute]:
    """Definitions by team and key; those that do not exist are left out."""
    rows = await connection.fetch(*BOOK.bind("find_attributes", keys=sorted(set(keys))))
    return {(row["team_id"], row["key"]): attribute_of(row) for row in rows}


async def usable_attributes(connection: Connection, team_id: UUID) -> dict[str, AttributeType]:
    """The team's active attributes with their types."""
    rows = await connection.fetch(*BOOK.bind("active_attributes", team_id=team_id))
    return {row["key"]: AttributeType(row["type"]) for row in rows}


async def list_attributes(
    connection: Connection, team_id: UUID, *, after: str, archived: bool | None, row_max: int
) -> list[Attribute]:
    """Definitions in order of their keys; `archived` None: all."""
    query = BOOK.bind("list_attributes", team_id=team_id, after=after, archived=archived, row_max=row_max)
    rows = await connection.fetch(*query)
    return [attribute_of(row) for row in rows]
