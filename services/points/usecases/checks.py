"""Checks of the ledger: whole ones, and those that go on from where the last one found nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from libs.common.clock import Clock
from services.points.domain.check import Finding
from services.points.domain.views import CheckCounts, CheckScope

_OVERLAP: Final = timedelta(days=1)
"""An incremental check begins so far before the last one: what was being written while that one read is not missed."""


class Checks(Protocol):
    """What the ledger is checked with: see `CheckStore`."""

    async def checked_at(self, team_id: UUID) -> datetime | None:
        """When the last incremental check that found nothing began; None before the first one."""
        ...

    async def set_checked_at(self, team_id: UUID, began_at: datetime) -> None:
        """An incremental check that began then found nothing."""
        ...

    def check(self, scope: CheckScope, counts: CheckCounts) -> AsyncIterator[Finding]:
        """Yields what is broken; counts into `counts`."""
        ...


class LedgerChecks:
    """Checks the ledger. Raises the driver's errors."""

    def __init__(self, store: Checks, clock: Clock) -> None:
        """`clock`: domain time at which checks begin."""
        self._store = store
        self._clock = clock

    async def check(
        self, scope: CheckScope, counts: CheckCounts, findings_max: int
    ) -> AsyncIterator[Finding]:
        """Yields what is broken, at most `findings_max`; counts into `counts`."""
        found = 0
        async for finding in self._store.check(scope, counts):
            yield finding
            found += 1
            if found == findings_max:
                break

    async def check_incrementally(
        self, team_id: UUID, counts: CheckCounts, findings_max: int
    ) -> AsyncIterator[Finding]:
        """The same for what was posted since the last incremental check that found nothing, and a day before.

        The first one goes over everything. One that finds nothing is where the next one goes on from.
        """
        began_at = self._clock.now()
        last = await self._store.checked_at(team_id)
        scope = CheckScope(team_id)
        if last is not None:
            scope = CheckScope(team_id, start=last - _OVERLAP, incremental=True)
        clean = True
        async for finding in self.check(scope, counts, findings_max):
            clean = False
            yield finding
        if clean:
            await self._store.set_checked_at(team_id, began_at)
