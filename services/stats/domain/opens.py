"""Windows of days in which people opened messages, as LINE counts them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

WINDOW_DAYS: Final = 30
"""LINE tells sums of 30 days at most."""
SETTLED: Final = timedelta(days=14)
"""Figures of a day grow for so long."""
ASK_AGAIN: Final = timedelta(minutes=55)
"""After this a node is asked about again: with the time between two looks that is once an hour."""
TEAM_CALLS_MAX: Final = 50
"""Questions of a team in an hour: each is one call on each of its accounts, and LINE takes 60."""
_OFFSET: Final = timedelta(hours=9)
"""LINE counts by the days of UTC+9."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)


class OpensKey(NamedTuple):
    """A node, and a window of its messages."""

    team_id: UUID
    journey_id: UUID
    node_id: str
    window_start: datetime


class Opened(NamedTuple):
    """What the channel has told of a node, over all windows."""

    people: int | None
    """None: it withholds the number, since it is of too few."""


def day_of(at: datetime) -> int:
    """The day of a time, in days since 1970-01-01."""
    return (at - _EPOCH + _OFFSET) // timedelta(days=1)


def start_of(day: int) -> datetime:
    """When a day begins; the end of time for a day beyond it."""
    return _EPOCH + min(timedelta(days=day), _LAST - _EPOCH) - _OFFSET


def windows_at(now: datetime) -> list[tuple[datetime, datetime]]:
    """Start and end of the windows whose figures may still grow: this one, and the one before until it is settled."""
    first = day_of(now) // WINDOW_DAYS * WINDOW_DAYS
    windows = [(start_of(first), start_of(first + WINDOW_DAYS))]
    if now - start_of(first) < SETTLED:
        windows.append((start_of(first - WINDOW_DAYS), start_of(first)))
    return windows


def days_of(window_start: datetime, now: datetime) -> tuple[int, int]:
    """The first day of a window and its number of days, those to come left out."""
    first = day_of(window_start)
    return first, max(1, min(WINDOW_DAYS, day_of(now) - first + 1))
