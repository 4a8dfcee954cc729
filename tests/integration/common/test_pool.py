"""Who sees which rows, and who gets a connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from libs.common.callers import Caller, calling
from libs.common.db import pool as pools
from libs.common.db.faults import PASSING, SERVER_AWAY
from libs.common.db.pool import (
    Connection,
    Pool,
    bind_teams,
    connection_of,
    fetch_alone,
    open_pool,
    snapshot,
    transaction,
)
from libs.common.errors import NotFound, ResourceExhausted
from libs.testing.fixtures import Database
from omnijourney.common.v1.scope_pb2 import SCOPE_WRITE

ONE, OTHER = UUID(int=1), UUID(int=2)
CLIENT_OF_ONE = Caller.of(UUID(int=9), "shop", ONE, [SCOPE_WRITE])
_PAGE = "SELECT count(*) FROM entry_page($1::smallint[], $2::bigint[], 10)"
_WRITE = "INSERT INTO entry (partition, position, team_id, words) VALUES ($1, $2, $3, 'x')"


@pytest.fixture(autouse=True)
async def _entries(pool: Pool) -> None:
    async with transaction(pool, [ONE, OTHER]) as connection:
        await connection.executemany(_WRITE, [(0, 1, ONE), (0, 2, OTHER), (1, 1, OTHER)])


async def test_a_transaction_sees_its_own_teams_only(pool: Pool) -> None:
    async with transaction(pool, [ONE]) as connection:
        assert await connection.fetchval("SELECT count(*) FROM entry") == 1
        await bind_teams(connection, [OTHER])
        assert await connection.fetchval("SELECT count(*) FROM entry") == 2
    async with transaction(pool, [ONE, OTHER]) as connection:
        assert await connection.fetchval("SELECT count(*) FROM entry") == 3


async def test_without_teams_nothing_is_seen(pool: Pool) -> None:
    async with transaction(pool, []) as connection:
        assert await connection.fetchval("SELECT count(*) FROM entry") == 0
    assert await pool.fetchval("SELECT count(*) FROM entry") == 0


async def test_what_runs_for_a_client_of_one_team_is_bound_to_no_other(pool: Pool) -> None:
    with calling(CLIENT_OF_ONE):
        for refused in (transaction(pool, [ONE]), snapshot(pool, [ONE])):
            async with refused as connection:
                assert await connection.fetchval("SELECT count(*) FROM entry") == 1
        for begin in (transaction, snapshot):
            with pytest.raises(NotFound):
                async with begin(pool, [ONE, OTHER]):
                    pytest.fail("it began")
        async with transaction(pool, [ONE]) as connection:
            with pytest.raises(NotFound):
                await bind_teams(connection, [OTHER])


async def test_the_database_holds_a_client_to_its_team_whatever_is_bound(pool: Pool) -> None:
    count = "SELECT count(*) FROM entry"
    with calling(CLIENT_OF_ONE):
        async with transaction(pool, [ONE]) as connection:
            # As a function does that binds itself to the teams of its arguments.
            await connection.execute("SELECT platform.bind($1)", [OTHER])
            assert await connection.fetchval(count) == 0
            await connection.execute("UPDATE entry SET words = 'stolen'")
            await connection.execute("SELECT platform.bind($1)", [ONE, OTHER])
            assert await connection.fetchval(count) == 1
        async with transaction(pool, [ONE]) as connection:
            await connection.execute("SELECT platform.bind($1)", [ONE, OTHER])
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(_WRITE, 2, 1, OTHER)
        assert await pool.fetchval(_PAGE, [0, 1], [0, 0]) == 1
        assert await fetch_alone(pool, _PAGE, [0, 1], [0, 0]) == [(1,)]
        async with connection_of(pool) as connection:
            assert await connection.fetchval(_PAGE, [0, 1], [0, 0]) == 1
    assert await pool.fetchval(_PAGE, [0, 1], [0, 0]) == 3
    async with transaction(pool, [ONE, OTHER]) as connection:
        assert await connection.fetchval("SELECT count(*) FROM entry WHERE words = 'stolen'") == 0


async def test_a_single_statement_of_a_client_is_committed_or_undone(pool: Pool) -> None:
    with calling(CLIENT_OF_ONE):
        async with connection_of(pool) as connection:
            assert connection.is_in_transaction()
            await connection.execute("UPDATE history_head SET position = 7 WHERE partition = 9")
        with contextlib.suppress(RuntimeError):
            async with connection_of(pool) as connection:
                await connection.execute("UPDATE history_head SET position = 8 WHERE partition = 9")
                raise RuntimeError
    assert await pool.fetchval("SELECT position FROM history_head WHERE partition = 9") == 7


async def test_a_transaction_leaves_no_team_behind(database: Database) -> None:
    connection = await asyncpg.connect(database.dsn_of("diary"))
    try:
        async with connection.transaction():
            await bind_teams(connection, [ONE])
            assert await connection.fetchval("SELECT count(*) FROM entry") == 1
        assert await connection.fetchval("SELECT count(*) FROM entry") == 0
    finally:
        await connection.close()


async def test_rows_of_other_teams_cannot_be_written(pool: Pool) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with transaction(pool, [ONE]) as connection:
            await connection.execute(_WRITE, 5, 1, OTHER)
    async with transaction(pool, [ONE]) as connection:
        assert await connection.execute("DELETE FROM entry") == "DELETE 1"
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with transaction(pool, [OTHER]) as connection:
            await connection.execute("UPDATE entry SET team_id = $1", ONE)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM ledger.entry",
        "SELECT ledger.forget_requests(now(), 1)",
        "CREATE TABLE ledger.mine (n integer)",
        "CREATE TABLE diary.mine (n integer)",
        "CREATE TABLE public.mine (n integer)",
        "ALTER TABLE diary.entry DISABLE ROW LEVEL SECURITY",
        "TRUNCATE diary.entry",
        "UPDATE platform.clock SET rate = 0",
        "DELETE FROM platform.migration",
        "SELECT platform.hold_teams_apart('diary.entry')",
        "SET ROLE omnijourney_ledger",
        "COPY (SELECT 1) TO PROGRAM 'true'",
    ],
)
async def test_a_role_has_its_own_schema_and_no_more(pool: Pool, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute(statement)


async def test_policies_are_asked_once_a_statement(pool: Pool) -> None:
    async with transaction(pool, [ONE]) as connection:
        plan = await connection.fetch("EXPLAIN SELECT * FROM entry WHERE partition = 0")
    text = "\n".join(row[0] for row in plan)
    assert "InitPlan" in text
    assert "current_setting" not in text.split("InitPlan")[0]


# ---- lending ----

_PID = "SELECT pg_backend_pid()"


@pytest.fixture
async def pair(database: Database) -> AsyncIterator[Pool]:
    """A pool of two connections at most."""
    pool = await open_pool(database.dsn_of("diary"), name="pair", size_max=2)
    async with pool:
        yield pool


async def pid_of(connection: Connection) -> int:
    """The server's process behind a connection."""
    return int(await connection.fetchval(_PID))


