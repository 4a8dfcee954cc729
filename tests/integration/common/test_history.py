"""Positions of histories, and feeds over them."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.history import allocate, count_by_partition, read_history, read_page
from libs.common.db.pool import Connection, Pool, fetch_alone, transaction
from libs.common.feeds import notifier as notifier_module
from libs.common.feeds.notifier import CommitNotifier, long_poll
from libs.common.ids import PARTITIONS

TEAM, OTHER = UUID(int=1), UUID(int=2)
_WRITE = "INSERT INTO entry (partition, position, team_id, words) VALUES ($1, $2, $3, $4)"
PATIENCE_S = 60.0
_TEAMS = "SELECT * FROM entry_teams($1, $2, $3)"
_ROWS = """
SELECT page.*
  FROM unnest($1::smallint[], $2::bigint[]) AS cursor (partition, position)
 CROSS JOIN LATERAL (
    SELECT e.partition, e.position, e.words FROM entry AS e
     WHERE e.partition = cursor.partition AND e.position > cursor.position
     ORDER BY e.position LIMIT $3
 ) AS page
 ORDER BY page.partition, page.position
"""


async def _write(connection: Connection, partitions: list[int], team: UUID = TEAM) -> None:
    counts = count_by_partition(partitions)
    following = await allocate(connection, counts)
    for partition in partitions:
        await connection.execute(_WRITE, partition, following[partition], team, "x")
        following[partition] += 1


async def test_positions_go_on_without_gaps(pool: Pool) -> None:
    async with transaction(pool, [TEAM]) as connection:
        assert await allocate(connection, {3: 2, 63: 1, 5: 0}) == {3: 1, 63: 1}
        assert await allocate(connection, {3: 1}) == {3: 3}
        assert await allocate(connection, {}) == {}
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction must end by it
        async with transaction(pool, [TEAM]) as connection:
            assert await allocate(connection, {3: 10}) == {3: 4}
            raise ZeroDivisionError
    async with transaction(pool, [TEAM]) as connection:
        assert await allocate(connection, {3: 1}) == {3: 4}


@pytest.mark.parametrize("counts", [{64: 1}, {-1: 1}, {0: -1}])
async def test_impossible_positions_are_refused(pool: Pool, counts: dict[int, int]) -> None:
    async with transaction(pool, [TEAM]) as connection:
        with pytest.raises(ValueError, match="no history positions"):
            await allocate(connection, counts)


async def test_no_reader_skips_a_late_commit_and_no_writers_lock_each_other_out(pool: Pool) -> None:
    """Writers take random partitions in random order and commit late; a reader with a cursor must see every row."""
    random_ = random.Random(20)
    written: Counter[int] = Counter()
    seen: list[tuple[int, int]] = []
    done = asyncio.Event()

    async def write(partitions: list[int], pause_s: float) -> None:
        async with transaction(pool, [TEAM]) as connection:
            await _write(connection, partitions)
            await asyncio.sleep(pause_s)
        written.update(partitions)

    async def read() -> None:
        cursors = dict.fromkeys(range(PARTITIONS), 0)
        last_round = False
        while not last_round:
            last_round = done.is_set()
            rows, cursors = await read_history(pool, _TEAMS, _ROWS, cursors, 1_000)
            seen.extend((row["partition"], row["position"]) for row in rows)

    reader = asyncio.create_task(read())
    await asyncio.gather(
        *(write(random_.choices(range(4), k=5), random_.uniform(0, 0.01)) for _ in range(60)),
    )
    done.set()
    await reader
    assert Counter(partition for partition, _ in seen) == written
    assert sorted(seen) == [(p, n + 1) for p in sorted(written) for n in range(written[p])]


async def test_a_feed_serves_all_teams_in_pages(pool: Pool) -> None:
    for team, partitions in ((TEAM, [0, 0, 1]), (OTHER, [0, 2, 2])):
        async with transaction(pool, [team]) as connection:
            await _write(connection, partitions, team)
    first, cursors = await read_history(pool, _TEAMS, _ROWS, {0: 0, 1: 0, 2: 1}, 3)
    assert [(row["partition"], row["position"]) for row in first] == [(0, 1), (0, 2), (0, 3)]
    assert cursors == {0: 3, 1: 0, 2: 1}
    second, cursors = await read_history(pool, _TEAMS, _ROWS, cursors, 3)
    assert [(row["partition"], row["position"]) for row in second] == [(1, 1), (2, 2)]
    assert await read_history(pool, _TEAMS, _ROWS, cursors, 3) == ([], {0: 3, 1: 1, 2: 2})


async def test_a_page_in_one_statement_is_the_page_of_two(pool: Pool) -> None:
    for team, partitions in ((TEAM, [0, 0, 1]), (OTHER, [0, 2, 2])):
        async with transaction(pool, [team]) as connection:
            await _write(connection, partitions, team)
    for cursors in ({0: 0, 1: 0, 2: 1}, {0: 3, 1: 0, 2: 0}, {2: 2}, {}):
        rows, following = await read_history(pool, _TEAMS, _ROWS, cursors, 3)
        page, after = await read_page(pool, "entry", cursors, 3, "partition, position, words")
        assert ([*map(tuple, page)], after) == ([*map(tuple, rows)], following)


async def test_the_teams_of_a_page_are_all_that_is_told_without_teams(pool: Pool) -> None:
    async with transaction(pool, [TEAM]) as connection:
        await _write(connection, [0])
    assert [row[0] for row in await pool.fetch(_TEAMS, [0], [0], 10)] == [TEAM]
    assert await pool.fetch(_TEAMS, [0], [1], 10) == []
    assert await pool.fetch(_ROWS, [0], [0], 10) == []


async def test_a_long_poll_ends_at_the_next_commit(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifier_module, "_POLL_S", 3_600.0)
    notifier = CommitNotifier()
    waits = asyncio.Event()

    async def read() -> tuple[Sequence[Any], dict[int, int]]:
        page = await read_history(pool, _TEAMS, _ROWS, {0: 0}, 10)
        waits.set()
        return page

    async def commit_later() -> None:
        await waits.wait()
        async with transaction(pool, [TEAM]) as connection:
            await _write(connection, [0])
        notifier.notify()

    later = asyncio.create_task(commit_later())
    async with asyncio.timeout(PATIENCE_S):  # neither its own poll nor its end comes within an hour
        rows, _ = await long_poll(read, notifier, wait_s=3_600, stop=asyncio.Event())
    await later
    assert len(rows) == 1


@pytest.mark.parametrize("wait_s", [0.0, 0.2, 3_600.0])
async def test_a_long_poll_ends_when_its_time_is_over_or_the_service_stops(pool: Pool, wait_s: float) -> None:
    stop = asyncio.Event()
    if wait_s > 1:
        stop.set()
    async with asyncio.timeout(PATIENCE_S):
        rows, cursors = await long_poll(
            lambda: read_history(pool, _TEAMS, _ROWS, {0: 0}, 10), CommitNotifier(), wait_s, stop
        )
    assert (list(rows), cursors) == ([], {0: 0})


async def test_heads_are_for_existing_partitions_only(pool: Pool) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await pool.execute("INSERT INTO history_head (partition) VALUES (64)")


async def test_positions_given_in_a_statement_follow_the_rows(pool: Pool) -> None:
    async with transaction(pool, [TEAM]) as connection:
        give = "SELECT allocate_positions($1::smallint[])"
        assert await connection.fetchval(give, [5, 3, 5, 5, 63]) == [1, 1, 2, 3, 1]
        assert await connection.fetchval(give, [3, 5]) == [2, 4]
        assert await allocate(connection, {5: 1}) == {5: 5}
        assert await connection.fetchval(give, []) is None


async def test_a_page_in_one_statement_is_that_of_the_feed(pool: Pool) -> None:
    for team in (TEAM, OTHER, TEAM):
        async with transaction(pool, [team]) as connection:
            await _write(connection, [1, 2, 2, 9], team)
    cursors = {1: 1, 2: 0, 9: 2, 40: 0}
    for row_max in (3, 100):
        rows, _ = await read_history(pool, _TEAMS, _ROWS, cursors, row_max)
        page = await fetch_alone(
            pool, "SELECT * FROM entry_page($1, $2, $3)", [*cursors.keys()], [*cursors.values()], row_max
        )
        assert [(r["partition"], r["position"]) for r in page] == [
            (r["partition"], r["position"]) for r in rows
        ]
    assert await pool.fetch("SELECT * FROM entry") == [], "what the page was bound to has ended with it"
