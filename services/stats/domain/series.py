"""Steps of a series: hours, or days of a zone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from itertools import count, groupby
from typing import Final
from zoneinfo import ZoneInfo

from services.stats.domain.model import QUARTER_S

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_PLAIN_HOURS = 23
_FURTHER: Final = tuple(n * _HOUR for n in range(1, _PLAIN_HOURS))
_QUARTER = timedelta(seconds=QUARTER_S)
QUARTERS_OF_HOUR: Final = 4


class Steps:
    """The steps of a series."""

    def __init__(self, starts: Sequence[datetime], unit: str, end: datetime | None = None) -> None:
        """`starts` in order, UTC; `unit` is `hour` or `day` of the team's zone; `end` of the last one."""
        self.starts: Final = starts
        self.unit: Final = unit
        self.end: Final = end

    @cached_property
    def quarters(self) -> Sequence[int]:
        """The starts as numbers of quarters of an hour; counted once, since a year has thousands."""
        return [quarter_of(at) for at in self.starts]

    @cached_property
    def are_of_hours(self) -> bool:
        """Whether all begin on hours of UTC."""
        return all(quarter % QUARTERS_OF_HOUR == 0 for quarter in self.quarters)

    def place(self, at: datetime) -> int:
        """The number of the step that a time lies in, from 0; of one before the first: 0."""
        return max(bisect_right(self.quarters, quarter_of(at)) - 1, 0)


def quarter_of(at: datetime) -> int:
    """The number of the quarter of an hour, of all time, that a time lies in."""
    return int(at.timestamp()) // QUARTER_S


def step_starts(start: datetime, end: datetime, unit: str, zone: str) -> Iterator[datetime]:
    """Starts of all steps that touch `[start, end)`, in order, UTC. `unit` is `hour` or `day`, both of
    `zone`.
    """
    local = ZoneInfo(zone)
    starts = _hours(start, local) if unit == "hour" else _days(start, local)
    for at in starts:
        if at >= end:
            return
        yield at


def _hours(start: datetime, local: ZoneInfo) -> Iterator[datetime]:
    """Where the zone's clocks show a full hour, and where they are put to some other time of an hour: some are put by
    half an hour, and that day has a step of half an hour.
    """
    # Zones lie whole quarters apart, so an hour of a zone begins 0, 15, 30 or 45 minutes past one of UTC.
    at = datetime.fromtimestamp(start.timestamp() // QUARTER_S * QUARTER_S, UTC)
    while _hour_of(at - _QUARTER, local) == _hour_of(at, local):
        at -= _QUARTER
    while True:
        yield at
        if _is_plain(at, local):
            yield from (at + further for further in _FURTHER)
            at += (_PLAIN_HOURS - 1) * _HOUR
        at = _next_hour(at, local)


def _is_plain(at: datetime, local: ZoneInfo) -> bool:
    """Whether a full hour begins, and the next ones on end: no zone puts its clocks to another time and back within
    less than a day."""
    shown, later = at.astimezone(local), (at + _PLAIN_HOURS * _HOUR).astimezone(local)
    return shown.minute == 0 and shown.utcoffset() == later.utcoffset()


def _next_hour(at: datetime, local: ZoneInfo) -> datetime:
    shown, later = at.astimezone(local), (at + _HOUR).astimezone(local)
    if shown.minute == 0 and shown.utcoffset() == later.utcoffset():
        return at + _HOUR
    return next(each for n in count(1) if _hour_of(each := at + n * _QUARTER, local) != _hour_of(at, local))


def _hour_of(at: datetime, local: ZoneInfo) -> tuple[date, int, timedelta | None]:
    """An hour as clocks show it, each of the two where they are put back."""
    shown = at.astimezone(local)
    return shown.date(), shown.hour, shown.utcoffset()


def _days(start: datetime, local: ZoneInfo) -> Iterator[datetime]:
    """Where days begin; none for a day that the zone left out, as one does that moves across the date line."""
    first = start.astimezone(local).date()
    midnights = (_midnight(first + n * _DAY, local) for n in count())
    return (at for at, _ in groupby(midnights))


def _midnight(day: date, local: ZoneInfo) -> datetime:
    """The first moment of a day; where daylight saving skips midnight, the moment at which it does."""
    return datetime.combine(day, time(), local).astimezone(UTC)


def on_quarter(at: datetime) -> bool:
    """Whether counters begin at this time."""
    return at.microsecond == 0 and int(at.timestamp()) % QUARTER_S == 0
