"""When a limit that all customers share would be used up, found without looking at them in the order of time.

A simulation goes customer by customer. What they would take of a limit is noted with its time; afterwards the limit
tells which was the first that it has no room for. Nothing depends on it before, so the next pass imposes it from there.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import repeat
from typing import Final, NamedTuple

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SPARE: Final = 4_096
"""So many more than a limit are kept before they are sorted: 8 bytes each."""


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
        self._taken_us = array("q")

    def take(self, at: datetime, count: int) -> None:
        """Notes that so many are taken at once. Of all but the first that the limit has room for one more is kept."""
        self._taken_us.extend(repeat((at - _EPOCH) // _MICROSECOND, count))
        if len(self._taken_us) > 2 * self._limit + _SPARE:
            self._taken_us = array("q", sorted(self._taken_us)[: self._limit + 1])

    def reached(self) -> Reached | None:
        """When it is used up; None if all that was taken fits."""
        if len(self._taken_us) <= self._limit:
            return None
        taken = sorted(self._taken_us)
        first_us = taken[self._limit]
        before = next(place for place, each in enumerate(taken) if each == first_us)
        return Reached(_EPOCH + first_us * _MICROSECOND, self._limit - before, self._reason)


def tightened(imposed: Imposed, meters: Iterable[Meter]) -> Imposed | None:
    """What has to be imposed as well, the earliest of it only: what comes later depends on it. None: nothing more."""
    reached = [(at, meter.consequence) for meter in meters if (at := meter.reached()) is not None]
    for limit, consequence in sorted(reached, key=lambda each: each[0].at):
        if consequence is Consequence.STOP:
            return imposed._replace(stop=limit)
        if consequence is Consequence.CLOSE:
            return imposed._replace(close=limit)
    return None
