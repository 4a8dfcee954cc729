"""The importer: goes on with imports until each has ended, from wherever a crash left it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common.backoff import Backoff, Retries
from libs.common.db.faults import PASSING
from libs.common.errors import ResourceExhausted
from libs.common.feeds.notifier import CommitNotifier
from libs.common.rpc.operations import Lag, Progress
from libs.common.tasks import any_set
from services.points import metrics
from services.points.domain.errors import LedgerChangedError

_POLL_S: Final = 5.0
"""How often the importer looks by itself: another process may have left an import."""
_RETRY_S: Final = 0.5
IMPORT_PASSING: Final = (LedgerChangedError, ResourceExhausted, *PASSING)
"""Another process posted the chunk first, or the database is away: try again."""
_FAULTY: Final = Backoff(first_s=1.0, max_s=600.0)
"""Waits between tries of an import that cannot be worked on; the others go on meanwhile."""

_log = structlog.get_logger(__name__)


class Imports(Protocol):
    """What the importer works on."""

    async def unfinished(self) -> Sequence[tuple[UUID, UUID]]:
        """Team and import of all that are RUNNING or UNDOING."""
        ...

    async def step(self, team_id: UUID, import_id: UUID) -> int:
        """Handles the next chunk; returns its rows, 0 at the end. The same step again is safe."""
        ...


class Importer:
    """Also the probe of points: an import that was started and has not ended is pending."""

    def __init__(self, imports: Imports, notifier: CommitNotifier, progress: Progress) -> None:
        """`notifier` is notified after each chunk; `progress` counts rows."""
        self.progress = progress
        self._imports = imports
        self._notifier = notifier
        self._awake = asyncio.Event()
        self._faulty: dict[tuple[UUID, UUID], tuple[Retries, float]] = {}
        """Imports that failed, and when they are tried again."""

    def wake(self) -> None:
        """There is an import to be run."""
        self._awake.set()

    async def lag(self) -> Lag:
        """Imports that have not ended."""
        return Lag(pending=len(await self._imports.unfinished()), progress=str(self.progress))

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; ends between two chunks."""
        while not stopping.is_set():
            self._awake.clear()
            wait_s = _POLL_S
            try:
                await self._sweep(stopping)
            except IMPORT_PASSING as error:
                _log.warning("import interrupted, it goes on", error=repr(error))
                wait_s = _RETRY_S
            await any_set(self._awake, stopping, timeout_s=wait_s)

    async def _sweep(self, stopping: asyncio.Event) -> None:
        """A chunk of each import in turn, so that none waits for the end of another, until all have ended."""
        while not stopping.is_set():
            unfinished = await self._imports.unfinished()
            due = [key for key in unfinished if self._is_due(key)]
            self._faulty = {key: kept for key, kept in self._faulty.items() if key in unfinished}
            if not due:
                return
            for key in due:
                if not stopping.is_set():
                    await self._step(key)

    async def _step(self, key: tuple[UUID, UUID]) -> None:
        try:
            rows = await self._imports.step(*key)
        except IMPORT_PASSING:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is this import's: the others go on
            _log.exception("an import cannot be worked on", team_id=str(key[0]), import_id=str(key[1]))
            metrics.IMPORT_FAULTS.inc()
            retries, _ = self._faulty.get(key) or (Retries(_FAULTY), 0.0)
            self._faulty[key] = retries, time.monotonic() + retries.failed()
            return
        self._faulty.pop(key, None)
        self.progress.add(rows or 1)
        if rows:
            self._notifier.notify()
            metrics.IMPORTED_ROWS.inc(rows)

    def _is_due(self, key: tuple[UUID, UUID]) -> bool:
        return key not in self._faulty or self._faulty[key][1] <= time.monotonic()
