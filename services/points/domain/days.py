"""Days of a team's zone (X-06: only ranges given as dates are days of a zone), and the span of a search in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

SEARCH_DAYS_DEFAULT = 30
_DAY = timedelta(days=1)


class Days(msgspec.Struct, frozen=True):
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def count(self) -> int:
        """How many."""
        return (self.last - self.first).days + 1

    def beginnings(self, zone: ZoneInfo) -> list[datetime]:
        """When each day begins, and last when the day after them does; UTC."""
        return [beginning(self.first + number * _DAY, zone) for number in range(self.count + 1)]


def last_days(last: date) -> Days:
    """The days that a search goes over by default, up to a day."""
    return Days(max(last, date.min + SEARCH_DAYS_DEFAULT * _DAY) - (SEARCH_DAYS_DEFAULT - 1) * _DAY, last)


def beginning(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a day of a zone, in UTC; the end of time for a day beyond it.

    A midnight that a change of the clocks skips is the moment of the change; of two midnights it is the first.
    """
    try:
        return datetime.combine(day, time(), zone).astimezone(UTC)
    except OverflowError:
        return (
            datetime.max.replace(tzinfo=UTC) if day > date(2000, 1, 1) else datetime.min.replace(tzinfo=UTC)
        )


def day_of(at: datetime, zone: ZoneInfo) -> date:
    """The day of a moment."""
    return at.astimezone(zone).date()
