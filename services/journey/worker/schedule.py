"""Changes of status that nobody asks for: starts, ends, and the last step of a stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.errors import NotFound
from libs.common.logging import about
from libs.common.rpc.operations import Progress
from libs.common.tasks import any_set
from services.journey import metrics
from services.journey.domain.lifecycle import due_change
from services.journey.domain.model import Journey, JourneyStatus
from services.journey.worker.brakes import Brakes
from services.journey.worker.outages import OUTAGES

LOOK_EVERY_S: Final = 1.0
"""How often the schedule is looked at when nothing else wakes it, real seconds."""
STOPPING_EVERY_S: Final = 0.02
"""The same while a journey has just begun to stop: its last customer may be halted at any moment."""
CHANGES_AT_ONCE: Final = 4
"""Journeys that are changed at once, each on a connection of its own."""

R = TypeVar("R")

_log = structlog.get_logger(__name__)


class Changes(Protocol):
    """Changes of status that nobody asks for, each made at once or not at all."""

    async def due(self, now: datetime) -> list[tuple[UUID, UUID]]:
        """(team, journey) of those that have to change by themselves at `now`, are stopping, or are not braked."""
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

    def __init__(  # noqa: PLR0917 - parts, each of its own type
        self,
        changes: Changes,
        brakes: Brakes,
        clock: Clock,
        progress: Progress,
        set_stopping: Callable[[Iterable[tuple[UUID, UUID]]], None],
        real_time: Callable[[], float] = time.monotonic,
    ) -> None:
        """`set_stopping` takes the journeys (team, journey) that are stopping."""
        self._changes = changes
        self._brakes = brakes
        self._clock = clock
        self._progress = progress
        self._set_stopping = set_stopping
        self._real_time = real_time
        self._stopping_since: dict[UUID, float] = {}
        self._room = asyncio.Semaphore(CHANGES_AT_ONCE)
        self._moving: dict[tuple[UUID, UUID], asyncio.Task[Any]] = {}
        """Changes under way, by journey."""
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Looks at once: the clock moved, or a journey was changed."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        try:
            while not stopping.is_set():
                self._woken.clear()
                wait_s = LOOK_EVERY_S
                try:
                    if await self.step(self._clock.now()):
                        wait_s = self._look_again_s()
                except OUTAGES as error:
                    _log.warning("schedule waits for a service", error=repr(error))
                await any_set(stopping, self._woken, timeout_s=wait_s)
        finally:
            await self._brakes.release()
            for task in self._moving.values():
                task.cancel()
            await asyncio.gather(*self._moving.values(), return_exceptions=True)

    async def step(self, now: datetime) -> bool:
        """Makes every change that is due at `now`; True if a journey is still stopping.

        Labels first, then what they lead to: no start or end waits for another journey's stop.
        """
        due = await self._changes.due(now)
        journeys = await self._each(due, self._follow, now)
        ending = [journey for journey in journeys if journey.status is JourneyStatus.STOPPING]
        for journey in journeys:
            if not journey.is_braked:
                self._brakes.pull(journey)
        self._set_stopping([(journey.team_id, journey.journey_id) for journey in ending])
        ended = await self._each(
            [(j.team_id, j.journey_id) for j in ending if j.is_braked], self._settle, now
        )
        left = {journey.journey_id for journey in ending}.difference(ended)
        self._stopping_since = {id_: self._stopping_since.get(id_, self._real_time()) for id_ in left}
        return bool(left)

    async def _each(
        self,
        journeys: Iterable[tuple[UUID, UUID]],
        work: Callable[[UUID, UUID, datetime], Awaitable[R]],
        now: datetime,
    ) -> list[R]:
        """What `work` gives for each journey, as far as it is done within a second; the rest is left to go on."""
        tasks = [
            self._start(journey, partial(work, *journey, now))
            for journey in journeys
            if journey not in self._moving
        ]
        done: set[asyncio.Task[R | None]] = set()
        if tasks:
            done, _ = await asyncio.wait(tasks, timeout=LOOK_EVERY_S)
        return [found for task in tasks if task in done and (found := task.result()) is not None]

    def _start(self, journey: tuple[UUID, UUID], work: Callable[[], Awaitable[R]]) -> asyncio.Task[R | None]:
        task = asyncio.create_task(self._guarded(*journey, work), name="change of a journey")
        self._moving[journey] = task
        task.add_done_callback(lambda _: self._moving.pop(journey, None))
        return task

    async def _guarded(self, team_id: UUID, journey_id: UUID, work: Callable[[], Awaitable[R]]) -> R | None:
        """What one raises is its own: the others go on, and it is looked at again."""
        try:
            async with self._room:
                return await work()
        except NotFound:  # deleted meanwhile
            return None
        except OUTAGES as error:
            _log.warning(
                "a change waits for a service",
                error=repr(error),
                **about(team_id=team_id, journey_id=journey_id),
            )
        except Exception:  # noqa: BLE001 - whatever it is, it is this journey's: the others move
            metrics.SCHEDULE_FAULTS.inc()
            _log.exception(
                "a journey cannot follow its schedule", **about(team_id=team_id, journey_id=journey_id)
            )
        return None

    async def _follow(self, team_id: UUID, journey_id: UUID, now: datetime) -> Journey:
        journey = await self._changes.get(team_id, journey_id)
        if due_change(journey, now) is None:
            return journey
        changed = await self._changes.follow_schedule(team_id, journey_id, now)
        if changed.status is not journey.status:
            self._note(team_id, journey_id, changed.status)
        return changed

    async def _settle(self, team_id: UUID, journey_id: UUID, now: datetime) -> UUID | None:
        if not await self._changes.settle_stop(team_id, journey_id, now):
            return None
        self._note(team_id, journey_id, JourneyStatus.STOPPED)
        return journey_id

    def _look_again_s(self) -> float:
        """The longer all have been stopping the rarer: the last look is late by a tenth of that at most."""
        latest = max(self._stopping_since.values(), default=0.0)
        age_s = self._real_time() - latest
        return min(LOOK_EVERY_S, max(STOPPING_EVERY_S, age_s / 10))

    def _note(self, team_id: UUID, journey_id: UUID, status: JourneyStatus) -> None:
        metrics.STATUS_CHANGES.inc()
        self._progress.add()
        _log.info(
            "journey changed by itself", status=status.name, **about(team_id=team_id, journey_id=journey_id)
        )
