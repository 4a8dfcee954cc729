"""Saved audiences."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.errors import NotFound
from libs.common.text import fold
from services.segment.domain.views import SavedAudience
from services.segment.store.base import BOOK, Row


async def insert_audience(
    connection: Connection, team_id: UUID, audience_id: UUID, name: str, audience: bytes, *, now: datetime
) -> SavedAudience:
    """A new one; a name that is taken is refused by its constraint."""
    return await _write(connection, "insert_saved_audience", team_id, audience_id, name, audience, now)


async def update_audience(
    connection: Connection, team_id: UUID, audience_id: UUID, name: str, audience: bytes, *, now: datetime
) -> SavedAudience:
    """The changed one, which was locked before; a name that is taken is refused by its constraint."""
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
    row = await connection.fetchrow(BOOK[query], team_id, audience_id, name, fold(name), *rest)
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
