"""How long a team's records are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.rpc.servicing import check_etag
from services.segment.domain.facts import Fact
from services.segment.domain.retention import Periods, Retention
from services.segment.store import retention, teams
from services.segment.usecases.edits import Edits, Once, Reply

_PAGE = 1_000


class Retentions:
    """Each method that names a team raises NotFound for one that is not there."""

    def __init__(self, pool: Pool, edits: Edits) -> None:
        """One per process."""
        self._pool = pool
        self._edits = edits

    async def get(self, team_id: UUID) -> Retention:
        """What a team says."""
        async with transaction(self._pool, [team_id]) as connection:
            await teams.load_team(connection, team_id)
            return await retention.load_retention(connection, team_id)

    async def update(
        self,
        once: Once[Retention, Reply],
        team_id: UUID,
        etag: str,
        change: Callable[[Periods], Periods],
    ) -> Reply:
        """What the team says from now on, by what `change` makes of what it said. Raises Aborted `ETAG_MISMATCH`."""

        async def work(connection: Connection, _facts: list[Fact]) -> Retention:
            # The team's row is the lock: two who change the periods come one after the other.
            await teams.lock_team(connection, team_id)
            present = await retention.load_retention(connection, team_id)
            check_etag(etag, present.revision)
            once.note_before(present)
            return await retention.save_retention(connection, team_id, change(present.periods))

        return await self._edits.once(once, work)

    async def page(self, after: UUID | None, row_max: int) -> list[tuple[UUID, Retention]]:
        """Teams that say something, in the order of their ids."""
        return await retention.list_retentions(self._pool, after, row_max)

    async def message_contents(self) -> Mapping[UUID, timedelta]:
        """Teams that say how long they keep contents of messages."""
        return await self._own(lambda periods: periods.message_contents)

    async def histories(self) -> Mapping[UUID, timedelta]:
        """Teams that say how long their history says something of customers."""
        return await self._own(lambda periods: periods.histories)

    async def audit_entries(self) -> Mapping[UUID, timedelta]:
        """Teams that say how long they keep entries of the audit log."""
        return await self._own(lambda periods: periods.audit_entries)

    async def _own(self, of: Callable[[Periods], timedelta | None]) -> Mapping[UUID, timedelta]:
        found: dict[UUID, timedelta] = {}
        after: UUID | None = None
        while page := await self.page(after, _PAGE):
            found |= {team: span for team, said in page if (span := of(said.periods)) is not None}
            after = page[-1][0]
        return found
