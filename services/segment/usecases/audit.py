"""The audit log as people read it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

from libs.common.audit import NOBODY
from libs.common.callers import caller
from libs.common.db.pool import Pool, replanned, transaction
from libs.common.db.requests import forget_by_batches
from libs.common.errors import PermissionDenied
from libs.common.retention import Own
from services.segment.domain.audit import AuditEntry, AuditFilter
from services.segment.store import audit, teams


class AuditTrail:
    """Lists entries of all services, and ends those that are old."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role, which may read them."""
        self._pool = pool

    async def page(
        self, team_id: UUID | None, wanted: AuditFilter, before_id: UUID | None, row_max: int
    ) -> list[AuditEntry]:
        """Entries of a team, None: of no team, newest first.

        Raises NotFound for a team that is not there or another's, PermissionDenied `INSTALLATION_ONLY` for no team.
        """
        if team_id is None and caller().team_id is not None:
            raise PermissionDenied.installation_only()
        async with transaction(self._pool, [team_id or NOBODY]) as connection:
            if team_id is not None:
                await teams.load_team(connection, team_id)
            await replanned(connection)
            return await audit.list_entries(connection, team_id or NOBODY, wanted, before_id, row_max)

    async def keep_forgetting(self, kept: timedelta, own: Own, stopping: asyncio.Event) -> None:
        """Removes entries older than `kept`, or than their team says by `own`, a little at a time, until `stopping` is
        set."""

        async def forget(row_max: int) -> int:
            return await audit.forget_entries(self._pool, kept, await own(), row_max)

        await forget_by_batches(forget, "audit entries", stopping)
