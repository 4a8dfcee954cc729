"""Pairs of customers whom events named together."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.errors import NotFound
from libs.common.ids import epoch_ms, new_id
from services.segment.domain.conflicts import Conflict
from services.segment.domain.views import IdentityConflict
from services.segment.store.base import BOOK


async def note_conflicts(connection: Connection, conflicts: Iterable[Conflict], now: datetime) -> None:
    """Keeps pairs that are not known yet. Their customers are locked."""
    rows = [(each.team_id, new_id(epoch_ms(now)), *each[1:]) for each in conflicts]
    if rows:
        await connection.execute(*BOOK.bind("note_conflicts", rows=rows, now=now))


async def list_conflicts(
    connection: Connection, team_id: UUID, before: tuple[datetime, UUID] | None, row_max: int
) -> list[IdentityConflict]:
    """Newest first."""
    at, id_ = before or (None, None)
    query = BOOK.bind("list_conflicts", team_id=team_id, before_time=at, before_id=id_, row_max=row_max)
    return [IdentityConflict(*row) for row in await connection.fetch(*query)]


async def resolve_conflict(connection: Connection, team_id: UUID, conflict_id: UUID) -> IdentityConflict:
    """Settles a pair; the pair as it was. Raises NotFound."""
    ids = {"team_id": team_id, "identity_conflict_id": conflict_id}
    row = await connection.fetchrow(*BOOK.bind("lock_conflict", **ids))
    if row is None:
        raise NotFound.of("identity_conflict", conflict_id)
    await connection.execute(*BOOK.bind("resolve_conflict", **ids))
    return IdentityConflict(*row)
