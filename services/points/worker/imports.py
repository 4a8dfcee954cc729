"""The importer: goes on with imports until each has ended, from wherever a crash left it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import structlog

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
_PASSING: Final = (LedgerChangedError, ResourceExhausted, *PASSING)
"""Another process posted the chunk first, or the database is away: try again."""

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
            except _PASSING as error:
                _log.warning("import interrupted, it goes on", error=repr(error))
                wait_s = _RETRY_S
            await any_set(self._awake, stopping, timeout_s=wait_s)

    async def _sweep(self, stopping: asyncio.Event) -> None:
        for team_id, import_id in await self._imports.unfinished():
            while not stopping.is_set() and (rows := await self._imports.step(team_id, import_id)):
                self._notifier.notify()
                self.progress.add(rows)
                metrics.IMPORTED_ROWS.inc(rows)
            self.progress.add()
