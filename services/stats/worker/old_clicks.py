"""Removes clicks that are too old for any order to be counted by."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from libs.common.clock import Clock
from libs.common.db.requests import forget_by_batches
from services.stats.store.persons import PersonStore

WINDOW_DAYS_MAX: Final = 90
"""A team may count an order by a click so many days before it."""


class OldClicks:
    """A loop, see `libs.common.tasks`. Every process may run it: what one removes the others do not find."""

    def __init__(self, store: PersonStore, clock: Clock, kept_days: int) -> None:
        """They are kept for `kept_days` of domain time, and never less than teams may go by."""
        self._store = store
        self._clock = clock
        self._kept = timedelta(days=max(kept_days, WINDOW_DAYS_MAX))

    async def step(self, row_max: int) -> int:
        """Removes some; how many. Raises the driver's errors."""
        return await self._store.forget_clicks(self._clock.now() - self._kept, row_max)

    async def run(self, stopping: asyncio.Event) -> None:
        """Removes a little at a time, until it is told to stop."""
        await forget_by_batches(self.step, "clicks", stopping)
