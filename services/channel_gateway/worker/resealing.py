"""Seals with the present key what is in clear or under an earlier one: at the start, and whenever it is asked to."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from libs.common.db.faults import PASSING
from libs.common.tasks import any_set, set_within
from services.channel_gateway.store.resealing import BEGINNING, Place, ResealStore

ROWS_MAX: Final = 100
"""Rows of one step; each is locked for its team's share of it."""
PAUSE_S: Final = 0.05
"""Between two steps, so that sends come first."""
_RETRY_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Resealing:
    """Goes through all teams' secrets once, then waits to be woken."""

    def __init__(self, store: ResealStore) -> None:
        """Nothing is done before it runs."""
        self._store = store
        self._after: Place | None = BEGINNING
        """The last row looked at; None: all were."""
        self._resealed = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Has it begin from the beginning."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until told to stop."""
        while not stopping.is_set():
            if self._woken.is_set():
                self._woken.clear()
                self._after = BEGINNING
            try:
                more = await self.step()
            except PASSING as error:
                _log.warning("secrets cannot be resealed now", error=str(error) or type(error).__name__)
                await set_within(stopping, _RETRY_S)
                continue
            if more:
                await set_within(stopping, PAUSE_S)
            else:
                await any_set(stopping, self._woken)

    async def step(self) -> bool:
        """Seals the next rows; whether there may be more. Raises the driver's errors."""
        if self._after is None:
            return False
        places = await self._store.next(self._after, ROWS_MAX)
        self._resealed += await self._store.reseal(places)
        if len(places) == ROWS_MAX:
            self._after = places[-1]
            return True
        self._after = None
        if self._resealed:
            _log.info("secrets were sealed with the present key", rows=self._resealed)
        self._resealed = 0
        return False
