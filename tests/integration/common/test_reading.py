"""Times of years that Python has not, read beside others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from libs.common.db.pool import Pool, connection_of, open_pool
from libs.common.db.reading import read_alone, read_rows
from libs.common.rpc.values import timestamp
from libs.common.times import UnreadableTime
from libs.testing.fixtures import Databases

SOUND = datetime(2026, 3, 1, 8, 30, 15, 123_456, tzinfo=UTC)
QUERY = """
SELECT n, at
  FROM unnest(ARRAY['4713-01-01 BC', $1::timestamptz, NULL, '10000-01-01', $2::timestamptz]::timestamptz[])
  WITH ORDINALITY AS each (at, n)
 ORDER BY n
"""


@pytest.fixture
async def pool(databases: Databases) -> AsyncIterator[Pool]:
    async with (
        databases.fresh({}) as database,
        await open_pool(database.admin_dsn, name="t", size_max=1) as pool,
    ):
        yield pool


@pytest.mark.rule("C-20d")
async def test_a_time_that_cannot_be_read_stands_beside_those_that_can(pool: Pool) -> None:
    early = datetime(1, 1, 2, tzinfo=UTC)
    with pytest.raises(OverflowError):
        await pool.fetch(QUERY, SOUND, early)
    times = [row["at"] for row in await read_alone(pool, QUERY, SOUND, early)]
    assert times == [UnreadableTime.before(), SOUND, None, UnreadableTime.after(), early]
    assert [type(at) for at in times if at] == [UnreadableTime, datetime, UnreadableTime, datetime]


async def test_the_connection_reads_afterwards_as_before(pool: Pool) -> None:
    async with connection_of(pool) as connection:
        await read_rows(connection, QUERY, SOUND, SOUND)
        assert await connection.fetchval("SELECT $1::timestamptz", SOUND) == SOUND
        with pytest.raises(OverflowError):
            await connection.fetchval("SELECT '10000-01-01'::timestamptz")


def test_such_a_time_is_compared_and_never_sent() -> None:
    first, last = UnreadableTime.before(), UnreadableTime.after()
    assert first < SOUND < last
    assert (SOUND - first) > timedelta(0) > (SOUND - last)
    for at in (first, last):
        with pytest.raises(ValueError, match="outside the years"):
            timestamp(at)
