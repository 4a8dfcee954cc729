"""Figures by hour or by day of the team's zone, as a form asks for them: what is read, and what is drawn of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from libs.console.charts import Bar, bars
from libs.console.faults import Faults
from libs.console.languages import noted
from libs.console.periods import DAYS_MAX, Period, period_asked
from libs.console.visits import Visit
from omnijourney.client import CallError
from omnijourney.stats.v1 import figures_pb2

HOURS_DAYS_MAX: Final = 14
"""Days that are shown by hour: more bars than this could not be told apart."""
_HOUR_S: Final = 3600
_NOT_KEPT: Final = noted(
    "Figures by hour are not kept for that long: choose later days, or show them by day."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form of a page asks for."""

    period: Period
    by_hour: bool

    @property
    def step(self) -> figures_pb2.Step.ValueType:
        """As the contracts have it."""
        return figures_pb2.STEP_HOUR if self.by_hour else figures_pb2.STEP_DAY


@dataclass(frozen=True, slots=True)
class Series:
    """A chart, or why there is none."""

    bars: list[Bar]
    faults: Faults

    @property
    def most(self) -> int:
        """The highest; 0 where nothing happened."""
        return max((bar.value for bar in self.bars), default=0)


def asked_of(visit: Visit) -> Asked:
    """What the address says: `step=hour`, `first` and `last`."""
    query = visit.request.query
    by_hour = query.get("step") == "hour"
    period = period_asked(visit, query, HOURS_DAYS_MAX if by_hour else DAYS_MAX)
    return Asked(period, by_hour)


async def series_of(visit: Visit, asked: Asked, call: Any, field: str) -> Series:
    """Reads points by the call and draws one of their figures. Raises CallError, but for hours that are not kept."""
    try:
        points = (await call).points
    except CallError as error:
        if not (asked.by_hour and error.violations):
            raise
        return Series([], Faults.of(error, say=visit.say, whole=visit.say(_NOT_KEPT)))
    values = {point.start_time.seconds: getattr(point.figures, field) for point in points}
    return Series(drawn(visit, asked, values), Faults())


def drawn(visit: Visit, asked: Asked, values: Mapping[int, int]) -> list[Bar]:
    """A bar for each step of the period, also for those of which nothing is known; `values` are by the second at which
    a step starts."""
    starts = hours_of(asked.period) if asked.by_hour else days_of(asked.period)
    sums = [0] * len(starts)
    for second, value in values.items():
        if (place := bisect_right(starts, second) - 1) >= 0:
            sums[place] += value
    label = visit.formats.moment if asked.by_hour else visit.formats.day
    return bars([(label(Timestamp(seconds=start)), value) for start, value in zip(starts, sums, strict=True)])


def hours_of(period: Period) -> list[int]:
    """The seconds at which its hours start, as many as its days have."""
    return list(range(period.start.seconds, period.end.seconds, _HOUR_S))


def days_of(period: Period) -> list[int]:
    """The seconds at which its days start."""
    starts = []
    day = period._replace(last=period.first)
    while day.first <= period.last:
        starts.append(day.start.seconds)
        after = day.end.ToDatetime(tzinfo=period.zone).date()
        day = day._replace(first=after, last=after)
    return starts
