"""A process of stats that is killed while it counts, rolls up and counts anew: figures are the same to the last."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from libs.common.ids import new_id
from libs.testing.feeds import FeedServer
from libs.testing.fixtures import Database, Servers
from libs.testing.history_rows import TEAM
from services.stats.domain.rebuild import RebuildState
from tests.integration.stats.conftest import Stats
from tests.integration.stats.test_days import QUARTERS
from tests.integration.stats.test_rebuilds import OTHER_TEAM, PEOPLE, contents, record_a_day
from tools.paths import ROOT

KEPT = ("total", "first_time", "journey_click", "shop_order", "split_member")
WAIT_S: Final = 120.0
"""For a process that starts, and works, on a loaded machine."""


@contextlib.asynccontextmanager
async def process(
    servers: Servers, database: Database, feeds: dict[str, FeedServer], crash_points: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own, which dies at a point."""
    own = {
        "OMNIJOURNEY_POSTGRES_DSN": database.dsn_of("stats"),
        "OMNIJOURNEY_REDIS_URL": servers.redis_url,
        "OMNIJOURNEY_TOKEN": servers.token,
        "OMNIJOURNEY_STATS_PORT": "0",
        "OMNIJOURNEY_STATS_METRICS_PORT": "0",
        "OMNIJOURNEY_CRASH_POINTS": crash_points,
        "OMNIJOURNEY_LOG_LEVEL": "error",
        **{f"OMNIJOURNEY_{name.upper()}_TARGET": f"127.0.0.1:{feed.port}" for name, feed in feeds.items()},
    }
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.stats", cwd=ROOT, env={**os.environ, **own}
    )
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.send_signal(signal.SIGTERM)
        await running.wait()


@pytest.mark.timeout(480)
@pytest.mark.rule("T-06b", "T-06c")
async def test_what_is_killed_in_the_middle_counts_nothing_twice_and_loses_nothing(
    servers: Servers, database: Database, feeds: dict[str, FeedServer]
) -> None:
    record_a_day(Stats(None, None, None, feeds))
    rows = sum(len(each) for feed in feeds.values() for each in feed.rows.values())
    admin = await asyncpg.connect(database.admin_dsn)

    async def dies_at(point: str) -> None:
        async with process(servers, database, feeds, f"{point}:1:0") as running:
            assert await asyncio.wait_for(running.wait(), WAIT_S) == -signal.SIGKILL

    async def comes(query: str, wanted: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while await admin.fetchval(query) != wanted:
                await asyncio.sleep(0.05)

    async def figures() -> Any:
        """Those that are shown: what a rebuild counts meanwhile is of nobody."""
        kept = await contents(admin, *KEPT)
        shown = {name: [row for row in rows if row[0] in {TEAM, OTHER_TEAM}] for name, rows in kept.items()}
        return await admin.fetch(QUARTERS, TEAM), shown

    try:
        # A page is committed, and its reader does not know; its day is long over, and is moved by whoever starts.
        await dies_at("stats.after_commit")
        before = await figures()
        await dies_at("stats.rolling")
        # Both counted on until they died; what is moved is neither lost nor doubled.
        assert await admin.fetchval("SELECT count(*) FROM stats.counter_day") == 0
        assert (await admin.fetchval("SELECT sum(position) FROM stats.cursor")) > 0
        assert len(before[0]) <= len((await figures())[0])
        async with process(servers, database, feeds, "stats.rebuilt:1:0") as running:
            await comes("SELECT sum(position)::bigint FROM stats.cursor", rows)
            whole = await figures()
            rebuild_id = new_id()
            await admin.execute(
                "INSERT INTO stats.rebuild (team_id, rebuild_id, created_at) VALUES ($1, $2, now())",
                TEAM,
                rebuild_id,
            )
            assert await asyncio.wait_for(running.wait(), WAIT_S) == -signal.SIGKILL
        assert await figures() == whole
        triggered = "SELECT sum(value)::bigint FROM stats.total WHERE metric = 1 AND team_id = $1"
        assert await admin.fetchval(triggered, TEAM) == 2 * len(PEOPLE) + 1
        await admin.execute("UPDATE stats.rebuild SET claimed_until = now()")
        async with process(servers, database, feeds):
            await comes("SELECT max(state) FROM stats.rebuild", RebuildState.SUCCEEDED)
            assert await figures() == whole
            assert await admin.fetchval("SELECT count(*) FROM stats.rebuild_shadow") == 0
    finally:
        await admin.close()
