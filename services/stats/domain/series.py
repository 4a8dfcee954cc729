"""Steps of a series: hours, or days of a zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


def step_starts(start: datetime, end: datetime, unit: str, zone: str) -> Iterator[datetime]:
    """Starts of all steps that touch `[start, end)`, in order, UTC. `unit` is `hour` or `day`."""
    if unit == "hour":
        at = start.replace(minute=0, second=0, microsecond=0)
        while at < end:
            yield at
            at += timedelta(hours=1)
        return
    local = ZoneInfo(zone)
    day = start.astimezone(local).date()
    while (at := datetime.combine(day, time(), local).astimezone(UTC)) < end:
        yield at
        day += timedelta(days=1)
