"""The brake: the gateway is asked to stop a journey's sends until it has acknowledged (J-03d).

A change of do-not-disturb goes the same way (J-06f): sends that wait are put off, to be asked for again by the new
windows, and who rests is made due.

That is kept with the journey, so a process that dies, or a gateway that is away, only delays it: every process asks for
every journey that is stopping and not acknowledged. One that hangs holds nobody back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common.backoff import Backoff, Retries
from libs.common.clock import Clock
from libs.common.logging import about
from libs.common.tasks import set_within
from services.journey import metrics
from services.journey.clients.sends import SendStopper
from services.journey.domain.model import Journey
from services.journey.store.resting import WokenElsewhere
from services.journey.worker.outages import is_outage

AT_ONCE_MAX: Final = 64
"""Brakes that are pulled at once; more wait."""
ANSWER_FAILED_S: Final = 2.0
ANSWER_S: Final = 9.0
"""How long a person waits for the acknowledgement, where the gateway does not answer, and where it is at work. Real
seconds, within the 10 that callers give a call."""
LOOK_EVERY_S: Final = 0.05
"""How often whoever waits looks which of the two it is."""
_BACKOFF: Final = Backoff(0.05, 1.0)

_log = structlog.get_logger(__name__)


class Acknowledgements(Protocol):
    """Where it is kept that the gateway has acknowledged."""

    async def acknowledge(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """No attempt of an epoch before `epoch` can start any more."""
        ...

    async def wake_resting(self, team_id: UUID, journey_id: UUID, epoch: int, now: datetime) -> None:
        """Makes due at `now` everybody who rests for quiet time in a journey, once for `epoch`. Raises
        `WokenElsewhere` while another process does."""
        ...


class Brakes:
    """Brakes under way, one a journey."""

    def __init__(
        self, stopper: SendStopper, kept: Acknowledgements, clock: Clock, woken: Callable[[], None]
    ) -> None:
        """None is under way. `woken` is called when customers were made due."""
        self._stopper = stopper
        self._kept = kept
        self._clock = clock
        self._woken = woken
        self._room = asyncio.Semaphore(AT_ONCE_MAX)
        self._under_way: dict[tuple[UUID, int], _Brake] = {}

    def pull(self, journey: Journey) -> None:
        """Asks for a journey that is not braked, until it is acknowledged or `release`."""
        self._pulled(journey)

    async def pull_and_wait(self, journey: Journey) -> bool:
        """The same; True when it is acknowledged, False when it will not be for a while."""
        brake = self._pulled(journey)
        brake.now.set()
        begun, failures = asyncio.get_running_loop().time(), brake.failures
        waited_s = 0.0
        while waited_s < (ANSWER_S if brake.failures == failures else ANSWER_FAILED_S):
            done, _ = await asyncio.wait({brake.task}, timeout=LOOK_EVERY_S)
            if done:
                return not brake.task.cancelled()
            waited_s = asyncio.get_running_loop().time() - begun
        return False

    async def release(self) -> None:
        """Ends what is under way; whoever comes next begins anew."""
        tasks = [brake.task for brake in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _pulled(self, journey: Journey) -> _Brake:
        key = (journey.journey_id, journey.stop_epoch)
        brake = self._under_way.get(key)
        if brake is None:
            brake = self._under_way[key] = _Brake()
            brake.task = asyncio.create_task(self._ask(journey, brake), name="brake")
            brake.task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return brake

    async def _ask(self, journey: Journey, brake: _Brake) -> None:
        retries = Retries(_BACKOFF)
        while (error := await self._refused(journey, brake)) is not None:
            if isinstance(error, WokenElsewhere):
                await set_within(brake.now, _BACKOFF.max_s)
                continue
            metrics.BRAKES_FAILED.inc()
            if not brake.failures:
                log = _log.warning if is_outage(error) else _log.error
                log(
                    "sends of a journey are not held back yet",
                    journey_id=str(journey.journey_id),
                    error=repr(error),
                )
            brake.failures += 1
            await set_within(brake.now, retries.failed())
        if brake.failures:
            _log.info("sends of a journey are held back", **about(journey))

    async def _refused(self, journey: Journey, brake: _Brake) -> Exception | None:
        """Why it is not acknowledged, or not kept that it is; None if it is."""
        brake.now.clear()
        team_id, journey_id, epoch = journey.team_id, journey.journey_id, journey.stop_epoch
        try:
            async with self._room:
                if journey.was_stopped:
                    await self._stopper.stop_sends(team_id, journey_id, epoch)
                else:
                    await self._recall(journey)
                await self._kept.acknowledge(team_id, journey_id, epoch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sends have to be stopped: it is asked again
            return error
        return None

    async def _recall(self, journey: Journey) -> None:
        team_id, journey_id = journey.team_id, journey.journey_id
        await self._stopper.recall_sends(team_id, journey_id, journey.stop_epoch)
        await self._kept.wake_resting(team_id, journey_id, journey.stop_epoch, self._clock.now())
        self._woken()


class _Brake:
    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.failures = 0
        self.now = asyncio.Event()
        """Somebody waits: the next attempt is due."""
