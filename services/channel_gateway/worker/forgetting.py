"""Removes what is kept for a time only: webhooks that are worked and old, and contents of deliveries."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

from libs.common.clock import Clock
from libs.common.db.requests import forget_by_batches


class ForgettingStore(Protocol):
    """Where something is kept for a time."""

    async def forget(self, before: datetime, row_max: int, /) -> int:
        """Removes up to `row_max` that came before a time; how many."""
        ...


class Forgetting:
    """A loop, see `libs.common.tasks`. Every process may run it: what one removes the others do not find."""

    def __init__(self, store: ForgettingStore, clock: Clock, kept_days: int, what: str) -> None:
        """`what`, for people, is kept for `kept_days` of domain time, and for as long as there is work to do for it."""
        self._store = store
        self._clock = clock
        self._kept = timedelta(days=kept_days)
        self._what = what

    async def step(self, row_max: int) -> int:
        """Removes some that are too old; how many. Raises the driver's errors."""
        return await self._store.forget(self._clock.now() - self._kept, row_max)

    async def run(self, stopping: asyncio.Event) -> None:
        """Removes a little at a time, until it is told to stop."""
        await forget_by_batches(self.step, self._what, stopping)
