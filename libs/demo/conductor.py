"""Holds the installation's clock, steps it, and knows when everything that is due has been done."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from libs.client import Client, ServiceName
from libs.common.rpc.values import datetime_of, duration, timestamp
from libs.demo.patience import DemoFault, call
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, GetLagRequest, SetClockRequest

PIPELINE: tuple[ServiceName, ...] = ("channel_gateway", "segment", "journey")
"""The services whose work must be done before the clock goes on."""
TIMED: tuple[ServiceName, ...] = ("channel_gateway", "journey")
"""The services that must have seen a step of the clock before anything is posted: when a message was sent and when a
delay ends is their time."""
STUCK_S = 120.0
"""Real seconds in which a service neither becomes quiet nor does anything, after which the demo gives up."""
QUIET_WAIT_S = 1.0
"""How long a service may take to become quiet before it answers all the same, real seconds."""
POLL_S = 0.05
"""Pause before a service that was not quiet in time is asked again."""
CLOCK_POLL_S = 0.001
"""A change of the clock is told by the database within about this."""
PACE_STEP_S = 0.5
"""With a limited speed the clock moves at least this often, in real seconds."""


@dataclass(frozen=True, slots=True)
class Lag:
    """What one service says of its work."""

    pending: int
    progress: str
    next_timer: datetime | None = None


class Instruments(Protocol):
    """What the conductor plays on; a test brings its own."""

    async def set_clock(self, at: datetime) -> int:
        """Holds the clock at `at`; returns its version once the services follow it."""

    async def lag(self, service: ServiceName, version: int, wait_s: float = 0.0) -> Lag:
        """Asks a service, after it has seen `version` of the clock; it answers when it is quiet, or after `wait_s`."""


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
        """Waits until nothing is left to do; DemoFault if that never comes.

        Work goes down the pipeline and back, so each service is waited for in that order; asking is work too. Then
        all are asked once more: nothing was under way when none has anything to do and none has done anything since.
        """
        while True:
            before = {service: await self._until_quiet(service) for service in PIPELINE}
            answers = await asyncio.gather(
                *(self._instruments.lag(service, self._version) for service in PIPELINE)
            )
            after = dict(zip(PIPELINE, answers, strict=True))
            if all(
                lag.pending == 0 and lag.progress == before[service].progress
                for service, lag in after.items()
            ):
                self.next_timer = after["journey"].next_timer
                return

    async def _until_quiet(self, service: ServiceName) -> Lag:
        """Asks one service until it has nothing to do."""
        moved_s, moved = self._monotonic(), ""
        while True:
            lag = await self._instruments.lag(service, self._version, wait_s=QUIET_WAIT_S)
            if lag.pending == 0:
                return lag
            if lag.progress != moved:
                moved_s, moved = self._monotonic(), lag.progress
            elif self._monotonic() - moved_s > STUCK_S:
                raise DemoFault(
                    f"{service} has {lag.pending:,} things to do at {self.now} and did none of them for "
                    f"{STUCK_S:.0f} s"
                )
            await self._sleep(POLL_S)

    async def _set(self, at: datetime) -> None:
        self._version = await self._instruments.set_clock(at)
        self.now = at


class InstallationInstruments:
    """The services of a running installation."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._operations = {service: client.installation(service) for service in client.known}

    async def set_clock(self, at: datetime) -> int:
        """See `Instruments`."""
        request = SetClockRequest(rate=0.0, domain_time=timestamp(at))
        operations = self._operations["segment"]
        version = (await call(operations.SetClock, request)).version
        await asyncio.gather(*(self._follows(service, version) for service in TIMED))
        return version

    async def _follows(self, service: ServiceName, version: int) -> None:
        """Waits until a service follows `version`; asking for its lag would wait too, but count its work as well."""
        while True:
            clock = await call(self._operations[service].GetClock, GetClockRequest())
            if clock.version >= version:
                return
            await asyncio.sleep(CLOCK_POLL_S)

    async def lag(self, service: ServiceName, version: int, wait_s: float = 0.0) -> Lag:
        """See `Instruments`. A service that is being restarted is waited for."""
        request = GetLagRequest(min_clock_version=version, wait=duration(timedelta(seconds=wait_s)))
        answer = await call(self._operations[service].GetLag, request)
        timer = datetime_of(answer.next_timer_time) if answer.HasField("next_timer_time") else None
        return Lag(answer.pending, answer.progress, timer)
