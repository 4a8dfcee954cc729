"""The replay: orders and timers in domain time, on a grid, so that every run meets the same moments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from libs.demo.conductor import Conductor
from libs.demo.patience import DemoFault
from libs.demo.stream import Checkout

GRID_MAX = timedelta(minutes=30)
"""Checkouts of one cell of the grid are posted at its end: none comes later than this after its own time, well within
the hour that the replay may be behind, and a month is some 1,600 steps."""
GRID_MIN = timedelta(seconds=1)
TICK = timedelta(microseconds=1)
"""The shortest step of a clock: what lies before a timer is posted this much before it."""
_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)


class Poster(Protocol):
    """Brings checkouts to the installation."""

    async def post(self, checkouts: Sequence[Checkout], now: datetime) -> None:
        """Posts them in order; returns when they are stored."""


@dataclass(slots=True)
class Report:
    """How far the replay is."""

    now: datetime
    posted: int
    total: int


def grid_for(speed: float | None) -> timedelta:
    """Cells of at most one real second, so that a slow clock is seen to move."""
    if speed is None:
        return GRID_MAX
    return min(GRID_MAX, max(GRID_MIN, timedelta(seconds=speed)))


def cell_end(at: datetime, grid: timedelta) -> datetime:
    """The first point of the grid after `at`."""
    return _ORIGIN + ((at - _ORIGIN) // grid + 1) * grid


class Watcher(Protocol):
    """Does something while the clock stands and nothing is left to do."""

    async def look(self, now: datetime) -> None:
        """Called after each step."""


class Replay:
    """One pass through the stream. A timer due at t fires after everything that occurred before t: what the cell
    holds up to then is posted first."""

    def __init__(
        self,
        checkouts: Sequence[Checkout],
        conductor: Conductor,
        poster: Poster,
        grid: timedelta,
        watcher: Watcher | None = None,
    ) -> None:
        self._checkouts = checkouts
        self._conductor = conductor
        self._poster = poster
        self._grid = grid
        self._watcher = watcher
        self._posted = 0

    async def run(self, tell: Callable[[Report], None]) -> None:
        """Posts all checkouts at their time and fires all timers at theirs; ends when nothing is left to come."""
        while True:
            tell(Report(self._conductor.now, self._posted, len(self._checkouts)))
            if self._watcher is not None:
                await self._watcher.look(self._conductor.now)
            end = self._cell_end()
            timer = self._conductor.next_timer
            if timer is not None and timer <= self._conductor.now:
                raise DemoFault(f"a timer of {timer} is said to lie ahead at {self._conductor.now}")
            if timer is not None and (end is None or timer <= end):
                await self._post_before(timer, at=timer - TICK)
                await self._conductor.advance(timer)
                await self._conductor.settle()
            elif end is not None:
                await self._post_before(end, at=end)
            else:
                return

    def _cell_end(self) -> datetime | None:
        """End of the cell of the next checkout."""
        if self._posted == len(self._checkouts):
            return None
        return cell_end(self._checkouts[self._posted].occurred_at, self._grid)

    async def _post_before(self, until: datetime, at: datetime) -> None:
        """Posts what occurred before `until` with the clock at `at`, and waits until it is done with."""
        due = self._posted
        while due < len(self._checkouts) and self._checkouts[due].occurred_at < until:
            due += 1
        if due > self._posted:
            await self._conductor.advance(at)
            await self._poster.post(self._checkouts[self._posted : due], self._conductor.now)
            await self._conductor.settle()
            self._posted = due
