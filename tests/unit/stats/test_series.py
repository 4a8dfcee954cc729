"""Steps of a series in zones of every kind."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from services.stats.domain.series import on_quarter, step_starts


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_hours_of_a_zone_with_whole_hours() -> None:
    starts = list(step_starts(at("2026-03-01T10:15"), at("2026-03-01T12:30"), "hour", "Asia/Taipei"))
    assert starts == [at("2026-03-01T10:00"), at("2026-03-01T11:00"), at("2026-03-01T12:00")]


def test_hours_of_a_zone_with_a_half() -> None:
    starts = list(step_starts(at("2026-03-01T10:15"), at("2026-03-01T11:30"), "hour", "Asia/Kolkata"))
    assert starts == [at("2026-03-01T09:30"), at("2026-03-01T10:30")]


def test_days_begin_at_local_midnight() -> None:
    starts = list(step_starts(at("2026-03-01T12:00"), at("2026-03-03T00:00"), "day", "Asia/Kathmandu"))
    assert starts == [at("2026-02-28T18:15"), at("2026-03-01T18:15"), at("2026-03-02T18:15")]


def test_days_of_a_change_to_and_from_summer_time() -> None:
    for day, hours in (("2026-03-08", 23), ("2026-11-01", 25)):
        midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
        starts = list(step_starts(midnight, midnight + timedelta(hours=30), "day", "America/New_York"))
        assert starts[1] - starts[0] == timedelta(hours=hours)


def test_a_day_without_midnight_begins_when_the_clock_jumps() -> None:
    starts = list(step_starts(at("2018-11-04T12:00"), at("2018-11-04T13:00"), "day", "America/Sao_Paulo"))
    assert starts == [at("2018-11-04T03:00")]


@pytest.mark.parametrize(
    ("zone", "before", "left_out"),
    [("Pacific/Apia", "2011-12-29", "2011-12-30"), ("Pacific/Kwajalein", "1993-08-20", "1993-08-21")],
)
def test_a_day_that_a_zone_left_out_is_no_step(zone: str, before: str, left_out: str) -> None:
    first = datetime.fromisoformat(before).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    starts = list(step_starts(first, first + timedelta(days=3), "day", zone))
    assert starts == [first + timedelta(days=n) for n in range(3)]
    assert left_out not in {f"{each.astimezone(ZoneInfo(zone)):%Y-%m-%d}" for each in starts}


@pytest.mark.parametrize(
    ("day", "hours"),
    [
        # Clocks go back from 2:00 to 1:30: the second half of that hour is there twice.
        ("2026-04-05", ["00:00", "01:00", "01:30", "02:00", "03:00"]),
        # Clocks go on from 2:00 to 2:30.
        ("2026-10-04", ["00:00", "01:00", "02:30", "03:00", "04:00"]),
    ],
)
def test_hours_begin_on_full_hours_after_a_shift_by_half_of_one(day: str, hours: list[str]) -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    midnight = datetime.fromisoformat(day).replace(tzinfo=zone).astimezone(UTC)
    starts = list(step_starts(midnight, midnight + timedelta(hours=24), "hour", "Australia/Lord_Howe"))
    assert [f"{each.astimezone(zone):%H:%M}" for each in starts[:5]] == hours


def test_an_hour_that_is_there_twice_is_two_steps() -> None:
    midnight = at("2026-11-01T04:00")
    starts = list(step_starts(midnight, midnight + timedelta(hours=25), "hour", "America/New_York"))
    assert starts == [midnight + timedelta(hours=n) for n in range(25)]


@pytest.mark.parametrize(
    "zone", ["UTC", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]
)
@pytest.mark.parametrize("unit", ["hour", "day"])
def test_steps_follow_each_other_begin_on_quarters_and_cover_the_range(zone: str, unit: str) -> None:
    start, end = at("2026-09-20T05:45"), at("2026-11-10T05:45")
    starts = list(step_starts(start, end, unit, zone))
    assert starts[0] <= start < starts[1]
    assert starts[-1] < end
    assert all(on_quarter(each) for each in starts)
    assert all(a < b for a, b in pairwise(starts))


def test_what_is_no_quarter() -> None:
    assert on_quarter(at("2026-03-01T10:45"))
    assert not on_quarter(at("2026-03-01T10:46"))
    assert not on_quarter(at("2026-03-01T10:45:01"))
    assert not on_quarter(at("2026-03-01T10:45") + timedelta(microseconds=1))