async def test_the_connection_used_last_is_lent_first(pair: Pool) -> None:
    async with connection_of(pair) as one, connection_of(pair) as other:
        pids = await pid_of(one), await pid_of(other)
        assert pids[0] != pids[1]
    assert {await pair.fetchval(_PID) for _ in range(5)} == {pids[0]}


async def test_who_waits_longest_gets_the_next_one(pair: Pool) -> None:
    order: list[int] = []

    async def use(number: int) -> None:
        async with connection_of(pair) as connection:
            await pid_of(connection)
            order.append(number)

    async with connection_of(pair), connection_of(pair):
        waiting = [asyncio.create_task(use(number)) for number in range(20)]
        await asyncio.sleep(0)
        assert order == []
    await asyncio.gather(*waiting)
    assert sorted(order) == list(range(20))
    assert order[0] in {0, 1}


async def test_no_free_connection_is_overload(pair: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "ACQUIRE_TIMEOUT_S", 0.02)
    async with connection_of(pair), connection_of(pair):
        for block in (connection_of(pair), transaction(pair, [ONE]), snapshot(pair, [])):
            with pytest.raises(ResourceExhausted):
                await block.__aenter__()
        with pytest.raises(ResourceExhausted) as caught:
            await fetch_alone(pair, _PID)
    assert isinstance(caught.value, PASSING), "loops wait for one, and blame nobody's work"
    assert len(await fetch_alone(pair, _PID)) == 1


