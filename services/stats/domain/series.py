"""Steps of a series: hours, or days of a zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from services.stats.domain.model import QUARTER_S

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


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
    # Zones lie whole quarters apart, so an hour of a zone begins 0, 15, 30 or 45 minutes past one of UTC.
    minutes = start.astimezone(local).minute
    first = start.replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    return (first + n * _HOUR for n in count())


def _days(start: datetime, local: ZoneInfo) -> Iterator[datetime]:
    first = start.astimezone(local).date()
    return (_midnight(first + n * _DAY, local) for n in count())


def _midnight(day: date, local: ZoneInfo) -> datetime:
    """The first moment of a day; where daylight saving skips midnight, the moment at which it does."""
    return datetime.combine(day, time(), local).astimezone(UTC)


def on_quarter(at: datetime) -> bool:
    """Whether counters begin at this time."""
    return at.microsecond == 0 and int(at.timestamp()) % QUARTER_S == 0
