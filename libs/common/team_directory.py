"""Which teams there are, for every service: what names one that is not there is answered before any work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

from libs.common.db.book import BOOK
from libs.common.db.pool import Pool, fetch_alone
from libs.common.errors import NotFound, ResourceExhausted
from libs.common.token_bucket import TokenBucket

KNOWN_MAX: Final = 100_000
"""Teams that a process remembers, some 100 bytes each; teams are never removed."""
ASKED_PER_S: Final = 500.0
"""Times a second that the database is asked for teams that are not remembered, some 0.2 ms each."""
_AT_ONCE: Final = 1_000.0
_RETRY_S: Final = 1.0


class TeamDirectory:
    """Remembers teams that there are, and asks the database for all others each time: one may have been created."""

    def __init__(self, pool: Pool, elapsed_s: Callable[[], float] = time.monotonic) -> None:
        """`elapsed_s` is real time that never jumps; tests hand in their own."""
        self._pool = pool
        self._elapsed_s = elapsed_s
        self._known: dict[UUID, None] = {}
        self._asking = TokenBucket(ASKED_PER_S, _AT_ONCE, elapsed_s())

    async def missing(self, team_ids: Iterable[UUID]) -> frozenset[UUID]:
        """Those of the teams that there are not.

        Raises ResourceExhausted `OVERLOADED` when ever more unknown teams are asked for, and the driver's errors.
        """
        unknown = {team_id for team_id in team_ids if team_id not in self._known}
        return await self._ask(unknown) if unknown else frozenset()

    async def require(self, team_id: UUID) -> None:
        """Raises NotFound for a team that there is not, and what `missing` raises."""
        if team_id not in self._known and await self._ask({team_id}):
            raise NotFound.of("team", team_id)

    async def _ask(self, unknown: set[UUID]) -> frozenset[UUID]:
        if not self._asking.take(self._elapsed_s()):
            raise ResourceExhausted.overloaded("questions for unknown teams", _RETRY_S)
        query = BOOK.bind("known_teams", team_ids=list(unknown))
        found = {row[0] for row in await fetch_alone(self._pool, *query)}
        for team_id in found:
            self._known[team_id] = None
        while len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return frozenset(unknown - found)