async def test_a_waiter_that_is_cancelled_takes_no_connection_along(pair: Pool) -> None:
    for rounds in range(20):
        async with connection_of(pair), connection_of(pair):
            waiting = [asyncio.create_task(fetch_alone(pair, _PID)) for _ in range(3)]
            for _ in range(1 + rounds % 3):
                await asyncio.sleep(0)
            if rounds % 2:
                waiting[0].cancel()
        waiting[1].cancel()  # its turn may have come just now
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        assert not isinstance(done[2], BaseException)
    async with connection_of(pair) as one, connection_of(pair) as other:
        assert await pid_of(one) != await pid_of(other)


async def test_connections_that_the_server_ended_are_replaced(pair: Pool, database: Database) -> None:
    admin = await asyncpg.connect(database.admin_dsn)
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pair'"
    try:
        async with connection_of(pair), connection_of(pair) as used:
            await admin.execute(end)
            with pytest.raises(SERVER_AWAY):
                await used.fetchval("SELECT pg_sleep(5)")
            waiting = asyncio.create_task(fetch_alone(pair, _PID))
            await asyncio.sleep(0)
        assert len(await waiting) == 1
        for _ in range(3):
            assert len(await asyncio.gather(*(fetch_alone(pair, _PID) for _ in range(4)))) == 4
    finally:
        await admin.close()


async def test_a_cancelled_statement_leaves_a_connection_that_works(pair: Pool) -> None:
    for begin in (connection_of(pair), transaction(pair, [ONE])):

        async def sleep(block: "pools.Acquired | pools.Transaction" = begin) -> None:
            async with block as connection:
                await connection.execute("SELECT pg_sleep(10)")

        task = asyncio.create_task(sleep())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.gather(*(pair.fetchval("SELECT 7") for _ in range(4))) == [7] * 4


async def test_a_transaction_that_was_left_open_is_lent_to_nobody(pair: Pool) -> None:
    async with connection_of(pair) as connection:
        pid = await pid_of(connection)
        await connection.execute(
            "BEGIN; INSERT INTO history_head (partition) VALUES (0) ON CONFLICT DO NOTHING"
        )
    assert connection.is_closed()
    assert await pair.fetchval(_PID) != pid


async def test_a_pool_that_closes_waits_for_what_is_lent(database: Database) -> None:
    pool = await open_pool(database.dsn_of("diary"), name="closing", size_max=1)
    async with connection_of(pool) as connection:
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0.01)
        assert not closing.done()
        assert await connection.fetchval("SELECT 7") == 7
        with pytest.raises(asyncpg.InterfaceError, match="closing"):
            await fetch_alone(pool, _PID)
    await closing
    assert connection.is_closed()


async def test_a_terminated_pool_waits_for_nobody(database: Database) -> None:
    pool = await open_pool(database.dsn_of("diary"), name="ended")
    async with connection_of(pool) as connection:
        pool.terminate()
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await connection.fetchval("SELECT 7")


async def test_a_server_that_cannot_be_reached_is_told_at_once() -> None:
    with pytest.raises(OSError, match="Connect"):
        await open_pool("postgresql://nobody@127.0.0.1:1/none", name="nowhere")
