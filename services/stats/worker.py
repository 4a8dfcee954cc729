"""Readers: each follows one history and commits its counts together with its cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog

from libs.common.db.faults import PASSING
from libs.common.rpc.operations import Lag, Progress
from services.stats import metrics
from services.stats.clients import Feed, FeedUnavailable
from services.stats.fold import count
from services.stats.store import CounterStore, CursorMovedError

WAIT_S: Final = 5.0
"""How long a read waits for news, real seconds."""
RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 5.0
PROBE_ROWS_MAX: Final = 5_000

_PASSING: Final = (FeedUnavailable, *PASSING)
_log = structlog.get_logger(__name__)


class Reader:
    """Counts one history, for ever."""

    def __init__(self, feed: Feed, store: CounterStore, progress: Progress) -> None:
        """Nothing happens before `run`."""
        self.feed = feed
        self.counted = 0
        self.error = ""
        self._store = store
        self._progress = progress

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; what was read and not committed is read again later."""
        stop = asyncio.ensure_future(stopping.wait())
        while not stopping.is_set():
            step = asyncio.ensure_future(self._step_or_wait())
            await asyncio.wait({step, stop}, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                step.cancel()
                await asyncio.gather(step, return_exceptions=True)
                return
            await step

    async def _step_or_wait(self) -> None:
        delay = RETRY_FIRST_S
        while True:
            try:
                await self.step(WAIT_S)
            except CursorMovedError:
                return
            except _PASSING as error:
                self._note(error)
                await asyncio.sleep(delay)
                delay = min(RETRY_MAX_S, delay * 2)
                continue
            self.error = ""
            return

    async def step(self, wait_s: float) -> int:
        """Reads and counts one page; returns its length. Raises FeedUnavailable, CursorMovedError, driver's errors."""
        cursors = await self._store.cursors(self.feed.source)
        page = await self.feed.read(cursors, wait_s)
        if page.cursors != cursors:
            await self._store.commit(
                self.feed.source, cursors, page.cursors, count(self.feed.source, page.facts)
            )
            self.counted += len(page.facts)
            metrics.FACTS.labels(self.feed.name).inc(len(page.facts))
            self._progress.add(len(page.facts))
        return len(page.facts)

    async def waiting(self) -> int:
        """Rows that are in the history and not counted, up to 5,000. Raises FeedUnavailable, driver's errors."""
        page = await self.feed.read(await self._store.cursors(self.feed.source), 0, PROBE_ROWS_MAX)
        return len(page.facts)

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
        self._progress = progress

    async def lag(self) -> Lag:
        """Asks every history what is behind its cursor. A history that cannot be asked counts as one row."""
        waiting = await asyncio.gather(*(self._waiting(reader) for reader in self._readers))
        return Lag(pending=sum(waiting), progress=str(self._progress))

    async def _waiting(self, reader: Reader) -> int:
        try:
            return await reader.waiting()
        except _PASSING:
            return 1
