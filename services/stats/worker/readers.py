"""Readers: each follows one history and commits its counts together with its cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from libs.common import tracing
from libs.common.feeds.follower import AWAY, POISON, Follower, History, Page
from libs.common.feeds.rows import HistoryRow
from libs.common.rpc.operations import Lag, Progress
from services.stats import metrics
from services.stats.convert.facts import read_each, read_facts
from services.stats.convert.traces import traces_of
from services.stats.domain.fold import count
from services.stats.domain.model import Counts, Source

_SPANS: Final = tracing.Spans("stats")
LINGER_S: Final = 0.8
"""How long a reader waits after a page of few rows, real seconds: it costs nearly what one of hundreds does,
and figures are seen within two seconds all the same (T-04)."""
PROBE_SHARE: Final = 4
"""Rows behind are counted up to a quarter of a page: whoever asks wants to know whether there are any."""


class SourceHistory(History[Any], Protocol):
    """The history of one service."""

    source: Source
    rows_max: int
    """Of a page."""


class Counters(Protocol):
    """Where counts and cursors are kept, together."""

    async def cursors(self, source: Source) -> dict[int, int]:
        """Partition → position up to which the source's history is counted."""
        ...

    async def count(
        self, source: Source, before: Mapping[int, int], after: Mapping[int, int], counts: Counts
    ) -> None:
        """Adds counts and moves the cursors at once. Raises CursorMovedError if they are not at `before`."""
        ...

    async def set_aside(
        self,
        source: Source,
        before: Mapping[int, int],
        after: Mapping[int, int],
        at: tuple[int, int],
        reason: str,
        *,
        parts: Sequence[Counts | None] = (),
    ) -> None:
        """Moves the cursors past the row at (partition, position), and keeps the reason. Raises as `count`.

        `parts` are what the facts of a row add, None for one that cannot be read: those that can be counted are, only
        the others are set aside. None given: the row as a whole is.
        """
        ...


Windows = Callable[[Collection[UUID]], Awaitable[Mapping[UUID, timedelta]]]
"""How long after a click an order is the journey's, of each of some teams. Raises Unavailable."""


class CountingProjection:
    """The counters, as what is derived from one history (`libs.common.feeds.follower.Projection`)."""

    def __init__(self, source: Source, counters: Counters, windows: Windows) -> None:
        """Of the history of `source`; `windows` of orders."""
        self._source = source
        self._counters = counters
        self._windows = windows

    async def cursors(self) -> dict[int, int]:
        """See `Projection`."""
        return await self._counters.cursors(self._source)

    async def apply(self, before: Mapping[int, int], page: Page[Any]) -> None:
        """See `Projection`."""
        began_ns = tracing.now_ns()
        counts = await with_windows(count(read_facts(self._source, page.rows)), self._windows)
        await self._counters.count(self._source, before, page.cursors, counts)
        if tracing.is_on():
            attributes: dict[str, str | int] = {
                "history": _LABELS.get(self._source, self._source.name.lower()),
                "batch_size": len(page.rows),
            }
            _SPANS.write_below("stats.count", traces_of(self._source, page.rows), began_ns, attributes)

    async def set_aside(self, before: Mapping[int, int], page: Page[Any], reason: str) -> None:
        """See `Projection`."""
        (row,) = page.rows
        try:
            parts = await all_with_windows(counts_of_each(self._source, row), self._windows)
        except POISON:
            parts = []
        if len(parts) < 2:
            parts = []
        await self._counters.set_aside(self._source, before, page.cursors, row.place, reason, parts=parts)
        metrics.SET_ASIDE.labels(_LABELS.get(self._source, self._source.name.lower())).inc()


async def with_windows(counts: Counts, windows: Windows) -> Counts:
    """The same, with the windows of the orders' teams. Raises Unavailable."""
    orders = counts.attribution.orders
    if not orders:
        return counts
    of_team = await windows({order.team_id for order in orders})
    dated = tuple(order._replace(window=of_team[order.team_id]) for order in orders)
    return counts._replace(attribution=counts.attribution._replace(orders=dated))


