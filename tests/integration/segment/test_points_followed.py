"""Points as audiences count them follow the ledger's history: each entry once, those of customers only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from libs.common.db.pool import open_pool
from libs.common.feeds.rows import EntryRow
from libs.common.ids import new_id
from libs.testing.feeds import FeedServer
from libs.testing.fixtures import Database, Servers
from tests.integration.segment.conftest import Segment, serving_segment


@pytest.fixture
async def points() -> AsyncIterator[FeedServer]:
    """The ledger's history."""
    async with FeedServer("points").serving() as serving:
        yield serving


@pytest.fixture
async def segment(
    servers: Servers, database: Database, redis: object, points: FeedServer
) -> AsyncIterator[Segment]:
    """Segment that follows it."""
    async with serving_segment(servers, database, points_target=f"127.0.0.1:{points.port}") as segment:
        await segment.call("UpdateTeam", team={"settings": {"modules": [2]}})
        yield segment


def entry(segment: Segment, customer: str, balance: int, cumulative: int, partition: int = 3) -> EntryRow:
    """One that adds so much."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    team, whose = segment.team_id.bytes, UUID(customer).bytes
    return EntryRow(partition, 0, team, whose, at, 1, balance, cumulative, balance)


async def having(segment: Segment, figure: int, least: int) -> int:
    """How many have so many points, counted and listed."""
    audience: dict[str, Any] = {"points": {"figure": figure, "operator": 6, "value": least}}
    count = (await segment.call("CountAudience", audience=audience)).customer_count
    listed = (await segment.call("ListAudienceCustomers", audience=audience)).customers
    assert len(listed) == count
    return int(count)


@pytest.mark.rule("S-03b")
async def test_a_count_sees_every_entry_that_was_committed_before_it_was_asked(
    segment: Segment, points: FeedServer
) -> None:
    ann, ben = await segment.create(), await segment.create()
    assert await having(segment, 1, 1) == 0
    points.record(entry(segment, ann, 5, 5), entry(segment, ben, 2, 2, partition=7))
    assert (await having(segment, 1, 2), await having(segment, 1, 3)) == (2, 1)
    points.record(*(entry(segment, ann, -1, 0) for _ in range(5)))
    assert (await having(segment, 1, 1), await having(segment, 2, 5)) == (1, 1)
    assert (await having(segment, 1, 0), await having(segment, 2, 1)) == (2, 2)


async def test_points_of_nobody_count_as_soon_as_there_is_the_customer(
    segment: Segment, points: FeedServer
) -> None:
    later = str(new_id())
    points.record(entry(segment, later, 5, 5))
    assert await having(segment, 1, 1) == 0
    await segment.create(customer_id=later)
    assert await having(segment, 1, 1) == 1


async def test_an_entry_that_cannot_be_added_is_set_aside_and_holds_up_nobody(
    segment: Segment, points: FeedServer
) -> None:
    ann = await segment.create()
    strange = entry(segment, ann, 1, 1)
    strange.customer = b"short"
    points.record(strange, entry(segment, ann, 5, 5))
    pool = await open_pool(segment.dsn, name="test of points")
    try:
        aside = "SELECT reason FROM points_row_set_aside"
        while not await pool.fetchval(aside):
            await segment.call("GetTeam")
        assert "bytes" in await pool.fetchval(aside)
    finally:
        await pool.close()
    assert await having(segment, 1, 5) == 1
