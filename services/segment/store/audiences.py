"""Saved audiences."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.errors import NotFound
from libs.common.text import fold
from services.segment.domain.views import SavedAudience
from services.segment.store.base import BOOK, Row


async def insert_audience(
    connection: Connection,
    team_id: UUID,
    audience_id: UUID,
    name: str,
    audience: bytes,
    *,
    named: Iterable[UUID],
    now: datetime,
) -> SavedAudience:
    """A new one, with the audiences that it names; a name that is taken is refused by its constraint."""
    columns = _columns(name, audience, named, now)
    return await _write(connection, "insert_audience", team_id, audience_id, columns)


async def update_audience(
    connection: Connection,
    team_id: UUID,
    audience_id: UUID,
    name: str,
    audience: bytes,
    *,
    named: Iterable[UUID],
    now: datetime,
) -> SavedAudience:
    """The changed one, which was locked before; a name that is taken is refused by its constraint."""
    columns = _columns(name, audience, named, now)
    return await _write(connection, "update_audience", team_id, audience_id, columns)


async def hold_audiences(connection: Connection, team_id: UUID) -> None:
    """Until the transaction ends nobody else changes what the team's saved audiences name."""
    await connection.execute(*BOOK.bind("hold_audiences", team_id=team_id))


async def load_audience(
    connection: Connection, team_id: UUID, audience_id: UUID, *, lock: bool = False
) -> SavedAudience:
    """One of a team. Raises NotFound."""
    query = "lock_audience" if lock else "load_audience"
    row = await connection.fetchrow(*BOOK.bind(query, team_id=team_id, audience_id=audience_id))
    if row is None:
        raise NotFound.of("audience", audience_id)
    return _audience_of(row)


async def delete_audience(connection: Connection, team_id: UUID, audience_id: UUID) -> None:
    """Raises NotFound when it is gone."""
    query = BOOK.bind("delete_audience", team_id=team_id, audience_id=audience_id)
    if not await connection.fetchval(*query):
        raise NotFound.of("audience", audience_id)


async def list_audiences(
    connection: Connection, team_id: UUID, after: UUID | None, row_max: int
) -> list[SavedAudience]:
    """In order of their ids."""
    rows = await connection.fetch(*BOOK.bind("list_audiences", team_id=team_id, after=after, row_max=row_max))
    return [_audience_of(row) for row in rows]


async def reached_audiences(
    connection: Connection, keys: Iterable[tuple[UUID, UUID]]
) -> list[tuple[UUID, SavedAudience]]:
    """Some (team and id) that are there, and those that they name, be it through others; each with its team."""
    asked = sorted(set(keys))
    query = BOOK.bind(
        "reached_audiences", teams=[team for team, _ in asked], audiences=[audience for _, audience in asked]
    )
    return [(row["team_id"], _audience_of(row)) for row in await connection.fetch(*query)]


async def reaching_audiences(connection: Connection, team_id: UUID, audience_id: UUID) -> list[SavedAudience]:
    """Those that name one, be it through others."""
    query = BOOK.bind("reaching_audiences", team_id=team_id, audience_id=audience_id)
    return [_audience_of(row) for row in await connection.fetch(*query)]


async def naming_audiences(
    connection: Connection, team_id: UUID, audience_id: UUID, row_max: int
) -> list[SavedAudience]:
    """The first that name one themselves."""
    query = BOOK.bind("naming_audiences", team_id=team_id, audience_id=audience_id, row_max=row_max)
    return [_audience_of(row) for row in await connection.fetch(*query)]


async def _write(
    connection: Connection, query: str, team_id: UUID, audience_id: UUID, columns: dict[str, Any]
) -> SavedAudience:
    row = await connection.fetchrow(*BOOK.bind(query, team_id=team_id, audience_id=audience_id, **columns))
    assert row is not None
    return _audience_of(row)


def _columns(name: str, audience: bytes, named: Iterable[UUID], now: datetime) -> dict[str, Any]:
    return {
        "name": name,
        "name_folded": fold(name),
        "audience": audience,
        "named": sorted(named),
        "now": now,
    }


def _audience_of(row: Row) -> SavedAudience:
    return SavedAudience(
        audience_id=row["audience_id"],
        name=row["name"],
        audience=row["audience"],
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
