"""Changes of status that nobody asks for: starts, ends, and the last step of a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.errors import NotFound
from libs.common.rpc.operations import Progress
from libs.common.tasks import any_set
from services.journey import metrics
from services.journey.clients.sends import SendStopper
from services.journey.domain.lifecycle import due_change
from services.journey.domain.model import Journey, JourneyStatus
from services.journey.worker.outages import OUTAGES

LOOK_EVERY_S: Final = 1.0
"""How often the schedule is looked at when nothing else wakes it, real seconds."""
STOPPING_EVERY_S: Final = 0.02
"""The same while a journey is stopping: its last customer may be halted at any moment."""

_log = structlog.get_logger(__name__)


class Changes(Protocol):
    """Changes of status that nobody asks for, each made at once or not at all."""

    async def due(self, now: datetime) -> list[tuple[UUID, UUID]]:
        """(team, journey) of those that have to change by themselves at `now`, or are stopping."""
        ...

    async def get(self, team_id: UUID, journey_id: UUID) -> Journey:
        """One journey. Raises NotFound."""
        ...

    async def follow_schedule(self, team_id: UUID, journey_id: UUID, now: datetime) -> Journey:
        """Does what the schedule says at `now`; returns the journey after it. Raises NotFound."""
        ...

    async def settle_stop(self, team_id: UUID, journey_id: UUID, now: datetime) -> bool:
        """STOPPING becomes STOPPED if nobody is inside any more; False if somebody is. Raises NotFound."""
        ...


class Scheduler:
    """Moves journeys through their schedules, and names to the worker those whose customers it has to halt."""

    def __init__(
        self,
        changes: Changes,
        stopper: SendStopper,
        clock: Clock,
        progress: Progress,
        set_stopping: Callable[[Iterable[tuple[UUID, UUID]]], None],
    ) -> None:
        """`set_stopping` takes the journeys (team, journey) that are stopping."""
        self._changes = changes
        self._stopper = stopper
        self._clock = clock
        self._progress = progress
        self._set_stopping = set_stopping
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Looks at once: the clock moved, or a journey was changed."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        while not stopping.is_set():
            self._woken.clear()
            ends_soon = False
            try:
                ends_soon = await self.step(self._clock.now())
            except OUTAGES as error:
                _log.warning("schedule waits for a service", error=repr(error))
            wait_s = STOPPING_EVERY_S if ends_soon else LOOK_EVERY_S
            await any_set(stopping, self._woken, timeout_s=wait_s)

    async def step(self, now: datetime) -> bool:
        """Makes every change that is due at `now`; True if a journey is still stopping."""
        stopping: list[tuple[UUID, UUID]] = []
        for team_id, journey_id in await self._changes.due(now):
            try:
                if await self._move(team_id, journey_id, now) is JourneyStatus.STOPPING:
                    stopping.append((team_id, journey_id))
            except NotFound:  # deleted meanwhile
                continue
            except OUTAGES:
                raise
            except Exception:  # noqa: BLE001 - whatever it is, it is this journey's: the others move
                metrics.SCHEDULE_FAULTS.inc()
                _log.exception("a journey cannot follow its schedule", journey_id=str(journey_id))
        self._set_stopping(stopping)
        return bool(stopping)

    async def _move(self, team_id: UUID, journey_id: UUID, now: datetime) -> JourneyStatus:
        journey = await self._changes.get(team_id, journey_id)
        if journey.status is JourneyStatus.STOPPING:
            if not await self._changes.settle_stop(team_id, journey_id, now):
                return JourneyStatus.STOPPING
            self._note(journey_id, JourneyStatus.STOPPED)
            return JourneyStatus.STOPPED
        after = due_change(journey, now)
        if after is None:
            return journey.status
        changed = await self._changes.follow_schedule(team_id, journey_id, now)
        if changed.status is JourneyStatus.STOPPING:
            await self._stopper.stop_sends(team_id, journey_id, changed.stop_epoch)
        self._note(journey_id, changed.status)
        return changed.status

    def _note(self, journey_id: UUID, status: JourneyStatus) -> None:
        metrics.STATUS_CHANGES.inc()
        self._progress.add()
        _log.info("journey changed by itself", journey_id=str(journey_id), status=status.name)
