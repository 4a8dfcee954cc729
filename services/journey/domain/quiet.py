"""Do-not-disturb windows: when does quiet time end, when does the next begin.

Windows are local wall-clock time of a zone. A skipped local time is the first instant after the gap; of a repeated one,
a start takes the first and an end the second, so that nobody is disturbed in a window that was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.journey.domain.model import QuietWindow

MINUTES_A_DAY = 1440
DAYS_AHEAD = 9
"""A week and the two days that a window may reach into: with an open minute a week, quiet time ends before that."""


def quiet_until(now: datetime, windows: Sequence[QuietWindow], zone: str) -> datetime | None:
    """First instant at or after `now` that is not quiet, or None if `now` itself is not."""
    for start, end in _merged(now, windows, zone):
        if start <= now < end:
            return end
    return None


def next_quiet_start(now: datetime, windows: Sequence[QuietWindow], zone: str) -> datetime | None:
    """Start of the first quiet time after `now`, or None without windows."""
    return next((start for start, _ in _merged(now, windows, zone) if start > now), None)


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


def _merged(now: datetime, windows: Sequence[QuietWindow], zone: str) -> Sequence[tuple[datetime, datetime]]:
    if not windows:
        return ()
    first_day = now.astimezone(_zone(zone)).date() - timedelta(days=2)
    return _merged_from(first_day, tuple(windows), zone)


@lru_cache(maxsize=1024)
def _merged_from(
    first_day: date, windows: tuple[QuietWindow, ...], zone: str
) -> tuple[tuple[datetime, datetime], ...]:
    """Spans of quiet time from a day on. Kept: all customers of a journey ask for those of one day."""
    spans = sorted(_spans(first_day, windows, _zone(zone)))
    merged = [spans[0]] if spans else []
    for start, end in spans[1:]:
        if start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _spans(
    first: date, windows: Sequence[QuietWindow], zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    for offset in range(DAYS_AHEAD + 2):
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
        return late if latest else early
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
