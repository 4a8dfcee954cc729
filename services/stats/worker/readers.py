"""Readers: each follows one history and commits its counts together with its cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import structlog

from libs.common.db.faults import PASSING
from libs.common.rpc.operations import Lag, Progress
from libs.common.tasks import work_until
from services.stats import metrics
from services.stats.clients.feeds import PAGE_ROWS, Feed, FeedUnavailable
from services.stats.convert.facts import read_facts
from services.stats.domain.fold import count
from services.stats.domain.model import Counts, Source
from services.stats.store.counters import CursorMovedError

WAIT_S: Final = 5.0
"""How long a read waits for news, real seconds."""
FEW_ROWS: Final = PAGE_ROWS // 4
LINGER_S: Final = 0.8
"""How long a reader waits after a page of few rows, real seconds: it costs nearly what one of hundreds does,
and figures are seen within two seconds all the same (T-04)."""
RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 5.0
PROBE_ROWS_MAX: Final = 500
"""Rows behind are counted up to this: whoever asks wants to know whether there are any."""

_PASSING: Final = (FeedUnavailable, *PASSING)
_log = structlog.get_logger(__name__)


class Counters(Protocol):
    """Where counts and cursors are kept, together."""

    async def cursors(self, source: Source) -> dict[int, int]:
        """Partition → position up to which the source's history is counted."""
        ...

    async def commit(
        self, source: Source, before: Mapping[int, int], after: Mapping[int, int], counts: Counts
    ) -> None:
        """Adds counts and moves the cursors at once. Raises CursorMovedError if they are not at `before`."""
        ...


class Reader:
    """Counts one history, for ever."""

    def __init__(self, feed: Feed, counters: Counters, progress: Progress) -> None:
        """Nothing happens before `run`."""
        self.feed = feed
        self.error = ""
        """Fault of the last attempt; empty after a good one."""
        self._counters = counters
        self._cursors: Mapping[int, int] | None = None
        """Where the history is counted up to, as far as this process knows; None: to be asked."""
        self._progress = progress
        self._facts = metrics.FACTS.labels(feed.name)

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; what was read and not committed is read again later."""
        await work_until(stopping, self._follow(), name=f"follow {self.feed.name}")

    async def _follow(self) -> None:
        delay_s = RETRY_FIRST_S
        while True:
            try:
                if 0 < await self.step(WAIT_S) < FEW_ROWS:
                    await asyncio.sleep(LINGER_S)
            except CursorMovedError:
                continue  # another process counts this history, too: go on from where it is
            except _PASSING as error:
                self._note(error)
                await asyncio.sleep(delay_s)
                delay_s = min(RETRY_MAX_S, delay_s * 2)
            else:
                self.error = ""
                delay_s = RETRY_FIRST_S

    async def step(self, wait_s: float) -> int:
        """Reads and counts one page; returns its rows. Raises FeedUnavailable, CursorMovedError, driver's
        errors.
        """
        # Whatever goes wrong from here on, only the store knows what is counted. It is asked after an empty page, too.
        known, self._cursors = self._cursors, None
        cursors = await self._counters.cursors(self.feed.source) if known is None else known
        page = await self.feed.read(cursors, wait_s)
        if page.cursors != cursors:
            counts = count(read_facts(self.feed.source, page.rows))
            await self._counters.commit(self.feed.source, cursors, page.cursors, counts)
            self._cursors = page.cursors
            self._facts.inc(len(page.rows))
            self._progress.add(len(page.rows))
        return len(page.rows)

    async def counted(self) -> int:
        """Rows counted since the beginning. Raises the driver's errors."""
        # Positions have no gaps, so the position of a partition is the number of its rows.
        return sum((await self._counters.cursors(self.feed.source)).values())

    async def waiting(self) -> int:
        """Rows of the history that are not counted, up to PROBE_ROWS_MAX. Raises FeedUnavailable, driver's
        errors.
        """
        cursors = await self._counters.cursors(self.feed.source)
        while True:
            page = await self.feed.read(cursors, 0, PROBE_ROWS_MAX)
            # A feed that passes over rows of other kinds answers in bounded time, perhaps before it has come to any.
            if page.rows or page.cursors == cursors:
                return len(page.rows)
            cursors = page.cursors

    def _note(self, error: Exception) -> None:
        if not self.error:
            _log.warning("history cannot be counted", source=self.feed.name, error=repr(error))
        self.error = repr(error)
        metrics.FAULTS.labels(self.feed.name).inc()


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
        except _PASSING:
            return 1
