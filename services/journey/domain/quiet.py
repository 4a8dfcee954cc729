"""Do-not-disturb windows: when does quiet time end, when does the next begin.

Windows are local wall-clock time of a zone. A skipped local time is the first instant after the gap; of a repeated one,
a start takes the first and an end the second, so that nobody is disturbed in a window that was drawn.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from services.journey.domain.model import QuietWindow, WindowSet

MINUTES_A_DAY = 1440
DAYS_BEHIND: Final = 3
"""A window that began a day ago may reach into now; a zone's date is a day from UTC's, two where one is skipped."""
DAYS_AHEAD: Final = 17
"""Two weeks and a window: the one open minute of a week may be skipped by the clock, and is there a week later."""
DAYS_KEPT: Final = 512
"""Quiet times kept, each of some windows, a zone and a day; some 2 kB a window, if none touch."""

Windows = Sequence[QuietWindow] | WindowSet


class QuietTimes(NamedTuple):
    """Quiet times in order, none touching another: the one that starts at `starts[n]` ends at `ends[n]`."""

    starts: Sequence[datetime]
    ends: Sequence[datetime]


_NONE: Final = QuietTimes((), ())
_MOMENT: Final = timedelta(seconds=1)


def quiet_until(now: datetime, windows: Windows, zone: str) -> datetime | None:
    """First instant at or after `now` that is not quiet, or None if `now` itself is not."""
    starts, ends = _around(now, windows, zone)
    last = bisect_right(starts, now) - 1
    return ends[last] if last >= 0 and now < ends[last] else None


def is_drawn_otherwise(rests_until: datetime, now: datetime, windows: Windows, zone: str) -> bool:
    """Whether who rests for quiet time would rest until another instant, or not at all, by these windows."""
    return quiet_until(now, windows, zone) != rests_until


def next_quiet_start(now: datetime, windows: Windows, zone: str) -> datetime | None:
    """Start of the first quiet time after `now`, or None without windows."""
    starts, _ = _around(now, windows, zone)
    following = bisect_right(starts, now)
    return starts[following] if following < len(starts) else None


def leaves_open_minute(windows: Sequence[QuietWindow]) -> bool:
    """True if some minute of the week is in no window."""
    week = bytearray(7 * MINUTES_A_DAY)
    for window in windows:
        length = (window.end_minute - window.start_minute) % MINUTES_A_DAY or MINUTES_A_DAY
        for weekday in window.weekdays or range(1, 8):
            first = (weekday - 1) * MINUTES_A_DAY + window.start_minute
            for minute in range(first, first + length):
                week[minute % len(week)] = 1
    return 0 in week


def _around(now: datetime, windows: Windows, zone: str) -> QuietTimes:
    """Those that a message at `now` can meet. Whoever asks often gives a `WindowSet`, whose hash is known."""
    if not windows:
        return _NONE
    windows = windows if isinstance(windows, WindowSet) else WindowSet(windows)
    return _quiet_times(now.toordinal() - DAYS_BEHIND, windows, zone)


@lru_cache(maxsize=DAYS_KEPT)
def _quiet_times(first_day: int, windows: WindowSet, zone: str) -> QuietTimes:
    """Those of the windows that begin on a day (its ordinal) and on those that follow. Kept: all customers of a journey
    ask for those of one day."""
    spans = sorted(_spans(date.fromordinal(first_day), windows.windows, _zone(zone)))
    starts: list[datetime] = []
    ends: list[datetime] = []
    for start, end in spans:
        if ends and start <= ends[-1]:
            ends[-1] = max(end, ends[-1])
        else:
            starts.append(start)
            ends.append(end)
    return QuietTimes(tuple(starts), tuple(ends))


def _spans(
    first: date, windows: Sequence[QuietWindow], zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    for offset in range(DAYS_BEHIND + DAYS_AHEAD):
        day = first + timedelta(days=offset)
        for window in windows:
            if window.weekdays and day.isoweekday() not in window.weekdays:
                continue
            crosses = window.end_minute <= window.start_minute
            start = _instant(day, window.start_minute, zone, latest=False)
            end = _instant(day + timedelta(days=crosses), window.end_minute, zone, latest=True)
            if start < end:
                yield start, end


def _instant(day: date, minute: int, zone: ZoneInfo, *, latest: bool) -> datetime:
    local = datetime.combine(day, time()) + timedelta(minutes=minute)
    early = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    late = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == local:
        # Where what comes twice begins with it, nothing before it comes again.
        comes_again = (late - _MOMENT).astimezone(zone).replace(tzinfo=None) < local
        return late if latest and comes_again else early
    return _transition(late, early, zone)


def _transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The instant in `(before, after]` at which the zone's offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        middle = middle.replace(microsecond=0)
        if middle <= before:
            break
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
