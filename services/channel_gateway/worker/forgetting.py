"""Removes webhooks that are worked and old, bodies, refusals and ids together."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from libs.common.clock import Clock
from libs.common.db.requests import forget_by_batches
from services.channel_gateway.store.inbox import InboxStore


class Forgetting:
    """A loop, see `libs.common.tasks`. Every process may run it: what one removes the others do not find."""

    def __init__(self, store: InboxStore, clock: Clock, kept_days: int) -> None:
        """Webhooks are kept for `kept_days` of domain time from their receipt on, and until they are worked."""
        self._store = store
        self._clock = clock
        self._kept = timedelta(days=kept_days)

    async def step(self, row_max: int) -> int:
        """Removes the oldest ones that are too old; how many. Raises the driver's errors."""
        return await self._store.forget(self._clock.now() - self._kept, row_max)

    async def run(self, stopping: asyncio.Event) -> None:
        """Removes a little at a time, until it is told to stop."""
        await forget_by_batches(partial(self.step), "webhooks", stopping)
