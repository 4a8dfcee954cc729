"""Domain time.

Everything a customer could notice happens in domain time: when an order was placed, when a delay ends, whether do not
disturb holds. It comes from one `Clock`, so that a whole installation can be accelerated, held or stepped. Leases,
retries, deadlines and polling stay on real, monotonic time.

The clock of an installation is one row, `platform.clock`: at the real time `real_anchor` it was `domain_anchor`, and
since then domain time runs `rate` times as fast as real time. Each change gives the row a new `version` and notifies.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import asyncpg

from libs.common.db.book import BOOK
from libs.common.db.listening import Listening
from libs.common.db.pool import Connection, Pool

RATE_MAX: Final = 1_000_000.0
"""Most domain seconds per real second; the database refuses more."""
RATE_MIN: Final = 0.000_001
"""Least of a clock that is not held: with less, spans come out as nothing, or as more than a time can take."""

_CHANNEL: Final = "omnijourney_clock"
_CONNECT_TIMEOUT_S: Final = 5.0
_COMMAND_TIMEOUT_S: Final = 5.0
_END_OF_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""Domain time stops here instead of overflowing: at the highest rate it is 70 real hours away."""


class Clock(Protocol):
    """Domain time as one process sees it."""

    def now(self) -> datetime:
        """Domain time, UTC. Never earlier than an earlier answer of the same clock."""
        ...

    @property
    def rate(self) -> float:
        """Domain seconds per real second; 0 is held."""
        ...

    @property
    def version(self) -> int:
        """Version of the installation's clock that was seen last."""
        ...

    def real_seconds_until(self, at: datetime) -> float | None:
        """Real seconds until the domain time `at`, 0 when it has come; None while the clock is held before it.

        Holds only until the clock changes: wait for the time or `changed`, whichever is first.
        """
        ...

    async def changed(self, after_version: int) -> int:
        """Waits for a version higher than `after_version`; returns the present one."""
        ...


class SystemClock:
    """Real time as domain time, for tools that follow no installation."""

    rate = 1.0
    version = 1

    def now(self) -> datetime:
        """Real time, UTC."""
        return datetime.now(UTC)

    def real_seconds_until(self, at: datetime) -> float | None:
        """See `Clock`."""
        return max(0.0, (at - self.now()).total_seconds())

    async def changed(self, after_version: int) -> int:
        """Never returns for the present version: this clock does not change."""
        if after_version >= self.version:
            await asyncio.Event().wait()
        return self.version


class _Versions:
    """A version that others wait for."""

    def __init__(self, version: int) -> None:
        self.version = version
        self._moved = asyncio.Event()

    def move_to(self, version: int) -> None:
        self.version = version
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def after(self, version: int) -> int:
        while self.version <= version:
            await self._moved.wait()
        return self.version


class SteppedClock:
    """A held clock that moves only when a test moves it, for tests."""

    rate = 0.0

    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        """Starts at `at`, version 1."""
        self._at = _utc(at)
        self._versions = _Versions(1)

    def now(self) -> datetime:
        """The time it was set to."""
        return self._at

    @property
    def version(self) -> int:
        """Grows by one with each step."""
        return self._versions.version

    def advance(self, by: timedelta) -> datetime:
        """Moves by `by` and returns the new time. Raises ValueError when `by` is negative."""
        return self.set(self._at + by)

    def set(self, at: datetime) -> datetime:
        """Moves to `at`. Raises ValueError when that lies before the present time."""
        if at < self._at:
            raise ValueError(f"domain time never runs backwards: {at} is before {self._at}")
        self._at = _utc(at)
        self._versions.move_to(self.version + 1)
        return self._at

    def real_seconds_until(self, at: datetime) -> float | None:
        """0 when `at` has come, else None: only a step brings it."""
        return 0.0 if at <= self._at else None

    async def changed(self, after_version: int) -> int:
        """See `Clock`."""
        return await self._versions.after(after_version)


@dataclass(frozen=True, slots=True)
class ClockRow:
    """The row `platform.clock`."""

    real_anchor: datetime
    domain_anchor: datetime
    rate: float
    version: int

    def domain_at(self, real: datetime) -> datetime:
        """Domain time at a real time; the anchor itself for anything before it."""
        elapsed_s = max(0.0, (real - self.real_anchor).total_seconds()) * self.rate
        if elapsed_s >= (_END_OF_TIME - self.domain_anchor).total_seconds():
            return _END_OF_TIME
        return self.domain_anchor + timedelta(seconds=elapsed_s)


