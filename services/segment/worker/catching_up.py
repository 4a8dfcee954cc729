"""A history that is followed in segment's own time, and caught up with when somebody judges by what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from libs.common.errors import Unavailable
from libs.common.feeds.follower import POISON, CursorMovedError, Follower, History, Page, Projection

Row = TypeVar("Row")


class CatchingUp(Generic[Row]):
    """Follows a history: a loop, see `libs.common.tasks`."""

    def __init__(
        self,
        history: History[Row],
        projection: Projection[Row],
        follower: Follower[Row],
        *,
        rows_max: int,
        is_last: Callable[[Page[Row]], bool],
    ) -> None:
        """All of this process; other processes may follow, too. `is_last` says whether nothing more had been committed
        when a page of `rows_max` rows was read."""
        self._history = history
        self._projection = projection
        self._follower = follower
        self._rows_max = rows_max
        self._is_last = is_last
        self._catching_up = asyncio.Lock()
        self._looks_begun = self._look_done = 0
        """Looks of `catch_up` are numbered from 1; `_look_done` is the last that came to the end."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows until told to stop."""
        await self._follower.run(stopping)

    async def catch_up(self) -> None:
        """Returns when all that the other service had committed when this was called is taken: by the first look that
        begins after that, which is one for all who wait for it.

        Raises Unavailable while the service is away, or has a row that cannot be taken and is not set aside yet.
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
        page = await self._history.read(before, 0, self._rows_max)
        try:
            if page.cursors != before:
                await self._projection.apply(before, page)
        except CursorMovedError:  # the loop, or another process, was faster
            return False
        except POISON as error:
            raise Unavailable.dependency(self._history.name) from error
        return page.cursors == before or self._is_last(page)
