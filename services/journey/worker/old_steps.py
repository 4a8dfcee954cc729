"""Steps of enrolments that ended go when their team says so, a page of enrolments at a time."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.errors import Unavailable
from libs.common.retention import Own
from libs.common.tasks import set_within
from services.journey.store.old_steps import StepPlace

ENROLMENTS_MAX: Final = 500
"""Enrolments that are looked at in one transaction."""
ROUND_EVERY_S: float = 3_600.0
"""Real seconds between two rounds, each of which looks at every enrolment of the teams that say something."""
_PAUSE_S: Final = 0.1

_log = structlog.get_logger(__name__)


class Steps(Protocol):
    """Where enrolments are."""

    async def forget(
        self, team_id: UUID, after: StepPlace, before: datetime, row_max: int
    ) -> tuple[int, StepPlace | None]:
        """Forgets steps of the next enrolments that ended before a time: of how many, and where to go on."""
        ...


class OldSteps:
    """A loop, see `libs.common.tasks`. Several processes may run it: what is forgotten is not found again."""

    def __init__(self, steps: Steps, clock: Clock, own: Own) -> None:
        """`own` are the teams that say how long."""
        self._steps = steps
        self._clock = clock
        self._own = own

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set: a round, then none for a while."""
        wait_s = 0.0
        while not await set_within(stopping, wait_s):
            try:
                await self.round(stopping)
            except (*PASSING, Unavailable) as error:
                _log.warning("steps of enrolments were not forgotten", error=repr(error))
            wait_s = ROUND_EVERY_S

    async def round(self, stopping: asyncio.Event) -> int:
        """Goes through all enrolments of the teams that say something; of how many steps were forgotten. Raises
        Unavailable, the driver's errors."""
        forgotten = 0
        for team_id, kept in (await self._own()).items():
            place: StepPlace | None = StepPlace()
            while place is not None and not stopping.is_set():
                before = self._clock.now() - kept
                found, place = await self._steps.forget(team_id, place, before, ENROLMENTS_MAX)
                forgotten += found
                if found:
                    await set_within(stopping, _PAUSE_S)
        return forgotten
