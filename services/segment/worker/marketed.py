"""The time "team last marketed" follows what the gateway's history says of messages that left.

In segment's own time for those who read it; whoever judges by it asks for what is true now
(`MarketedFollower.catch_up`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

from libs.common.clock import Clock
from libs.common.errors import Unavailable
from libs.common.feeds.follower import POISON, CursorMovedError, Follower, History, Page
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import CustomerKey
from services.segment import metrics
from services.segment.convert.marketed import marketed_times

PAGE_ROWS: Final = 200
"""Records of one page, of up to hundreds of sends each."""
WHOLE_BYTES_MAX: Final = 4 * 1024 * 1024
"""A page of fewer rows and bytes was not cut: it was the last one."""
LINGER_S: Final = 1.0
"""Real seconds between two pages that are not full: one of a record costs nearly what one of hundreds does."""


class Times(Protocol):
    """Where the times and the cursors are kept, together."""

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which the history is taken."""
        ...

    async def follow(
        self,
        before: Mapping[int, int],
        after: Mapping[int, int],
        times: Mapping[CustomerKey, datetime],
        now: datetime,
    ) -> None:
        """Moves times on and the cursors at once. Raises CursorMovedError."""
        ...

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        """Moves the cursors past the row at (partition, position), and keeps the reason. Raises CursorMovedError."""
        ...


class MarketedProjection:
    """A `Projection` of the gateway's history."""

    def __init__(self, times: Times, clock: Clock) -> None:
        """`clock` says when customers changed."""
        self._times = times
        self._clock = clock

    async def cursors(self) -> dict[int, int]:
        """See `Projection`."""
        return await self._times.cursors()

    async def apply(self, before: Mapping[int, int], page: Page[GatewayRow]) -> None:
        """See `Projection`."""
        times = marketed_times(page.rows)
        await self._times.follow(before, page.cursors, times, self._clock.now())
        metrics.MARKETED.inc(len(times))

    async def set_aside(self, before: Mapping[int, int], page: Page[GatewayRow], reason: str) -> None:
        """See `Projection`."""
        (row,) = page.rows
        await self._times.set_aside(before, page.cursors, row.place, reason)
        metrics.MARKETED_SET_ASIDE.inc()


class MarketedFollower:
    """Follows the gateway's history: a loop, see `libs.common.tasks`."""

    def __init__(self, history: History[GatewayRow], projection: MarketedProjection) -> None:
        """Both of this process; other processes may follow, too."""
        self._history = history
        self._projection = projection
        self._follower = Follower(
            history,
            projection,
            rows_max=PAGE_ROWS,
            few_rows=PAGE_ROWS,
            linger_s=LINGER_S,
            failed=metrics.MARKETED_FAULTS.inc,
        )
        self._catching_up = asyncio.Lock()
        self._looks_begun = self._look_done = 0
        """Looks of `catch_up` are numbered from 1; `_look_done` is the last that came to the end."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows until told to stop."""
        await self._follower.run(stopping)

    async def catch_up(self) -> None:
        """Returns when all that the gateway had committed when this was called is taken: by the first look that begins
        after that, which is one for all who wait for it.

        Raises Unavailable while the gateway is away, or has a row that cannot be taken and is not set aside yet.
        """
        wanted = self._looks_begun + 1
        async with self._catching_up:
            if self._look_done >= wanted:
                return
            self._looks_begun += 1
            while not await self._step():
                pass
            self._look_done = self._looks_begun

    async def _step(self) -> bool:
        """Takes one page; whether it was the last one."""
        before = await self._projection.cursors()
        page = await self._history.read(before, 0, PAGE_ROWS)
        try:
            if page.cursors != before:
                await self._projection.apply(before, page)
        except CursorMovedError:  # the loop, or another process, was faster
            return False
        except POISON as error:
            raise Unavailable.dependency("channel_gateway") from error
        size = sum(len(row.body) + len(row.customers) for row in page.rows)
        return len(page.rows) < PAGE_ROWS and size < WHOLE_BYTES_MAX
