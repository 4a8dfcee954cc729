"""Quiet time against a minute-by-minute reading of the same windows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.journey.domain.model import QuietWindow
from services.journey.domain.quiet import leaves_open_minute, next_quiet_start, quiet_until

ZONES = (
    "UTC",
    "Asia/Taipei",
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
)
MINUTE = timedelta(minutes=1)

windows = st.builds(
    QuietWindow,
    st.integers(0, 1439),
    st.integers(1, 1440),
    st.lists(st.integers(1, 7), max_size=3, unique=True).map(lambda days: tuple(sorted(days))),
)
# Days on which no zone of ours changes its clock.
plain_days = st.integers(0, 45 * 1440).map(lambda minute: datetime(2026, 1, 6, tzinfo=UTC) + minute * MINUTE)


def is_quiet(at: datetime, given_windows: list[QuietWindow], zone: str) -> bool:
    """The rule read aloud: is this local minute in a window that began today or yesterday?"""
    local = at.astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    for window in given_windows:
        length = (window.end_minute - window.start_minute) % 1440 or 1440
        for days_ago in (0, 1):
            begun = (local.date() - timedelta(days=days_ago)).isoweekday()
            since_start = minute + 1440 * days_ago - window.start_minute
            if (not window.weekdays or begun in window.weekdays) and 0 <= since_start < length:
                return True
    return False


@pytest.mark.rule("J-12a")
@given(at=plain_days, drawn=st.lists(windows, min_size=1, max_size=3), zone=st.sampled_from(ZONES))
def test_quiet_time_ends_at_the_first_minute_that_is_not_quiet(
    at: datetime, drawn: list[QuietWindow], zone: str
) -> None:
    end = quiet_until(at, drawn, zone)
    assert (end is not None) is is_quiet(at, drawn, zone)
    if end is None or not leaves_open_minute(drawn):
        return
    assert not is_quiet(end, drawn, zone)
    assert is_quiet(end - MINUTE, drawn, zone)
    assert end - at <= timedelta(days=8)


@pytest.mark.rule("J-12a")
@given(at=plain_days, drawn=st.lists(windows, min_size=1, max_size=3), zone=st.sampled_from(ZONES))
def test_the_next_quiet_time_begins_where_an_open_minute_ends(
    at: datetime, drawn: list[QuietWindow], zone: str
) -> None:
    start = next_quiet_start(at, drawn, zone)
    if start is None or not leaves_open_minute(drawn):
        return
    assert start > at
    assert is_quiet(start, drawn, zone)
    assert not is_quiet(start - MINUTE, drawn, zone)


@pytest.mark.rule("J-12b")
@pytest.mark.parametrize(
    ("zone", "window", "now", "end"),
    [
        # The clock of New York skips 02:00 to 03:00 on 8 March 2026: a window until 02:30 ends where the gap does.
        ("America/New_York", QuietWindow(0, 150), "2026-03-08T06:00Z", "2026-03-08T07:00Z"),
        # It repeats 01:00 to 02:00 on 1 November: a window until 01:30 ends with the second 01:30.
        ("America/New_York", QuietWindow(0, 90), "2026-11-01T05:00Z", "2026-11-01T06:30Z"),
        # One until 01:00 is over when the clock comes to it: of what it holds nothing comes again.
        ("America/New_York", QuietWindow(0, 60), "2026-11-01T04:30Z", "2026-11-01T05:00Z"),
        # A night over midnight, written as one window or as two.
        ("Asia/Taipei", QuietWindow(23 * 60, 8 * 60), "2026-05-01T15:30Z", "2026-05-02T00:00Z"),
        ("Asia/Taipei", QuietWindow(0, 8 * 60), "2026-05-01T23:00Z", "2026-05-02T00:00Z"),
    ],
)
def test_quiet_time_at_the_edges_of_the_clock(zone: str, window: QuietWindow, now: str, end: str) -> None:
    assert quiet_until(datetime.fromisoformat(now), [window], zone) == datetime.fromisoformat(end)


@pytest.mark.rule("J-12b")
def test_windows_that_touch_count_as_one() -> None:
    night = [QuietWindow(23 * 60, 1440), QuietWindow(0, 8 * 60)]
    at = datetime(2026, 5, 1, 23, 30, tzinfo=UTC)
    assert quiet_until(at, night, "UTC") == datetime(2026, 5, 2, 8, tzinfo=UTC)
    assert not leaves_open_minute([QuietWindow(0, 720), QuietWindow(720, 1440)])
