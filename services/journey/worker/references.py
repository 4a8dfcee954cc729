"""The index of what journeys name follows their changes."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.errors import Unavailable
from libs.common.logging import about
from libs.common.tasks import any_set
from services.journey import metrics
from services.journey.store.references import ReferenceStore
from services.journey.worker.gone import Stopper
from services.journey.worker.outages import OUTAGES

LOOK_EVERY_S: Final = 1.0
"""How often it is looked for what other processes changed, real seconds."""
_AT_ONCE: Final = 200

_log = structlog.get_logger(__name__)


class ReferenceIndexer:
    """Notes what each journey names after each of its changes; one that names what is gone by then stops."""

    def __init__(self, store: ReferenceStore, stopper: Stopper, clock: Clock) -> None:
        """Of this process; others may do the same."""
        self._store = store
        self._stopper = stopper
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Looks at once: a journey was changed."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        while not stopping.is_set():
            self._woken.clear()
            try:
                await self.catch_up(None)
            except OUTAGES as error:
                _log.warning("references wait for the database", error=repr(error))
            await any_set(stopping, self._woken, timeout_s=LOOK_EVERY_S)

    async def catch_up(self, team_id: UUID | None) -> None:
        """Notes what was changed, of a team or (None) of all. Raises the driver's errors."""
        failed: set[UUID] = set()
        while True:
            changed = await self._store.unindexed(team_id, _AT_ONCE)
            fresh = [key for key in changed if key[1] not in failed]
            for key in fresh:
                failed |= await self._index(*key)
            if len(changed) < _AT_ONCE or not fresh:
                return

    async def _index(self, team_id: UUID, journey_id: UUID) -> set[UUID]:
        """Notes one; itself, where that failed for a reason of its own."""
        try:
            version, stops = await self._store.index(team_id, journey_id, self._clock.now())
            await self._stopper.stop(stops)
            await self._store.note_indexed(team_id, journey_id, version)
        except Unavailable as error:
            _log.warning(
                "whether a journey has to stop waits for segment",
                error=repr(error),
                **about(team_id=team_id, journey_id=journey_id),
            )
            return {journey_id}
        except OUTAGES:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is this journey's: the others are noted
            metrics.INDEX_FAULTS.inc()
            _log.exception(
                "what a journey names cannot be noted", **about(team_id=team_id, journey_id=journey_id)
            )
            return {journey_id}
        return set()
