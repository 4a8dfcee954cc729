"""Retention: drops recorded outcomes that are older than any repetition of a posting may come."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final, Protocol

import structlog

from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.tasks import set_within
from services.points import metrics
from services.points.domain.errors import OutcomeKeptError
from services.points.domain.retention import OUTCOMES_KEPT

_ROWS: Final = 5_000
"""Outcomes of one transaction."""
_EVERY_S: Final = 600.0
_PAUSE_S: Final = 1.0
"""Between two batches, real seconds: no caller waits for this."""

_UNTIMELY: Final = (OutcomeKeptError, *PASSING)
"""The database is away, or its clock is behind this process': later, then."""

_log = structlog.get_logger(__name__)


class Outcomes(Protocol):
    """Where outcomes are recorded."""

    async def drop(self, recorded_before: datetime, row_max: int) -> int:
        """Drops at most `row_max` outcomes; returns how many. Raises OutcomeKeptError, the driver's errors."""
        ...


class OutcomeRetention:
    """Drops outcomes, a little at a time."""

    def __init__(self, outcomes: Outcomes, clock: Clock) -> None:
        """Nothing happens before `run`."""
        self._outcomes = outcomes
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        wait_s = 0.0
        while not await set_within(stopping, wait_s):
            try:
                dropped = await self.step()
            except _UNTIMELY as error:
                _log.warning("outcomes were not dropped", error=repr(error))
                dropped = 0
            wait_s = _PAUSE_S if dropped == _ROWS else _EVERY_S

    async def step(self) -> int:
        """Drops one batch; returns its size. Raises OutcomeKeptError, the driver's errors."""
        dropped = await self._outcomes.drop(self._clock.now() - OUTCOMES_KEPT, _ROWS)
        metrics.DROPPED.inc(dropped)
        return dropped
