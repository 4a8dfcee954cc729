"""Holds the installation's clock, steps it, and knows when everything that is due has been done."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from libs.client import Client, ServiceName
from libs.common.rpc.values import datetime_of, timestamp
from libs.demo.patience import DemoFault, call
from omnijourney.common.v1.operations_service_pb2 import GetLagRequest, GetLagResponse, SetClockRequest

PIPELINE: tuple[ServiceName, ...] = ("channel_gateway", "segment", "journey")
"""The services whose work must be done before the clock goes on."""
TIMED: tuple[ServiceName, ...] = (*PIPELINE, "points")
"""The services that must have seen a step of the clock before anything is posted: what they do carries its time."""
STUCK_S = 120.0
"""Real seconds without any progress after which the demo gives up."""
POLL_FIRST_S = 0.002
POLL_MAX_S = 0.03
PACE_STEP_S = 0.5
"""With a limited speed the clock moves at least this often, in real seconds."""


@dataclass(frozen=True, slots=True)
class Lag:
    """One round over the services."""

    pending: dict[str, int]
    progress: tuple[str, ...]
    next_timer: datetime | None

    @property
    def quiet(self) -> bool:
        """Nothing is waiting anywhere."""
        return not any(self.pending.values())


class Instruments(Protocol):
    """What the conductor plays on; a test brings its own."""

    async def set_clock(self, at: datetime) -> int:
        """Holds the clock at `at`; returns its version once the services follow it."""

    async def lag(self, version: int) -> Lag:
        """Asks the services, after they have seen `version` of the clock."""


class Conductor:
    """The clock stands between two steps, so what happens does not depend on how fast the machine is."""

    def __init__(
        self,
        instruments: Instruments,
        start: datetime,
        speed: float | None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`start`: where the clock stands; `speed`: most domain seconds per real second, None for no limit."""
        self._instruments = instruments
        self._speed = speed
        self._monotonic = monotonic
        self._sleep = sleep
        self._paced_s = monotonic()
        self._version = 0
        self.now = start
        self.next_timer: datetime | None = None

    async def advance(self, to: datetime) -> None:
        """Moves the clock to `to` (never back), no faster than the speed allows."""
        while self._speed is not None and to > self.now:
            step = min(to - self.now, timedelta(seconds=self._speed * PACE_STEP_S))
            self._paced_s = max(self._paced_s + step.total_seconds() / self._speed, self._monotonic())
            await self._sleep(max(0.0, self._paced_s - self._monotonic()))
            await self._set(self.now + step)
        if to > self.now:
            await self._set(to)

    async def settle(self) -> None:
        """Waits until two rounds in a row find nothing to do and nothing done in between; DemoFault if that
        never comes."""
        before: Lag | None = None
        wait_s = POLL_FIRST_S
        moved_s = self._monotonic()
        moved: tuple[str, ...] = ()
        while True:
            lag = await self._instruments.lag(self._version)
            if before is not None and lag.quiet and lag.progress == before.progress:
                self.next_timer = lag.next_timer
                return
            if lag.progress != moved:
                moved_s, moved = self._monotonic(), lag.progress
            elif self._monotonic() - moved_s > STUCK_S:
                waiting = {service: count for service, count in lag.pending.items() if count}
                raise DemoFault(f"nothing moves since {STUCK_S:.0f} s at {self.now}; waiting: {waiting}")
            before = lag if lag.quiet else None
            if not lag.quiet:
                await self._sleep(wait_s)
                wait_s = min(POLL_MAX_S, wait_s * 1.5)

    async def _set(self, at: datetime) -> None:
        self._version = await self._instruments.set_clock(at)
        self.now = at


class InstallationInstruments:
    """The services of a running installation."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._operations = {service: client.operations(service) for service in client.known}

    async def set_clock(self, at: datetime) -> int:
        """See `Instruments`."""
        request = SetClockRequest(rate=0.0, domain_time=timestamp(at))
        operations = self._operations["segment"]
        version = (await call(operations.SetClock, request)).version
        await self._ask(TIMED, version)
        return version

    async def lag(self, version: int) -> Lag:
        """See `Instruments`. A service that is being restarted is waited for."""
        answers = await self._ask(PIPELINE, version)
        journey = answers["journey"]
        return Lag(
            pending={service: answer.pending for service, answer in answers.items()},
            progress=tuple(answer.progress for answer in answers.values()),
            next_timer=datetime_of(journey.next_timer_time) if journey.HasField("next_timer_time") else None,
        )

    async def _ask(
        self, services: tuple[ServiceName, ...], version: int
    ) -> dict[ServiceName, GetLagResponse]:
        request = GetLagRequest(min_clock_version=version)
        answers = await asyncio.gather(
            *(call(self._operations[service].GetLag, request) for service in services)
        )
        return dict(zip(services, answers, strict=True))
