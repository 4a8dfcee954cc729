"""Pairs of customers whom events named together: listed, and settled by people."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, transaction
from services.segment.domain.facts import Fact
from services.segment.domain.views import IdentityConflict
from services.segment.store import conflicts, teams
from services.segment.usecases.edits import Edits, Once, Reply


class Conflicts:
    """Each method raises NotFound for a team or a pair that is not there."""

    def __init__(self, pool: Pool, edits: Edits) -> None:
        """One per process."""
        self._pool = pool
        self._edits = edits

    async def page(
        self, team_id: UUID, before: tuple[datetime, UUID] | None, row_max: int
    ) -> list[IdentityConflict]:
        """Pairs, newest first."""
        async with transaction(self._pool, [team_id]) as connection:
            await teams.load_team(connection, team_id)
            return await conflicts.list_conflicts(connection, team_id, before, row_max)

    async def settle(self, once: Once[IdentityConflict, Reply], team_id: UUID, conflict_id: UUID) -> Reply:
        """The pair, found to be two people."""

        async def work(connection: Connection, _facts: list[Fact]) -> IdentityConflict:
            before = await conflicts.resolve_conflict(connection, team_id, conflict_id)
            once.note_before(before)
            return msgspec.structs.replace(before, resolved=True)

        return await self._edits.once(once, work)
