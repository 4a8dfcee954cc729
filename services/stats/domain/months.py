"""Sums by hour that are kept of months."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from services.stats.domain.days import Columns
from services.stats.domain.series import QUARTERS_OF_HOUR, Steps, quarter_of


class CounterMonth(NamedTuple):
    """One figure in a month of UTC."""

    month: datetime
    metric: int
    channel: int
    label: str
    hours: Sequence[int]
    """Of the month, from 0, in order."""
    sums: Sequence[int]
    """What each adds."""


class HoursOfSpan:
    """A span and its steps, all of which begin on hours of UTC. Made once for many journeys, and written for the
    thousands of hours of a year."""

    def __init__(self, steps: Steps, start: datetime, end: datetime) -> None:
        """The first step is not after the span's start."""
        self._first, self._last = _hour(start), _hour(end)
        starts = [quarter // QUARTERS_OF_HOUR for quarter in steps.quarters]
        self._begin = starts[0]
        # Where each step is an hour its place follows from its start.
        self._are_hours = starts[-1] - starts[0] == len(starts) - 1 and self._last - starts[-1] <= 1
        self._places = [] if self._are_hours else _places(starts, self._last)

    def columns(self, months: Iterable[CounterMonth]) -> Columns:
        """What each figure adds by step, as far as it lies in the span; each figure has one row a month."""
        columns: Columns = {}
        for month, metric, channel, label, hours, sums in months:
            base = _hour(month)
            if base + hours[0] < self._first or base + hours[-1] >= self._last:
                inside = [
                    (hour, value)
                    for hour, value in zip(hours, sums, strict=True)
                    if self._first <= base + hour < self._last
                ]
                hours, sums = [hour for hour, _ in inside], [value for _, value in inside]  # noqa: PLW2901 - the rest
            column, offset = columns.setdefault((metric, "", channel, label), {}), base - self._begin
            if self._are_hours:
                column.update(zip([offset + hour for hour in hours], sums, strict=True))
                continue
            for hour, value in zip(hours, sums, strict=True):
                place = self._places[offset + hour]
                column[place] = column.get(place, 0) + value
        return columns


def _places(starts: Sequence[int], last: int) -> list[int]:
    """The step of each hour, from the first step on."""
    return [
        place
        for place, (begin, following) in enumerate(pairwise([*starts, max(last, starts[-1] + 1)]))
        for _ in range(begin, following)
    ]


def _hour(at: datetime) -> int:
    return quarter_of(at) // QUARTERS_OF_HOUR
