"""The clock of an installation."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from libs.common.clock import RATE_MAX, ClockRefusedError, InstallationClock, begin_clock, set_clock
from libs.common.db.pool import Pool
from libs.testing.fixtures import Database

FUTURE = datetime(2030, 1, 1, tzinfo=UTC)
SKEW_S = 0.5
"""How far the clocks of the database and of this process may be apart."""


@pytest.fixture
async def clock(database: Database) -> AsyncIterator[InstallationClock]:
    """A clock that follows the test's installation."""
    async with InstallationClock.follow(database.dsn_of("diary")) as clock:
        yield clock


async def test_a_new_installation_runs_in_real_time(clock: InstallationClock) -> None:
    assert (clock.version, clock.rate) == (1, 1.0)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=30)
    soon = clock.real_seconds_until(clock.now() + timedelta(seconds=10))
    assert soon is not None
    assert 0 < soon <= 10


async def test_all_who_follow_see_a_change_at_once(
    database: Database, pool: Pool, clock: InstallationClock
) -> None:
    async with InstallationClock.follow(database.dsn_of("ledger")) as other:
        version = await set_clock(pool, 0, FUTURE)
        await asyncio.wait_for(asyncio.gather(clock.wait_version(version), other.wait_version(version)), 10)
        assert clock.now() == other.now() == FUTURE
        assert clock.real_seconds_until(FUTURE) == 0
        assert clock.real_seconds_until(FUTURE + timedelta(microseconds=1)) is None
        assert (clock.rate, clock.version) == (0.0, 2)


async def test_an_accelerated_clock_keeps_its_rate(pool: Pool, clock: InstallationClock) -> None:
    began_s = time.monotonic()
    version = await set_clock(pool, 3_600, FUTURE)
    await clock.wait_version(version)
    soon = clock.real_seconds_until(FUTURE + timedelta(hours=200))
    assert soon is not None
    assert 200 - (time.monotonic() - began_s) - SKEW_S < soon <= 200
    before = clock.now()
    await asyncio.sleep(0.1)
    assert clock.now() - before > timedelta(minutes=5)
    # However long this process was kept from working: an hour a second since the clock was set, and no more.
    shown = clock.now()
    assert shown - FUTURE <= timedelta(hours=time.monotonic() - began_s + SKEW_S)


async def test_domain_time_never_runs_backwards(pool: Pool, clock: InstallationClock) -> None:
    await clock.wait_version(await set_clock(pool, RATE_MAX, FUTURE))
    last = clock.now()
    for rate in (0, 1, 1_000, 0, RATE_MAX, 0):
        version = await set_clock(pool, rate)
        while clock.version < version:
            assert clock.now() >= last
            last = clock.now()
            await asyncio.sleep(0)
        assert clock.now() >= last
    # Ahead of the row by what it ran before it knew: it stands until the row has caught up.
    ahead = clock.now()
    await clock.wait_version(await set_clock(pool, 1, ahead + timedelta(seconds=1)))
    assert clock.now() >= ahead + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("rate", "back", "kind"),
    [
        (-1, None, "value"),
        (RATE_MAX * 1.001, None, "value"),
        (float("nan"), None, "value"),
        (float("inf"), None, "value"),
        (1, timedelta(seconds=1), "value"),
    ],
)
async def test_impossible_changes_are_refused(
    pool: Pool, clock: InstallationClock, rate: float, back: timedelta | None, kind: str
) -> None:
    with pytest.raises(ClockRefusedError) as caught:
        await set_clock(pool, rate, clock.now() - back if back else None)
    assert caught.value.kind == kind
    assert await pool.fetchval("SELECT version FROM platform.clock") == 1


async def test_of_two_who_saw_the_same_version_one_is_refused(pool: Pool) -> None:
    outcomes = await asyncio.gather(
        *(set_clock(pool, 5, expected_version=1) for _ in range(4)), return_exceptions=True
    )
    assert sorted(str(type(outcome).__name__) for outcome in outcomes) == ["ClockRefusedError"] * 3 + ["int"]
    assert {outcome.kind for outcome in outcomes if isinstance(outcome, ClockRefusedError)} == {"version"}


@pytest.mark.usefixtures("polls_soon")
async def test_time_ends_with_the_calendar(database: Database, clock: InstallationClock, pool: Pool) -> None:
    admin = await asyncpg.connect(database.admin_dsn)
    await admin.execute("UPDATE platform.clock SET real_anchor = '1900-01-01', rate = 1000000, version = 2")
    await admin.close()
    await clock.wait_version(2)
    assert clock.now().year == 9999
    await clock.wait_version(await set_clock(pool, 1))
    assert clock.now().year == 9999


async def test_an_unused_installation_may_begin_in_the_past_once(database: Database) -> None:
    past = datetime(2017, 12, 1, tzinfo=UTC)
    await begin_clock(database.admin_dsn, past)
    async with InstallationClock.follow(database.dsn_of("diary")) as clock:
        assert (clock.now(), clock.rate, clock.version) == (past, 0, 2)
    with pytest.raises(ClockRefusedError, match="cannot begin again"):
        await begin_clock(database.admin_dsn, past)


async def test_a_lost_connection_is_made_again_before_the_next_poll(
    database: Database, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.db.listening.POLL_S", 3_600.0)
    async with InstallationClock.follow(database.dsn_of("diary")) as clock:
        admin = await asyncpg.connect(database.admin_dsn)
        await admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'omnijourney clock' AND datname = current_database()"
        )
        await admin.close()
        version = await set_clock(pool, 0, FUTURE)
        await asyncio.wait_for(clock.wait_version(version), 15)
        assert clock.now() == FUTURE


@pytest.mark.usefixtures("polls_soon")
async def test_a_lost_notification_costs_a_poll(database: Database, clock: InstallationClock) -> None:
    admin = await asyncpg.connect(database.admin_dsn)
    await admin.execute("UPDATE platform.clock SET rate = 0, domain_anchor = $1, version = 2", FUTURE)
    await admin.close()
    await asyncio.wait_for(clock.wait_version(2), 15)
    assert clock.now() == FUTURE
