"""Quiet time in every zone, on the days on which its clock changes, against a reading of the wall clock."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import settings

from services.journey.domain.model import QuietWindow
from services.journey.domain.quiet import leaves_open_minute, next_quiet_start, quiet_until

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
REPEATED_MAX = 180
"""Minutes of the longest hour that comes twice: those of these years are of 2 hours at most."""
YEARS = (datetime(2005, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
CHANGES_OF_A_ZONE = 2
GROUPS = 8
STEP = max(1, 100 // settings().max_examples)
"""In the quick profile some of the zones."""


@lru_cache(maxsize=4_000)
def wall(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def is_quiet(at: datetime, windows: Sequence[QuietWindow], zone: str) -> bool:
    """Whether the wall clock has come to the start of a window, and comes before its end now or later.

    So of an hour that comes twice a start counts the first time, an end the second, and what a clock skips begins and
    ends where it goes on.
    """
    reached = max(wall(at - minutes * MINUTE, zone) for minutes in range(REPEATED_MAX))
    to_come = min(wall(at + minutes * MINUTE, zone) for minutes in range(REPEATED_MAX))
    for window in windows:
        length = (window.end_minute - window.start_minute) % 1440 or 1440
        for days in range(-3, 2):
            begun = reached.date() + timedelta(days=days)
            start = datetime.combine(begun, time()) + window.start_minute * MINUTE
            if window.weekdays and begun.isoweekday() not in window.weekdays:
                continue
            if start <= reached and to_come < start + length * MINUTE:
                return True
    return False


def changes_of(zone: str) -> Iterator[datetime]:
    """The first minute after each change of a zone's clock, but for those that last less than a week."""
    weeks = range((YEARS[1] - YEARS[0]) // (7 * DAY))
    times = [YEARS[0] + 7 * week * DAY for week in weeks]
    clock = ZoneInfo(zone)
    for before, after in pairwise(times):
        if before.astimezone(clock).utcoffset() == after.astimezone(clock).utcoffset():
            continue
        low, high = before, after
        while high - low > MINUTE:
            middle = low + (high - low) // MINUTE // 2 * MINUTE
            same = middle.astimezone(clock).utcoffset() == before.astimezone(clock).utcoffset()
            low, high = (middle, high) if same else (low, middle)
        yield high


def drawn_at(change: datetime, zone: str, chance: random.Random) -> list[QuietWindow]:
    """Windows that begin or end about a change of the clock."""
    here = wall(change, zone)
    minute = here.hour * 60 + here.minute
    windows = []
    for _ in range(chance.randint(1, 3)):
        start, end = (minute + chance.choice((0, 1, 30, 60, chance.randint(-200, 200))) for _ in range(2))
        days = {here.isoweekday(), chance.randint(1, 7)} if chance.random() < 0.3 else ()
        windows.append(QuietWindow(start % 1440, end % 1440 or 1440, tuple(sorted(days))))
    return windows


def check(now: datetime, windows: Sequence[QuietWindow], zone: str, chance: random.Random) -> None:
    told = f"{zone} {now:%Y-%m-%d %H:%M} {windows}"
    end, start = quiet_until(now, windows, zone), next_quiet_start(now, windows, zone)
    assert (end is not None) is is_quiet(now, windows, zone), told
    assert start is not None
    assert start > now
    if end is not None:
        assert not is_quiet(end, windows, zone), f"{told}: {end} is in a window"
        for passed in (end - MINUTE, now + chance.randrange((end - now) // MINUTE) * MINUTE):
            assert is_quiet(passed, windows, zone), f"{told}: {passed} was not disturbed, and before {end}"
    if start - now < 2 * DAY:
        assert is_quiet(start, windows, zone), f"{told}: {start} is in no window"
        assert not is_quiet(start - MINUTE, windows, zone) or end == start - MINUTE, told


@pytest.mark.rule("J-12e")
@pytest.mark.parametrize("group", range(GROUPS))
def test_in_every_zone_nobody_is_disturbed_in_a_window_or_waits_longer_when_the_clock_changes(
    group: int,
) -> None:
    chance = random.Random(group)
    zones = sorted(available_timezones())[group :: GROUPS * STEP]
    assert len(zones) > 50 // STEP
    for zone in zones:
        changes = [change for change in changes_of(zone) if change.second == 0]
        some = chance.sample(changes, min(CHANGES_OF_A_ZONE, len(changes))) or [YEARS[0] + 40 * DAY]
        for change in some:
            windows = drawn_at(change, zone, chance)
            if leaves_open_minute(windows):
                check(change + chance.randint(-300, 300) * MINUTE, windows, zone, chance)


@pytest.mark.rule("J-12e")
def test_the_one_open_minute_of_a_week_that_a_clock_skips_is_waited_for_until_the_next_week() -> None:
    # New York skips 02:00 to 03:00 on Sunday, 8 March 2026.
    week = [QuietWindow(0, 1440, (1, 2, 3, 4, 5, 6)), QuietWindow(0, 150, (7,)), QuietWindow(151, 1440, (7,))]
    saturday = datetime(2026, 3, 7, 12, tzinfo=UTC)
    assert quiet_until(saturday, week, "America/New_York") == datetime(2026, 3, 15, 6, 30, tzinfo=UTC)
