"""A service of the tests' own: the smallest that has a table, a history and a migration."""

from collections.abc import AsyncIterator

import pytest

from libs.common.db import listening
from libs.common.db.pool import Pool, open_pool
from libs.testing.fixtures import Database, Databases

PACKAGE = "tests.integration.common.diary"


@pytest.fixture
def polls_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who follows a table and hears of no change looks at it soon, not after four seconds."""
    monkeypatch.setattr(listening, "POLL_S", 0.3)


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    """A database with the schemas `diary` and `ledger`, both made by the same migration."""
    async with databases.fresh({"diary": PACKAGE, "ledger": PACKAGE}) as database:
        yield database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections under the role of `diary`."""
    pool = await open_pool(database.dsn_of("diary"), name="test")
    async with pool:
        yield pool
