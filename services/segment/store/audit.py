"""The audit log: a team's entries in pages, and the end of those that are old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from libs.common.db.pool import Connection, Pool
from services.segment.domain.audit import AuditEntry, AuditFilter
from services.segment.store.base import BOOK


async def list_entries(
    connection: Connection, team_id: UUID, wanted: AuditFilter, before_id: UUID | None, row_max: int
) -> list[AuditEntry]:
    """Entries of a team, or with the nil UUID of none, newest first, before an entry."""
    query = BOOK.bind(
        "list_audit_entries", team_id=team_id, **wanted._asdict(), before_id=before_id, most=row_max
    )
    return [AuditEntry(*row) for row in await connection.fetch(*query)]


async def forget_entries(pool: Pool, kept: timedelta, own: Mapping[UUID, timedelta], row_max: int) -> int:
    """Removes the oldest entries that are older than `kept`, or than their team says by `own`, in real time; how
    many."""
    query = BOOK.bind(
        "forget_audit_entries",
        kept=kept,
        team_ids=list(own),
        kept_by_teams=list(own.values()),
        row_max=row_max,
    )
    forgotten: int = await pool.fetchval(*query)
    return forgotten
