"""The days that figures are shown of, as a form asks for them and as the contracts take them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from libs.console.visits import Visit

DAYS_DEFAULT: Final = 30
DAYS_MAX: Final = 366


class Period(NamedTuple):
    """From the first day to the last one, both of the team's zone and both within."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def start(self) -> Timestamp:
        """Its first moment."""
        return self._midnight(self.first)

    @property
    def end(self) -> Timestamp:
        """The first moment after it."""
        return self._midnight(self.last + timedelta(days=1))

    def _midnight(self, day: date) -> Timestamp:
        at = Timestamp()
        at.FromDatetime(datetime.combine(day, time(), self.zone))
        return at


def period_of(first: str, last: str, zone: ZoneInfo, today: date, days_max: int = DAYS_MAX) -> Period:
    """What a form asked for (`2026-11-30`), as far as it can be shown: up to `days_max`, and the last 30 days where a
    day is missing or is none."""
    until = _day(last) or today
    since = _day(first) or until - timedelta(days=DAYS_DEFAULT - 1)
    since = min(max(since, until - timedelta(days=days_max - 1)), until)
    return Period(since, until, zone)


def period_asked(visit: Visit, given: Mapping[str, str], days_max: int = DAYS_MAX) -> Period:
    """What the fields `first` and `last` of a form or an address ask for, else the last 30 days."""
    first, last = given.get("first", ""), given.get("last", "")
    return period_of(first, last, visit.formats.zone, visit.today, days_max)


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text.strip())
    except ValueError:
        return None
    # Days that the contracts take, whatever the zone, with room for a year before and a day after.
    return found if date(1972, 1, 1) <= found <= date(9990, 1, 1) else None
