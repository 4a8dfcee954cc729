# ruff: noqa: N802 - the generated base names the methods and their arguments
"""What every service tells and takes as a part of the installation: its unsettled work, and the clock."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from libs.common.clock import RATE_MAX, RATE_MIN, Clock, ClockRefusedError, clock_version, set_clock
from libs.common.db.pool import Pool
from libs.common.errors import Aborted, FailedPrecondition, FieldViolation, InvalidArgument, Unavailable
from libs.common.ids import new_id
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import seconds_of, timestamp
from omnijourney.common.v1 import installation_service_pb2 as pb
from omnijourney.common.v1 import installation_service_pb2_grpc as pb_grpc

CLOCK_WAIT_MAX_S: Final = 2.0
"""How long GetLag waits for a version of the clock."""
QUIET_WAIT_MAX_S: Final = 10.0
"""How long GetLag waits for nothing to be pending."""
LOOK_AGAIN_S: Final = 0.005
"""GetLag looks at least so often while it waits: not everything that settles is counted as progress."""

DESCRIPTOR: Final = pb.DESCRIPTOR.services_by_name["InstallationService"]


@dataclass(frozen=True, slots=True)
class Lag:
    """The unsettled work of a service."""

    pending: int
    """Things accepted and not settled."""
    progress: str
    """Changes whenever anything was handled; see `Progress`."""
    oldest_pending: datetime | None = None
    """Domain time of the oldest pending thing."""
    next_timer: datetime | None = None
    """Domain time of the next timer that is not due yet."""


class LagProbe(Protocol):
    """How a service measures its lag. Takes every figure at one moment, as far as it can."""

    @property
    def progress(self) -> "Progress":
        """Counts what the service does."""
        ...

    async def lag(self) -> Lag:
        """The lag now."""
        ...


class NothingPending:
    """The probe of a service that settles everything within the call."""

    def __init__(self, progress: "Progress") -> None:
        """`progress` counts the calls that changed something."""
        self.progress = progress

    async def lag(self) -> Lag:
        """Nothing pending, ever."""
        return Lag(pending=0, progress=str(self.progress))


class Progress:
    """Counts what this process handled; its text also changes with every restart."""

    def __init__(self) -> None:
        """Starts at 0 under a new name."""
        self._process = new_id().hex
        self._handled = 0
        self._changed = asyncio.Event()

    def add(self, count: int = 1) -> None:
        """Notes that `count` things were handled."""
        self._handled += count
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def next_change(self) -> asyncio.Event:
        """Set when the next thing is handled. Take it before looking, wait for it after, and nothing is missed."""
        return self._changed

    def __str__(self) -> str:
        """Opaque; to be compared only."""
        return f"{self._process}:{self._handled}"


class InstallationServicer(pb_grpc.InstallationServiceServicer):
    """See `protos/omnijourney/common/v1/installation_service.proto`."""

    def __init__(self, clock: Clock, probe: LagProbe, pool: Pool, *, clock_control: bool) -> None:
        """`clock_control`: whether SetClock is allowed in this installation."""
        self._clock = clock
        self._probe = probe
        self._pool = pool
        self._clock_control = clock_control

    async def GetLag(self, request: pb.GetLagRequest, context: Any) -> pb.GetLagResponse:
        """Waits for the clock's version, then asks the probe."""
        version = await self._wait_version(request.min_clock_version)
        lag = await self._lag_within(min(seconds_of(request.wait), QUIET_WAIT_MAX_S))
        return pb.GetLagResponse(
            pending=lag.pending,
            progress=lag.progress,
            oldest_pending_time=timestamp(lag.oldest_pending) if lag.oldest_pending else None,
            next_timer_time=timestamp(lag.next_timer) if lag.next_timer else None,
            clock_version=version,
        )

    async def GetClock(self, request: pb.GetClockRequest, context: Any) -> pb.GetClockResponse:
        """The clock as this process follows it."""
        return pb.GetClockResponse(
            now=timestamp(self._clock.now()), rate=self._clock.rate, version=self._clock.version
        )

    async def SetClock(self, request: pb.SetClockRequest, context: Any) -> pb.SetClockResponse:
        """Changes the clock of the whole installation."""
        if not self._clock_control:
            raise FailedPrecondition(
                "CLOCK_NOT_CONTROLLABLE", "this installation does not allow its clock to be changed"
            )
        check = FieldCheck()
        if request.rate and not RATE_MIN <= request.rate <= RATE_MAX:
            check.fault("rate", f"must be 0, or {RATE_MIN:f} to {RATE_MAX:.0f}")
        domain_time = (
            check.time("domain_time", request, "domain_time") if request.HasField("domain_time") else None
        )
        check.done()
        try:
            version = await set_clock(self._pool, request.rate, domain_time, request.expected_version)
        except ClockRefusedError as error:
            if error.kind == "version":
                raise Aborted(
                    "CLOCK_VERSION_MISMATCH", str(error), metadata={"version": str(self._clock.version)}
                ) from error
            raise InvalidArgument.of(FieldViolation("domain_time", str(error))) from error
        return pb.SetClockResponse(version=version)

    async def _lag_within(self, wait_s: float) -> Lag:
        """The lag as soon as nothing is pending, else when the time is over; looks whenever something was done."""
        deadline_s = time.monotonic() + wait_s
        while True:
            done = self._probe.progress.next_change()
            lag = await self._probe.lag()
            left_s = deadline_s - time.monotonic()
            if lag.pending == 0 or left_s <= 0:
                return lag
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, LOOK_AGAIN_S)):
                    await done.wait()

    async def _wait_version(self, version: int) -> int:
        """Waits until this process follows the version. One that the clock has not had yet is refused at once."""
        if version > self._clock.version:
            _require_version(version, await clock_version(self._pool))
        try:
            async with asyncio.timeout(CLOCK_WAIT_MAX_S):
                return await self._clock.changed(version - 1)
        except TimeoutError as error:
            raise Unavailable.dependency(f"clock version {version}") from error


def _require_version(asked: int, present: int) -> None:
    if asked > present:
        violation = FieldViolation(
            "min_clock_version",
            f"is {asked}, and the clock's version is {present}: take one that SetClock answered",
        )
        raise FailedPrecondition(
            "INVALID_FIELDS", f"the clock has no version {asked} yet", violations=[violation]
        )
