"""The audit log, read: a team's entries in pages."""

from __future__ import annotations

from uuid import UUID

from libs.common.db.pool import Connection
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
