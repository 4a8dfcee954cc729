"""Statements that go through a PgBouncer in transaction mode: another session after each transaction."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from libs.common.db import sessions
from libs.common.db.pool import Pool, fetch_alone, open_pool, transaction
from libs.testing.fixtures import Database, Databases, Servers
from libs.testing.pooler import pooler_binary, running_pooler

ONE, OTHER = UUID(int=1), UUID(int=2)
PACKAGE = "tests.integration.common.diary"
MORE_THAN_SESSIONS = 12
"""The pooler has four of the role."""
pytestmark = pytest.mark.skipif(pooler_binary() is None, reason="no PgBouncer on this machine")


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """The tests' own service under a role that the pooler lets in."""
    async with databases.fresh({"points": PACKAGE}) as database:
        yield database


@pytest.fixture
async def pooled(database: Database, servers: Servers) -> AsyncIterator[Pool]:
    """Connections of that role, through the pooler."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        Path(made).chmod(0o755)
        with running_pooler(Path(made), servers.postgres_dsn) as address:
            dsn = database.dsn_of("points")
            async with await open_pool(dsn, name="test", size_max=MORE_THAN_SESSIONS, pooler=address) as pool:
                yield pool


async def test_sessions_are_set_as_the_pool_sets_its_own(pooled: Pool, database: Database) -> None:
    owner = await asyncpg.connect(database.admin_dsn)
    question = "SELECT current_setting($1)"
    try:
        for name in sessions.ROLE:
            if name != "jit":  # which the embedded server has switched off for all
                ours = (await fetch_alone(pooled, question, name))[0][0]
                assert ours != await owner.fetchval(question, name), name
    finally:
        await owner.close()


async def test_statements_of_more_callers_than_there_are_sessions(pooled: Pool) -> None:
    async def ask(number: int) -> None:
        for _ in range(20):
            rows = await fetch_alone(pooled, f"SELECT $1::int AS number, '{number}' AS text", number)
            assert [(row["number"], row["text"]) for row in rows] == [(number, str(number))]

    await asyncio.gather(*(ask(number) for number in range(MORE_THAN_SESSIONS)))


async def test_a_team_is_bound_to_its_transaction_and_not_to_the_session(pooled: Pool) -> None:
    async def write_and_look(team: UUID, number: int) -> None:
        async with transaction(pooled, [team]) as connection:
            await connection.execute(
                "INSERT INTO entry (partition, position, team_id, words) VALUES (0, $1, $2, 'x')",
                number,
                team,
            )
        async with transaction(pooled, [team]) as connection:
            assert await connection.fetchval("SELECT count(DISTINCT team_id) FROM entry") == 1
        assert await pooled.fetchval("SELECT count(*) FROM entry") == 0

    numbers = range(1, MORE_THAN_SESSIONS + 1)
    await asyncio.gather(*(write_and_look(OTHER if number % 2 else ONE, number) for number in numbers))
