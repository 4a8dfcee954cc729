"""Saved audiences. The condition is kept as the message of the contract, whose compatibility is checked anyway."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from libs.common.db.pool import Connection
from libs.common.errors import AlreadyExists, NotFound
from libs.common.text import fold
from services.segment.store.base import BOOK, Row


class SavedAudience(msgspec.Struct, frozen=True):
    """A row; `audience` is the serialised message."""

    audience_id: UUID
    name: str
    audience: bytes
    revision: int
    create_time: datetime
    update_time: datetime


async def insert_audience(
    connection: Connection, team_id: UUID, audience_id: UUID, name: str, audience: bytes, *, now: datetime
) -> SavedAudience:
    """A new one. Raises AlreadyExists for a name that is taken."""
    return await _write(connection, "insert_saved_audience", team_id, audience_id, name, audience, now)


async def update_audience(
    connection: Connection, team_id: UUID, audience_id: UUID, name: str, audience: bytes, *, now: datetime
) -> SavedAudience:
    """The changed one, which was locked before. Raises AlreadyExists for a name that is taken."""
    return await _write(connection, "update_saved_audience", team_id, audience_id, name, audience, now)


async def load_audience(
    connection: Connection, team_id: UUID, audience_id: UUID, *, lock: bool = False
) -> SavedAudience:
    """One of a team. Raises NotFound."""
    query = "lock_saved_audience" if lock else "load_saved_audience"
    row = await connection.fetchrow(BOOK[query], team_id, audience_id)
    if row is None:
        raise NotFound.of("audience", audience_id)
    return _audience_of(row)


async def delete_audience(connection: Connection, team_id: UUID, audience_id: UUID) -> None:
    """Nothing happens when it is gone."""
    await connection.execute(BOOK["delete_saved_audience"], team_id, audience_id)


async def list_audiences(
    connection: Connection, team_id: UUID, after: UUID | None, row_max: int
) -> list[SavedAudience]:
    """In order of their ids."""
    rows = await connection.fetch(BOOK["list_saved_audiences"], team_id, after, row_max)
    return [_audience_of(row) for row in rows]


async def _write(
    connection: Connection, query: str, team_id: UUID, audience_id: UUID, name: str, *rest: object
) -> SavedAudience:
    try:
        row = await connection.fetchrow(BOOK[query], team_id, audience_id, name, fold(name), *rest)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists.value_taken("name") from error
    assert row is not None
    return _audience_of(row)


def _audience_of(row: Row) -> SavedAudience:
    return SavedAudience(
        audience_id=row["audience_id"],
        name=row["name"],
        audience=row["audience"],
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
