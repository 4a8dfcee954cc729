"""Points as audiences count them follow the ledger's history.

In segment's own time; whoever counts or lists by them asks for what is true now (`CatchingUp.catch_up`). One customer,
or some, are judged by the ledger's own figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from libs.common.audience.expressions import Balance
from libs.common.feeds.follower import Follower, History, Page
from libs.common.feeds.rows import EntryRow
from libs.common.ids import CustomerKey
from services.segment import metrics
from services.segment.convert.points import point_changes
from services.segment.worker.catching_up import CatchingUp

PAGE_ROWS: Final = 2_000
FEW_ROWS: Final = 1_000
LINGER_S: Final = 1.0
"""Real seconds between two pages of few rows: one of a row costs nearly what one of hundreds does."""
SMALL_ROWS: Final = 1_000
"""A page of fewer was not cut by its bytes: an entry has some hundred of them. It was the last one."""


class Points(Protocol):
    """Where points and the cursors are kept, together."""

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which the history is added up."""
        ...

    async def follow(
        self, before: Mapping[int, int], after: Mapping[int, int], changes: Mapping[CustomerKey, Balance]
    ) -> None:
        """Adds changes and moves the cursors at once. Raises CursorMovedError."""
        ...

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        """Moves the cursors past the row at (partition, position), and keeps the reason. Raises CursorMovedError."""
        ...


class PointsProjection:
    """A `Projection` of the ledger's history."""

    def __init__(self, points: Points) -> None:
        """Where they are kept."""
        self._points = points

    async def cursors(self) -> dict[int, int]:
        """See `Projection`."""
        return await self._points.cursors()

    async def apply(self, before: Mapping[int, int], page: Page[EntryRow]) -> None:
        """See `Projection`."""
        await self._points.follow(before, page.cursors, point_changes(page.rows))
        metrics.POINTS.inc(len(page.rows))

    async def set_aside(self, before: Mapping[int, int], page: Page[EntryRow], reason: str) -> None:
        """See `Projection`."""
        (row,) = page.rows
        await self._points.set_aside(before, page.cursors, row.place, reason)
        metrics.POINTS_SET_ASIDE.inc()


def points_follower(history: History[EntryRow], projection: PointsProjection) -> CatchingUp[EntryRow]:
    """What keeps points up to date, in this process."""
    follower = Follower(
        history,
        projection,
        rows_max=PAGE_ROWS,
        few_rows=FEW_ROWS,
        linger_s=LINGER_S,
        failed=metrics.POINTS_FAULTS.inc,
    )
    return CatchingUp(
        history, projection, follower, rows_max=PAGE_ROWS, is_last=lambda page: len(page.rows) < SMALL_ROWS
    )
