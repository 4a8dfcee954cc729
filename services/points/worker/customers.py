"""The follower: keeps the copy of customers up to date from segment's history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import structlog

from libs.common.db.faults import PASSING
from libs.common.errors import ResourceExhausted, Unavailable
from libs.common.tasks import work_until
from services.points import metrics
from services.points.clients.segment import CustomerFeed
from services.points.domain.customers import CursorMovedError, CustomerBasics

_WAIT_S: Final = 5.0
"""How long a read waits for news, real seconds."""
_RETRY_FIRST_S: Final = 0.1
_RETRY_MAX_S: Final = 5.0
_PASSING: Final = (Unavailable, ResourceExhausted, *PASSING)

_log = structlog.get_logger(__name__)


class Copy(Protocol):
    """Where customers and cursors are kept, together."""

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which the history is taken."""
        ...

    async def write(
        self, before: Mapping[int, int], after: Mapping[int, int], customers: Sequence[CustomerBasics]
    ) -> None:
        """Writes customers and moves the cursors at once. Raises CursorMovedError."""
        ...


class CustomerFollower:
    """Follows segment's history for ever."""

    def __init__(self, feed: CustomerFeed, copy: Copy) -> None:
        """Nothing happens before `run`."""
        self._feed = feed
        self._copy = copy
        self._away = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; what was read and not written is read again later."""
        await work_until(stopping, self._follow(), name="follow segment")

    async def _follow(self) -> None:
        delay_s = _RETRY_FIRST_S
        while True:
            try:
                await self.step(_WAIT_S)
            except CursorMovedError:
                continue  # another process follows, too: go on from where it is
            except _PASSING as error:
                if not self._away:
                    _log.warning("customers cannot be followed", error=repr(error))
                self._away = True
                metrics.FOLLOW_FAULTS.inc()
                await asyncio.sleep(delay_s)
                delay_s = min(_RETRY_MAX_S, delay_s * 2)
            else:
                self._away = False
                delay_s = _RETRY_FIRST_S

    async def step(self, wait_s: float) -> int:
        """Takes one page; returns how many customers it wrote. Raises CursorMovedError, Unavailable, driver's errors.

        Customers are read after the history that names them, so that what is written is at least as new as the cursor.
        """
        before = await self._copy.cursors()
        changes = await self._feed.changes(before, wait_s)
        if changes.cursors == before:
            return 0
        customers = await self._feed.profiles(changes.customers)
        await self._copy.write(before, changes.cursors, customers)
        metrics.FOLLOWED.inc(len(customers))
        return len(customers)
