"""Counters of days add up to any steps of any zone as the quarters of an hour do that they are made of."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.stats.domain.days import (
    Columns,
    CounterDay,
    add_by_step,
    day_starts,
    hours_since,
    is_of_hours,
    not_kept,
)
from services.stats.domain.months import CounterMonth, HoursOfSpan
from services.stats.domain.series import Steps, step_starts

FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 45
"""Clocks are put forward and back in them, all over the world."""
QUARTER, DAY = timedelta(minutes=15), timedelta(days=1)
KEY = (1, "", 0, "")

_zones = st.sampled_from(sorted(available_timezones()))
_quarters = st.dictionaries(st.integers(0, DAYS * 96 - 1), st.integers(-5, 50), max_size=60)
_at = st.integers(0, DAYS * 96 - 1)


def packed(quarters: dict[int, int]) -> list[CounterDay]:
    """A row a day."""
    days: dict[int, list[tuple[int, int]]] = {}
    for at, value in sorted(quarters.items()):
        days.setdefault(at // 96, []).append((at % 96, value))
    return [
        CounterDay(FIRST + day * DAY, *KEY, [slot for slot, _ in of], [value for _, value in of])
        for day, of in days.items()
    ]


def packed_by_month(quarters: dict[int, int]) -> list[CounterMonth]:
    """A row a month, of hours."""
    months: dict[datetime, Counter[int]] = {}
    for at, value in sorted(quarters.items()):
        when = FIRST + at * QUARTER
        month = when.replace(day=1, hour=0, minute=0)
        months.setdefault(month, Counter())[(when - month) // timedelta(hours=1)] += value
    return [
        CounterMonth(month, KEY[0], KEY[2], KEY[3], list(hours), list(hours.values()))
        for month, hours in months.items()
    ]


def naive(
    quarters: dict[int, int], steps: list[datetime], start: datetime, end: datetime
) -> Counter[datetime]:
    """Each quarter of an hour to the last step that has begun."""
    found: Counter[datetime] = Counter()
    for at, value in quarters.items():
        when = FIRST + at * QUARTER
        if start <= when < end:
            found[max(step for step in steps if step <= when)] += value
    return found


@settings(deadline=None)
@given(quarters=_quarters, zone=_zones, unit=st.sampled_from(["hour", "day"]), ends=st.tuples(_at, _at))
def test_days_add_up_to_steps_as_their_quarters_do(
    quarters: dict[int, int], zone: str, unit: str, ends: tuple[int, int]
) -> None:
    start, end = (FIRST + at * QUARTER for at in (min(ends), max(ends) + 1))
    steps = list(step_starts(start, end, unit, zone))
    columns: Columns = {}
    add_by_step(columns, packed(quarters), Steps(steps, unit), start, end)
    found = {steps[place]: value for place, value in columns.get(KEY, {}).items()}
    assert found == naive(quarters, steps, start, end)


@settings(deadline=None)
@given(quarters=_quarters, zone=_zones, ends=st.tuples(_at, _at))
@example(quarters={4: 1}, zone="Africa/Abidjan", ends=(0, 4))  # one step, a day, of several hours
def test_hours_of_utc_are_enough_where_all_steps_begin_on_them(
    quarters: dict[int, int], zone: str, ends: tuple[int, int]
) -> None:
    start, end = (FIRST + at * QUARTER for at in (min(ends) // 4 * 4, max(ends) // 4 * 4 + 4))
    for unit in ("hour", "day"):
        steps = list(step_starts(start, end, unit, zone))
        if not is_of_hours((start, end), Steps(steps, unit)):
            continue
        columns = HoursOfSpan(Steps(steps, unit), start, end).columns(packed_by_month(quarters))
        found = {steps[place]: value for place, value in columns.get(KEY, {}).items() if value}
        assert found == {at: value for at, value in naive(quarters, steps, start, end).items() if value}


@settings(deadline=None)
@given(zone=_zones, at=_at, kept=st.integers(1, 40))
def test_hours_are_kept_from_the_beginning_of_a_day_and_days_are_asked_for_as_before(
    zone: str, at: int, kept: int
) -> None:
    now = FIRST + 60 * DAY + at * QUARTER
    since = hours_since(now, kept * DAY, zone)
    assert next(step_starts(since, since + DAY, "day", zone)) == since
    assert now - kept * DAY - timedelta(hours=26) < since <= now - kept * DAY
    starts = day_starts(since - 3 * DAY, since, zone)
    assert starts[-1] < since
    assert not not_kept(starts[0], since, since, zone, by_hour=False)
    assert not not_kept(since, None, since, zone, by_hour=True)
    assert not not_kept(since + QUARTER, since + 2 * QUARTER, since, zone, by_hour=True)
    assert set(not_kept(starts[0], since, since, zone, by_hour=True)) == {"start_time"}
    assert set(not_kept(since - QUARTER, since, since, zone, by_hour=False)) == {"start_time"}
    assert set(not_kept(None, since - QUARTER, since, zone, by_hour=False)) == {"end_time"}
    assert not not_kept(since - QUARTER, since, None, zone, by_hour=True)
