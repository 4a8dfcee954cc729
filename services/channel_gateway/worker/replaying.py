"""Hands stored webhooks on again, a few of a team at a time: the next when these are worked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.tasks import any_set
from services.channel_gateway.store.replays import ReplayStore

TEAMS_MAX: Final = 100
"""Teams of one look."""
LOOK_EVERY_S: Final = 1.0
"""While something runs; real seconds."""
IDLE_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Replaying:
    """A loop, see `libs.common.tasks`. Every process may run it: a step holds its replay's row."""

    def __init__(self, store: ReplayStore, clock: Clock, restored: Callable[[], None]) -> None:
        """`restored` is called after a commit with webhooks to be worked."""
        self._store = store
        self._clock = clock
        self._restored = restored
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Looks at once."""
        self._woken.set()

    async def step(self) -> int:
        """One step of each team whose replay may go on; how many webhooks. Raises the driver's errors."""
        count = 0
        for team_id in await self._store.teams(TEAMS_MAX):
            count += await self._store.step(team_id, self._clock.now())
        if count:
            self._restored()
        return count

    async def run(self, stopping: asyncio.Event) -> None:
        """Steps until told to stop."""
        wait_s = 0.0
        while not stopping.is_set():
            await any_set(self._woken, stopping, timeout_s=wait_s)
            self._woken.clear()
            try:
                wait_s = LOOK_EVERY_S if await self.step() else IDLE_S
            except PASSING as error:
                _log.warning("webhooks wait to be handed on again", error=str(error) or type(error).__name__)
                wait_s = LOOK_EVERY_S