async def all_with_windows(parts: Sequence[Counts | None], windows: Windows) -> list[Counts | None]:
    """The same of each part. Raises Unavailable."""
    return [None if part is None else await with_windows(part, windows) for part in parts]


_LABELS: Final = {Source.RECORDS: Source.JOURNEY.name.lower()}


def counts_of_each(source: Source, row: HistoryRow) -> list[Counts | None]:
    """What each fact of a row adds; None for one that cannot be read. Raises `POISON` for a row that cannot be read."""
    return [None if isinstance(facts, Exception) else count(facts) for facts in read_each(source, row)]


class Reader:
    """Counts one history: a loop, see `libs.common.tasks`."""

    def __init__(
        self, history: SourceHistory, counters: Counters, progress: Progress, windows: Windows
    ) -> None:
        """`progress` counts rows, `windows` are of orders."""
        self._windows = windows
        self.name = history.name
        self._history = history
        self._projection = CountingProjection(history.source, counters, windows)
        self._progress = progress
        self._facts = metrics.FACTS.labels(history.name)
        self._follower: Follower[Any] = Follower(
            history,
            self._projection,
            rows_max=history.rows_max,
            few_rows=history.rows_max // 2,
            linger_s=LINGER_S,
            applied=self._note_rows,
            failed=metrics.FAULTS.labels(history.name).inc,
        )

    @property
    def error(self) -> str:
        """Fault of the last attempt; empty after a good one."""
        return self._follower.error

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; what was read and not committed is read again later."""
        await self._follower.run(stopping)

    async def step(self, wait_s: float) -> int:
        """Reads and counts one page, see `Follower.step`."""
        return await self._follower.step(wait_s)

    async def counted(self) -> int:
        """Rows counted since the beginning. Raises the driver's errors."""
        # Positions have no gaps, so the position of a partition is the number of its rows.
        return sum((await self._projection.cursors()).values())

    async def waiting(self) -> int:
        """Rows of the history that are not counted, up to a bound. Raises Unavailable, the driver's errors."""
        cursors: Mapping[int, int] = await self._projection.cursors()
        while True:
            page = await self._history.read(cursors, 0, self._history.rows_max // PROBE_SHARE)
            # A feed that passes over rows of other kinds answers in bounded time, perhaps before it has come to any.
            if page.rows or page.cursors == cursors:
                return len(page.rows)
            cursors = page.cursors

    async def read_again(self, partition: int, position: int) -> list[Counts | None]:
        """What each fact of a row of the history adds, None for one that cannot be read. Raises Unavailable, and
        `POISON` for a row that cannot be read."""
        page = await self._history.read({partition: position - 1}, 0, 1)
        rows = [row for row in page.rows if row.place == (partition, position)]
        if not rows:
            return []
        return await all_with_windows(counts_of_each(self._history.source, rows[0]), self._windows)

    @property
    def source(self) -> Source:
        """Whose history it is."""
        return self._history.source

    def _note_rows(self, rows: int) -> None:
        self._facts.inc(rows)
        self._progress.add(rows)


class ReadersLag:
    """Rows of all histories that are not counted yet."""

    def __init__(self, readers: Sequence[Reader], progress: Progress) -> None:
        """`progress` counts what the readers do."""
        self._readers = readers
        self.progress = progress

    async def lag(self) -> Lag:
        """Asks every history what is behind its cursor. A history that cannot be asked counts as one row."""
        waiting = await asyncio.gather(*(self._waiting(reader) for reader in self._readers))
        metrics.WAITING.set(sum(waiting))
        return Lag(pending=sum(waiting), progress=str(self.progress))

    async def _waiting(self, reader: Reader) -> int:
        try:
            return await reader.waiting()
        except AWAY:
            return 1
