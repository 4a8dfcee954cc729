"""The plan of a team: how many enrolments a calendar month of its zone may have (J-07h, j)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo


class TeamPlan(NamedTuple):
    """What a team has bought. `most` None: nobody knows it now, and nobody enters until somebody does."""

    zone: str
    most: int | None


class Month(NamedTuple):
    """A calendar month of a zone: its first day, and the instant at which that begins."""

    first: date
    start: datetime


def month_of(now: datetime, zone: str) -> Month:
    """The month in which `now` lies."""
    return _month(now.astimezone(_zone(zone)).date().replace(day=1), zone)


@lru_cache(maxsize=1024)
def _month(first: date, zone: str) -> Month:
    # A midnight that the clock passes twice begins with the first; one that it skips begins where the clock goes on.
    start = datetime.combine(first, time(), _zone(zone)).astimezone(UTC)
    for step in (timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)):
        while start.astimezone(_zone(zone)).date() < first:
            start += step
        while (start - step).astimezone(_zone(zone)).date() >= first:
            start -= step
    return Month(first, start)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
