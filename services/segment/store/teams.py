"""Teams."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, connection_of, transaction
from libs.common.errors import AlreadyExists, NotFound
from services.segment.domain.model import Team, TeamSettings
from services.segment.store.base import BOOK, Row

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_SETTINGS: Final = msgspec.msgpack.Decoder(TeamSettings)


async def insert_team(
    connection: Connection, team_id: UUID, name: str, settings: TeamSettings, now: datetime
) -> Team:
    """A new team. Raises AlreadyExists when the id is taken."""
    row = await connection.fetchrow(*BOOK.bind("insert_team", **_columns(team_id, name, settings, now)))
    if row is None:
        raise AlreadyExists.value_taken("team_id")
    return _team_of(row)


async def lock_team(connection: Connection, team_id: UUID) -> Team:
    """A team, locked. Raises NotFound."""
    row = await connection.fetchrow(*BOOK.bind("lock_team", team_id=team_id))
    if row is None:
        raise NotFound.of("team", team_id)
    return _team_of(row)


async def update_team(
    connection: Connection, team_id: UUID, name: str, settings: TeamSettings, now: datetime
) -> Team:
    """The changed team, which was locked before."""
    row = await connection.fetchrow(*BOOK.bind("update_team", **_columns(team_id, name, settings, now)))
    assert row is not None
    return _team_of(row)


async def load_teams(connection: Connection, team_ids: Iterable[UUID]) -> dict[UUID, Team]:
    """Teams by their ids; those that do not exist are left out."""
    rows = await connection.fetch(*BOOK.bind("load_teams", team_ids=sorted(set(team_ids))))
    return {row["team_id"]: _team_of(row) for row in rows}


async def load_team(connection: Connection, team_id: UUID) -> Team:
    """A team. Raises NotFound."""
    teams = await load_teams(connection, [team_id])
    if team_id not in teams:
        raise NotFound.of("team", team_id)
    return teams[team_id]


def zone_of(settings: bytes) -> str:
    """The time zone in stored settings."""
    return _SETTINGS.decode(settings).time_zone


async def list_teams(pool: Pool, after: UUID | None, row_max: int) -> list[Team]:
    """Teams in order of their ids."""
    async with connection_of(pool) as connection:
        rows = await connection.fetch(*BOOK.bind("list_team_ids", after=after, row_max=row_max))
    team_ids = [row[0] for row in rows]
    async with transaction(pool, team_ids) as connection:
        return list((await load_teams(connection, team_ids)).values())


def _columns(team_id: UUID, name: str, settings: TeamSettings, now: datetime) -> dict[str, Any]:
    return {
        "team_id": team_id,
        "name": name,
        "settings": _ENCODE(settings),
        "unsigned_orders_count": settings.unsigned_orders_count,
        "now": now,
    }


def _team_of(row: Row) -> Team:
    return Team(
        team_id=row["team_id"],
        name=row["name"],
        settings=_SETTINGS.decode(row["settings"]),
        revision=row["revision"],
        create_time=row["create_time"],
        update_time=row["update_time"],
    )
