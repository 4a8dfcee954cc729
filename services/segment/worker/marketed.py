"""The time "team last marketed" follows what the gateway's history says of messages that left.

In segment's own time for those who read it; whoever judges by it asks for what is true now
(`CatchingUp.catch_up`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Protocol

from libs.common.clock import Clock
from libs.common.feeds.follower import Follower, History, Page
from libs.common.feeds.rows import GatewayRow
from libs.common.ids import CustomerKey
from services.segment import metrics
from services.segment.convert.marketed import marketed_times
from services.segment.worker.catching_up import CatchingUp

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


def marketed_follower(history: History[GatewayRow], projection: MarketedProjection) -> CatchingUp[GatewayRow]:
    """What keeps the times up to date, in this process."""
    follower = Follower(
        history,
        projection,
        rows_max=PAGE_ROWS,
        few_rows=PAGE_ROWS,
        linger_s=LINGER_S,
        failed=metrics.MARKETED_FAULTS.inc,
    )
    return CatchingUp(history, projection, follower, rows_max=PAGE_ROWS, is_last=_is_last)


def _is_last(page: Page[GatewayRow]) -> bool:
    size = sum(len(row.body) + len(row.customers) for row in page.rows)
    return len(page.rows) < PAGE_ROWS and size < WHOLE_BYTES_MAX
