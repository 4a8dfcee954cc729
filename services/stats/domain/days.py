"""Counters of days that are over, and since when figures are kept by hour."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

from services.stats.domain.series import Steps, quarter_of, step_starts

LATE: Final = timedelta(days=1)
"""How long a day is over before its counters are moved: those that grow later are moved once more."""
_HOUR_S: Final = 3_600
_DAY: Final = timedelta(days=1)

Key = tuple[int, str, int, str]
"""Metric, node, channel and label."""
Columns = dict[Key, dict[int, int]]
"""What each figure adds by step: the place of the step, and the sum."""


class Scope(IntEnum):
    """What a counter of a day counts. The numbers are stored."""

    FIGURE = 1
    """What is counted, by quarter of an hour."""
    JOURNEY = 2
    """A journey as a whole, by hour of UTC; of months only."""
    TEAM = 3
    """What a team sent, all journeys together, by quarter of an hour; of months by hour, and the team as a whole."""


class CounterDay(NamedTuple):
    """One figure in a day of UTC."""

    day: datetime
    metric: int
    node_id: str
    channel: int
    label: str
    slots: Sequence[int]
    """Quarters of an hour of the day, from 0."""
    sums: Sequence[int]
    """What each adds."""


def rolled_before(now: datetime) -> datetime:
    """Before which day of UTC counters are moved into those of days."""
    return datetime.combine((now - LATE).astimezone(UTC).date(), datetime.min.time(), UTC)


def is_of_hours(span: tuple[datetime, datetime], steps: Steps) -> bool:
    """Whether a span and its steps begin on hours of UTC, so that sums by such hours are enough."""
    return steps.are_of_hours and all(int(at.timestamp()) % _HOUR_S == 0 for at in span)


def add_by_step(
    columns: Columns,
    days: Iterable[CounterDay],
    steps: Steps,
    start: datetime | None,
    end: datetime | None,
) -> None:
    """Adds up days by steps, as far as they lie from `start` to before `end`; of a span without steps all is step 0."""
    first, last = (None if at is None else quarter_of(at) for at in (start, end))
    starts = steps.quarters

    @cache
    def placed(midnight: int, slots: tuple[int, ...]) -> tuple[list[int], bool]:
        """The steps of a day's quarters, -1 for what lies outside, and whether each has one of its own."""
        within = [
            (first is None or first <= midnight + slot) and (last is None or midnight + slot < last)
            for slot in slots
        ]
        places = [
            max(bisect_right(starts, midnight + slot) - 1, 0) if inside else -1
            for slot, inside in zip(slots, within, strict=True)
        ]
        return places, all(within) and len(set(places)) == len(places)

    for day, metric, node_id, channel, label, slots, sums in days:
        column = columns.setdefault((metric, node_id, channel, label), {})
        places, are_own = placed(quarter_of(day), tuple(slots))
        if are_own and column.keys().isdisjoint(places):
            column.update(zip(places, sums, strict=True))
            continue
        for place, value in zip(places, sums, strict=True):
            if place >= 0:
                column[place] = column.get(place, 0) + value


def day_starts(oldest: datetime, since: datetime, zone: str) -> list[datetime]:
    """Beginnings of the days of a zone, from the one that `oldest` lies in to before `since`."""
    return list(step_starts(oldest, since, "day", zone))


def hours_since(now: datetime, kept: timedelta, zone: str) -> datetime:
    """From when on hours are kept that are kept for so long: a beginning of a day of the zone."""
    return next(step_starts(now - kept, now - kept + _DAY, "day", zone))


def not_kept(
    start: datetime | None, end: datetime | None, since: datetime | None, zone: str, *, by_hour: bool
) -> dict[str, str]:
    """What is wrong, by field, with a range, or with its series by hour, of a team whose hours are kept `since`."""
    if since is None:
        return {}
    found: dict[str, str] = {}
    for field, at in (("start_time", start), ("end_time", end)):
        if at is not None and at < since and next(step_starts(at, at + _DAY, "day", zone)) != at:
            found[field] = (
                f"must be the beginning of a day of the team's zone where it is before {since:%Y-%m-%dT%H:%MZ}: figures"
                " of earlier times are kept by day"
            )
    if by_hour and start is not None and start < since:
        found["start_time"] = (
            f"must not be before {since:%Y-%m-%dT%H:%MZ} with STEP_HOUR: figures of earlier times are kept by day"
        )
    return found
