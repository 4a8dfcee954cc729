"""Teams and their settings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.rpc.servicing import check_etag
from services.segment.domain.facts import Fact
from services.segment.domain.model import Team, TeamSettings
from services.segment.store import teams
from services.segment.usecases.edits import Edits, Once, Reply


class Teams:
    """Each method raises NotFound for a team that is not there."""

    def __init__(self, pool: Pool, edits: Edits) -> None:
        """One per process."""
        self._pool = pool
        self._edits = edits

    async def create(
        self, once: Once[Team, Reply], team_id: UUID, name: str, settings: TeamSettings
    ) -> Reply:
        """A new team. Raises AlreadyExists when the id is taken."""

        async def work(connection: Connection, _facts: list[Fact]) -> Team:
            return await teams.insert_team(connection, team_id, name, settings, self._edits.now())

        return await self._edits.once(once, work, teams=[team_id])

    async def update(
        self,
        once: Once[Team, Reply],
        team_id: UUID,
        etag: str,
        change: Callable[[Team], tuple[str, TeamSettings]],
    ) -> Reply:
        """The team with the name and settings that `change` makes of it."""

        async def work(connection: Connection, _facts: list[Fact]) -> Team:
            present = await teams.lock_team(connection, team_id)
            check_etag(etag, present.revision)
            once.note_before(present)
            name, settings = change(present)
            return await teams.update_team(connection, team_id, name, settings, self._edits.now())

        return await self._edits.once(once, work)

    async def get(self, team_id: UUID) -> Team:
        """A team."""
        async with transaction(self._pool, [team_id]) as connection:
            return await teams.load_team(connection, team_id)

    async def find(self, team_ids: Collection[UUID]) -> dict[UUID, Team]:
        """Teams by their ids; those that are not there are left out."""
        async with transaction(self._pool, team_ids) as connection:
            return await teams.load_teams(connection, team_ids)

    async def page(self, after: UUID | None, row_max: int) -> list[Team]:
        """Teams in the order of their ids."""
        return await teams.list_teams(self._pool, after, row_max)
