"""The counters of one history, as every projection has to be, on a real database; and rows that cannot be counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import islice
from typing import Any

import asyncpg
import grpc
import pytest

from libs.common.db.pool import Pool, open_pool
from libs.common.db.roles import service_dsn
from libs.common.feeds.follower import Page
from libs.common.feeds.rows import FactRow
from libs.common.ids import PARTITIONS, new_id
from libs.testing.fixtures import Database
from libs.testing.history_rows import entry, order
from libs.testing.mails import customers
from libs.testing.projection_suite import ProjectionSuite
from libs.testing.windows import weekly
from omnijourney.points.v1 import entry_pb2
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.domain.model import Source
from services.stats.store.projections import ProjectionStore
from services.stats.worker.readers import CountingProjection
from tests.integration.stats.conftest import TIMEOUT_S, Stats

PEOPLE = list(islice(customers(), 5))


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    """Connections as the service has them."""
    async with await open_pool(service_dsn(database.admin_dsn, "stats"), name="test", size_max=2) as pool:
        yield pool


class TestCountingProjection(ProjectionSuite):
    """The suite."""

    @pytest.fixture
    def projection(self, pool: Pool) -> CountingProjection:
        """Of the ledger's history."""
        return CountingProjection(Source.POINTS, ProjectionStore(pool), weekly)

    @pytest.fixture
    def page(self) -> Callable[[int], Page[Any]]:
        """One entry of the ledger."""

        def page(after: int) -> Page[Any]:
            row = entry(PEOPLE[0], entry_pb2.ENTRY_SOURCE_WEB_ORDER, 5)
            row.partition, row.position = 3, after + 1
            return Page([row], {**dict.fromkeys(range(PARTITIONS), 0), 3: after + 1})

        return page

    @pytest.fixture
    def digest(self, database: Database) -> Callable[[], Awaitable[Any]]:
        """All counters and totals."""

        async def digest() -> Any:
            admin = await asyncpg.connect(database.admin_dsn)
            try:
                return await admin.fetch(
                    "SELECT metric, value FROM stats.counter"
                    " UNION ALL SELECT metric, value FROM stats.total ORDER BY 1, 2"
                )
            finally:
                await admin.close()

        return digest


async def test_a_row_that_cannot_be_counted_is_set_aside_and_holds_back_nobody(
    stats: Stats, database: Database
) -> None:
    faulty = order(PEOPLE[1])
    faulty.customer = b"nobody"
    feed = stats.feeds["segment"]
    feed.record(order(PEOPLE[0]), faulty, *(order(each) for each in PEOPLE[2:]))
    await stats.settle()
    team = await stats.team()
    assert (team.order_count, team.customer_count) == (4, 4)
    admin = await asyncpg.connect(database.admin_dsn)
    try:
        aside = await admin.fetch("SELECT source, partition, position, reason FROM stats.row_set_aside")
    finally:
        await admin.close()
    (row,) = aside
    assert tuple(row)[:3] == (Source.SEGMENT, faulty.partition, faulty.position)
    assert "ValueError" in row["reason"]


@pytest.mark.rule("C-20d")
async def test_rows_set_aside_are_listed_and_counted_once_they_can_be(stats: Stats) -> None:
    feed, faulty = stats.feeds["segment"], order(PEOPLE[1])
    faulty.customer = b"nobody"
    bare = FactRow(7, 0, None)  # as its service passes on a row that it cannot read
    feed.record(order(PEOPLE[0]), faulty, bare, *(order(each) for each in PEOPLE[2:]))
    await stats.settle()
    assert (await stats.team()).order_count == 4
    states = await stats.stub.ListProjectionStates(pb.ListProjectionStatesRequest(), timeout=TIMEOUT_S)
    assert {state.source: state.set_aside_count for state in states.states if state.set_aside_count} == {
        "segment": 2
    }
    listing = pb.ListRowsSetAsideRequest(source="segment", page_size=1)
    first = await stats.stub.ListRowsSetAside(listing, timeout=TIMEOUT_S)
    listing.page_token = first.next_page_token
    second = await stats.stub.ListRowsSetAside(listing, timeout=TIMEOUT_S)
    rows = [*first.rows, *second.rows]
    assert second.next_page_token == ""
    assert {(row.source, row.partition, row.position) for row in rows} == {
        ("segment", faulty.partition, faulty.position),
        ("segment", 7, bare.position),
    }
    assert any("cannot read it" in row.message for row in rows)
    assert await retry_as(stats, "first") == (0, 2)
    faulty.customer = PEOPLE[1].bytes
    assert await retry_as(stats, "first") == (0, 2), "the first answer"
    assert await retry(stats) == (1, 1)
    assert await retry(stats) == (0, 1)
    with pytest.raises(grpc.aio.AioRpcError) as reused:
        await retry_as(stats, "first", "points")
    assert reused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    team = await stats.team()
    assert (team.order_count, team.customer_count) == (5, 5)
    assert await retry(stats, "points") == (0, 0)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await retry(stats, "nobody")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def retry(stats: Stats, source: str = "segment") -> tuple[int, int]:
    return await retry_as(stats, str(new_id()), source)


async def retry_as(stats: Stats, request_id: str, source: str = "segment") -> tuple[int, int]:
    request = pb.RetryRowsSetAsideRequest(request_id=request_id, source=source)
    answer = await stats.stub.RetryRowsSetAside(request, timeout=TIMEOUT_S)
    return answer.counted_count, answer.left_count


async def test_a_process_of_the_release_before_counts_beside_a_new_one(pool: Pool) -> None:
    store = ProjectionStore(pool)
    projection = CountingProjection(Source.POINTS, store, weekly)
    row = entry(PEOPLE[0], entry_pb2.ENTRY_SOURCE_WEB_ORDER, 5)
    row.partition, row.position = 3, 1
    before = await projection.cursors()
    await projection.apply(before, Page([row], {**before, 3: 1}))
    empty: list[list[Any]] = [[] for _ in range(12)]
    async with asyncio.timeout(TIMEOUT_S):
        await pool.fetch(
            "SELECT count_page($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            int(Source.POINTS),
            1,
            [3],
            [1],
            [2],
            *empty,
        )
    assert (await projection.cursors())[3] == 2
