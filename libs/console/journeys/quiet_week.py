"""Do not disturb as it is drawn over a week."""

from __future__ import annotations

from typing import NamedTuple

from omnijourney.journey.v1.journey_pb2 import DoNotDisturb

DAY_MINUTES = 24 * 60
DAYS = 7


class Bar(NamedTuple):
    """A stretch of one day."""

    day: int
    """0 is Monday."""
    start: int
    """Minute of the day."""
    length: int
    """Minutes."""


def drawn_week(quiet: DoNotDisturb) -> list[Bar]:
    """Each window on each of its days; what goes past midnight goes on the day after."""
    bars = []
    for window in quiet.windows:
        for weekday in window.weekdays or range(1, DAYS + 1):
            day = weekday - 1
            if window.end_minute > window.start_minute:
                bars.append(Bar(day, window.start_minute, window.end_minute - window.start_minute))
            else:
                bars.append(Bar(day, window.start_minute, DAY_MINUTES - window.start_minute))
                bars.append(Bar((day + 1) % DAYS, 0, window.end_minute))
    return [bar for bar in bars if bar.length > 0]
