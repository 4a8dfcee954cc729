"""Reads of a history that wait for the next commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from libs.common.tasks import set_within

Row = TypeVar("Row")

PAGE_MAX: Final = 5_000
"""Most rows of one page of a feed."""
WAIT_MAX_S: Final = 30.0
"""Longest a feed waits for rows, real seconds."""
LINGER_S: Final = 0.1
"""A feed that waits gives what was written within so long at once: a page costs as much for one row as for hundreds,
and a follower asks again as soon as it has one. A row that comes when nothing was written for a while goes at once."""
_POLL_S: Final = 3.0
"""How often a waiting feed looks by itself: the commits of another process of the service notify nobody here."""


class CommitNotifier:
    """Notified after each commit that wrote history; feeds that found no rows wait for the next one."""

    def __init__(self) -> None:
        """No commit yet."""
        self._commits = 0
        self._next = asyncio.Event()

    @property
    def commits(self) -> int:
        """How many commits this was notified of."""
        return self._commits

    def notify(self) -> None:
        """A commit wrote history: everybody who waits now goes on."""
        self._commits += 1
        done, self._next = self._next, asyncio.Event()
        done.set()

    async def wait(self, seen: int, timeout_s: float) -> None:
        """Ends once there are more than `seen` commits, or after `timeout_s` real seconds.

        Take `commits` before reading and pass it here afterwards: no commit in between is missed.
        """
        if self._commits == seen:
            await set_within(self._next, timeout_s)


async def long_poll(
    read: Callable[[], Awaitable[tuple[Sequence[Row], dict[int, int]]]],
    notifier: CommitNotifier,
    wait_s: float,
    stop: asyncio.Event,
) -> tuple[Sequence[Row], dict[int, int]]:
    """Calls `read` until it finds rows, `wait_s` real seconds are over or `stop` is set; returns its last answer."""
    until = time.monotonic() + min(wait_s, WAIT_MAX_S)
    if wait_s > 0:
        await set_within(stop, min(wait_s, LINGER_S))
    while True:
        seen = notifier.commits
        rows, cursors = await read()
        left_s = until - time.monotonic()
        if rows or left_s <= 0 or stop.is_set():
            return rows, cursors
        await notifier.wait(seen, min(left_s, _POLL_S))
