"""What the bench reads of the tables of services."""

from typing import Any

import asyncpg

from bench.field import BEHIND


async def test_the_bench_waits_until_stats_has_counted_what_journeys_and_sends_came_to(
    connection: "asyncpg.Connection[Any]",
) -> None:
    await connection.execute("UPDATE journey.record_head SET position = 3 WHERE shard = 2")
    assert await connection.fetchval(BEHIND) == 3
    await connection.execute("UPDATE channel_gateway.record_head SET position = 4 WHERE shard = 7")
    assert await connection.fetchval(BEHIND) == 7
    await connection.execute("UPDATE stats.cursor SET position = 3 WHERE source = 5 AND partition = 66")
    assert await connection.fetchval(BEHIND) == 4
