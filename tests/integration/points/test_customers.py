"""The copy of customers in PostgreSQL: cursors move together with what was written, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.common.db.pool import open_pool
from libs.common.db.queries import QueryBook
from libs.common.feeds.follower import CursorMovedError
from libs.common.ids import new_id
from libs.testing.fixtures import Database
from services.points.domain.customers import CustomerBasics
from services.points.domain.views import CustomerName
from services.points.store.customers import CustomerStore

TEAM, ANN = new_id(), new_id()


@pytest.fixture
async def store(database: Database) -> AsyncIterator[CustomerStore]:
    pool = await open_pool(database.dsn_of("points"), name="customers")
    yield CustomerStore(pool, QueryBook.load("services.points"))
    await pool.close()


async def test_a_row_that_cannot_be_applied_is_passed_over_and_kept_with_its_reason(
    store: CustomerStore, database: Database
) -> None:
    before = await store.cursors()
    # A page also moves cursors past rows of kinds that nobody asked for: those are not set aside.
    after = {**before, 7: 3, 9: 5}
    await store.set_aside(before, after, (7, 3), "no such customer")
    assert await store.cursors() == after
    with pytest.raises(CursorMovedError):
        await store.set_aside(before, after, (7, 3), "again")
    admin = await asyncpg.connect(database.admin_dsn)
    rows = await admin.fetch("SELECT partition, position, reason FROM points.row_set_aside")
    await admin.close()
    assert [tuple(row) for row in rows] == [(7, 3, "no such customer")]


async def test_customers_are_written_from_where_the_cursors_are_only(store: CustomerStore) -> None:
    before = await store.cursors()
    after = {**before, 0: 5}
    await store.write(before, after, [CustomerBasics(TEAM, ANN, "Ann", "M-1")])
    with pytest.raises(CursorMovedError):
        await store.write(before, after, [CustomerBasics(TEAM, ANN, "Bob")])
    assert await store.names(TEAM, [ANN, new_id()]) == {ANN: CustomerName("Ann", "M-1")}
    await store.write(after, {**after, 0: 6}, [CustomerBasics(TEAM, ANN, found=False)])
    assert await store.names(TEAM, [ANN]) == {}
