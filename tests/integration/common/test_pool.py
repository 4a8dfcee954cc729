"""Who sees which rows."""

from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import Pool, bind_teams, transaction
from libs.common.testing.fixtures import Database

ONE, OTHER = UUID(int=1), UUID(int=2)
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
        "SELECT * FROM platform.migration",
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
