"""What teams say about how long their records are kept."""

from __future__ import annotations

from uuid import UUID

from libs.common.db.pool import Connection, Pool
from services.segment.domain.retention import Periods, Retention
from services.segment.store.base import BOOK, Row

_NOTHING = Retention(Periods(), 0)


async def load_retention(connection: Connection, team_id: UUID) -> Retention:
    """What a team says."""
    row = await connection.fetchrow(*BOOK.bind("load_retention", team_id=team_id))
    return _NOTHING if row is None else _retention(row)


async def save_retention(connection: Connection, team_id: UUID, periods: Periods) -> Retention:
    """What a team says from now on; its row is locked."""
    row = await connection.fetchrow(*BOOK.bind("save_retention", team_id=team_id, **periods._asdict()))
    assert row is not None
    return _retention(row)


async def list_retentions(pool: Pool, after: UUID | None, row_max: int) -> list[tuple[UUID, Retention]]:
    """Teams that say something, in order of their ids. A transaction of its own."""
    rows = await pool.fetch(*BOOK.bind("list_retentions", after=after, row_max=row_max))
    return [(row["team_id"], _retention(row)) for row in rows]


def _retention(row: Row) -> Retention:
    return Retention(Periods(**{field: row[field] for field in Periods._fields}), row["revision"])
