"""Domain time without an installation."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.clock import RATE_MAX, ClockRow, SteppedClock, SystemClock

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_a_stepped_clock_moves_when_told_only() -> None:
    clock = SteppedClock(START)
    assert (clock.now(), clock.version, clock.rate) == (START, 1, 0.0)
    assert clock.advance(timedelta(days=1)) == clock.now() == START + timedelta(days=1)
    assert clock.version == 2
    with pytest.raises(ValueError, match="backwards"):
        clock.set(START)
    with pytest.raises(ValueError, match="zone"):
        SteppedClock(datetime(2026, 1, 1))  # noqa: DTZ001 - the point


async def test_a_held_clock_promises_no_time_ahead() -> None:
    clock = SteppedClock(START)
    assert clock.real_seconds_until(START) == 0.0
    assert clock.real_seconds_until(START + timedelta(microseconds=1)) is None


async def test_steps_wake_those_who_wait() -> None:
    clock = SteppedClock(START)
    assert await clock.changed(0) == 1
    waiting = [asyncio.create_task(clock.changed(1)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    clock.advance(timedelta(seconds=1))
    assert await asyncio.gather(*waiting) == [2, 2, 2]


async def test_real_time_never_changes_its_version() -> None:
    clock = SystemClock()
    assert await clock.changed(0) == 1
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(clock.changed(1), 0.01)
    soon = clock.real_seconds_until(clock.now() + timedelta(seconds=60))
    assert soon is not None
    assert 59 < soon <= 60


@given(st.floats(0, RATE_MAX), st.floats(-10, 1e7), st.floats(0, 1e6))
def test_a_row_never_runs_backwards_and_never_beyond_the_calendar(
    rate: float, at_s: float, more_s: float
) -> None:
    row = ClockRow(START, START, rate, 1)
    earlier = row.domain_at(START + timedelta(seconds=at_s))
    later = row.domain_at(START + timedelta(seconds=at_s + more_s))
    assert START <= earlier <= later <= datetime(9999, 12, 31, tzinfo=UTC)


def test_a_row_runs_at_its_rate() -> None:
    row = ClockRow(START, datetime(2017, 12, 1, tzinfo=UTC), 3_600.0, 5)
    assert row.domain_at(START + timedelta(seconds=24)) == datetime(2017, 12, 2, tzinfo=UTC)
    assert row.domain_at(START - timedelta(days=1)) == datetime(2017, 12, 1, tzinfo=UTC)