class InstallationClock:
    """Follows the installation's clock row; made by `InstallationClock.follow`.

    Between a change of the row and its notice here (a millisecond, a poll interval at worst) a process still runs at
    the old rate, so it can be ahead of a clock that was slowed down; then it stands until the row has caught up.
    Whoever needs processes to agree exactly holds the clock (rate 0) and steps it.
    """

    def __init__(self) -> None:
        """Shows nothing before it has read its row."""
        self._row = ClockRow(_EPOCH, _EPOCH, 0.0, 0)
        self._skew = timedelta(0)
        self._latest = _EPOCH
        self._versions = _Versions(0)

    @classmethod
    @contextlib.asynccontextmanager
    async def follow(cls, dsn: str) -> "AsyncIterator[InstallationClock]":
        """A clock that has read its row and follows it until the context ends; `dsn` of a role that may read it.

        Raises the driver's error when the first read fails; later faults are logged and tried again.
        """
        clock = cls()
        async with Listening(dsn, "clock", _CHANNEL, clock._read).following():
            yield clock

    def now(self) -> datetime:
        """Domain time, UTC; never runs backwards in this process."""
        self._latest = max(self._latest, self._row.domain_at(self._real_now()))
        return self._latest

    @property
    def rate(self) -> float:
        """Domain seconds per real second; 0 is held."""
        return self._row.rate

    @property
    def version(self) -> int:
        """Version of the row seen last."""
        return self._versions.version

    def real_seconds_until(self, at: datetime) -> float | None:
        """See `Clock`."""
        now = self.now()
        if at <= now:
            return 0.0
        if self._row.rate == 0:
            return None
        ahead_s = (now - self._row.domain_at(self._real_now())).total_seconds()
        return ((at - now).total_seconds() + max(0.0, ahead_s)) / self._row.rate

    async def changed(self, after_version: int) -> int:
        """See `Clock`."""
        return await self._versions.after(after_version)

    async def wait_version(self, version: int) -> int:
        """Waits until this process follows `version` or a later one; returns the present one."""
        return await self._versions.after(version - 1)

    def _real_now(self) -> datetime:
        return datetime.now(UTC) + self._skew

    async def _read(self, connection: "asyncpg.Connection[Any]") -> None:
        before_s = time.time()
        record = await connection.fetchrow(BOOK["read_clock"])
        after_s = time.time()
        if record is None:
            raise LookupError("platform.clock has no row: the database was not migrated")
        self._skew = _skew(record["server_now"], before_s, after_s)
        row = ClockRow(record["real_anchor"], record["domain_anchor"], record["rate"], record["version"])
        if row.version != self._row.version:
            self._row = row
            self._versions.move_to(row.version)


class ClockRefusedError(Exception):
    """The database refused a change of the clock; `kind` is "version" or "value", the message says why."""

    def __init__(self, kind: str, message: str) -> None:
        """See the class."""
        super().__init__(message)
        self.kind = kind


async def set_clock(
    connection: "Connection | Pool",
    rate: float,
    domain_time: datetime | None = None,
    expected_version: int = 0,
) -> int:
    """Changes the installation's clock and returns its new version.

    `rate` 0 to RATE_MAX; `domain_time` not before the present one, None keeps it; `expected_version` 0 skips the
    check. Raises ClockRefusedError.
    """
    query = BOOK.bind("set_clock", rate=rate, domain_time=domain_time, expected_version=expected_version)
    try:
        version: int = await connection.fetchval(*query)
    except asyncpg.PostgresError as error:
        kind = {"OJ001": "version", "OJ002": "value"}.get(error.sqlstate or "")
        if kind is None:
            raise
        raise ClockRefusedError(kind, str(error)) from error
    return version


async def clock_version(pool: Pool) -> int:
    """The version of the installation's clock, of its row: a process may follow an earlier one for a moment."""
    version: int = await pool.fetchval(BOOK["read_clock_version"])
    return version


async def begin_clock(dsn: str, at: datetime) -> None:
    """Holds the clock of an installation that was never used at `at`, which may lie in the past.

    `dsn` is the administrator's; call it before any service starts, since none would follow a step back.
    Raises ClockRefusedError of kind "version" when the clock was changed before.
    """
    connection = await asyncpg.connect(dsn, timeout=_CONNECT_TIMEOUT_S, command_timeout=_COMMAND_TIMEOUT_S)
    try:
        begun = await connection.fetchval(*BOOK.bind("begin_clock", domain_time=_utc(at)))
    finally:
        await connection.close()
    if begun is None:
        raise ClockRefusedError(
            "version", "the installation's clock was changed before: it cannot begin again"
        )


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time without a zone is no domain time")
    return at.astimezone(UTC)


def _skew(server_now: datetime, before_s: float, after_s: float) -> timedelta:
    """How far the database's clock is ahead of ours; 0 when the difference is within the error of measuring.

    Processes must agree with the row, not with their own machine. On one machine the true skew is 0, and a measured
    fraction of a millisecond would be minutes at a high rate.
    """
    error_s = after_s - before_s
    skew_s = server_now.timestamp() - (before_s + after_s) / 2
    return timedelta(0) if abs(skew_s) <= error_s else timedelta(seconds=skew_s)
