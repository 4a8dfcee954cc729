"""When a limit that all customers share would be used up, found without looking at them in the order of time.

A simulation goes customer by customer. What they would take of a limit is noted with its time; afterwards the limit
tells which was the first that it has no room for. Nothing depends on it before, so the next pass imposes it from there.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import repeat
from operator import itemgetter
from typing import Final, NamedTuple

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SPARE: Final = 4_096
"""So many more than twice a limit are kept before the latest of them are forgotten: 8 bytes each."""
_SPAN_US: Final = timedelta(minutes=10) // _MICROSECOND
"""What is taken is kept by spans of time: only the one in which a limit is reached has to be sorted."""


class Consequence(Enum):
    """What a limit that is used up does to the journey."""

    STOP = 1
    """Who is inside halts, nothing more leaves."""
    CLOSE = 2
    """Nobody enters any more."""
    NONE = 3
    """It is told."""


class Reached(NamedTuple):
    """A limit that is used up: when the first comes that it has no room for, and how many it still has for that very
    instant. `reason` is the name of an ErrorReason."""

    at: datetime
    left: int
    reason: str


class Imposed(NamedTuple):
    """What passes before have found: from when on the journey is stopped, and closed."""

    stop: Reached | None = None
    close: Reached | None = None


class Meter:
    """What is taken of one limit, and when."""

    def __init__(self, limit: int, reason: str, consequence: Consequence) -> None:
        """`reason` is the name of an ErrorReason."""
        self.consequence = consequence
        self._limit = limit
        self._reason = reason
        self._count = 0
        self._taken_us: dict[int, array[int]] = {}
        """When each was taken, by the number of the span."""

    def take(self, at: datetime, count: int) -> None:
        """Notes that so many are taken at once. Of all but the first that the limit has room for one more is kept."""
        at_us = (at - _EPOCH) // _MICROSECOND
        span = at_us // _SPAN_US
        if span not in self._taken_us:
            self._taken_us[span] = array("q")
        self._taken_us[span].extend(repeat(at_us, count))
        self._count += count
        if self._count > 2 * self._limit + _SPARE:
            self._forget()

    def _forget(self) -> None:
        span, taken, before = self._crossed()
        self._taken_us = {number: each for number, each in self._taken_us.items() if number < span}
        self._taken_us[span] = array("q", taken[: self._limit + 1 - before])
        self._count = self._limit + 1

    def reached(self) -> Reached | None:
        """When it is used up; None if all that was taken fits."""
        if self._count <= self._limit:
            return None
        _, taken, before = self._crossed()
        first_us = taken[self._limit - before]
        left = self._limit - before - bisect_left(taken, first_us)
        return Reached(_EPOCH + first_us * _MICROSECOND, left, self._reason)

    def _crossed(self) -> tuple[int, list[int], int]:
        """Of the span in which more are taken than there is room for: its number, what was taken in it in order, and
        how many were taken before it."""
        before = 0
        for span, taken_us in sorted(self._taken_us.items(), key=itemgetter(0)):
            if before + len(taken_us) > self._limit:
                return span, sorted(taken_us), before
            before += len(taken_us)
        raise AssertionError("the limit has room for all")


def tightened(imposed: Imposed, meters: Iterable[Meter]) -> Imposed | None:
    """What has to be imposed as well, the earliest of it only: what comes later depends on it. None: nothing more."""
    reached = [(at, meter.consequence) for meter in meters if (at := meter.reached()) is not None]
    for limit, consequence in sorted(reached, key=lambda each: each[0].at):
        if consequence is Consequence.STOP:
            return imposed._replace(stop=limit)
        if consequence is Consequence.CLOSE:
            return imposed._replace(close=limit)
    return None
