"""Rows of segment's history that points passed over are shown, and applied once they can be."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import grpc
import pytest

from libs.common.db.pool import open_pool
from libs.common.db.queries import QueryBook
from libs.common.feeds.follower import CursorMovedError
from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from libs.testing.fixtures import Database
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.domain.customers import CustomerBasics
from services.points.store.customers import CustomerStore
from tests.integration.points.conftest import TIMEOUT_S, Neighboured

NO_PLACE = 10**9
"""A position that the history does not have."""


async def _admin(points: Neighboured, statement: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(points.admin_dsn)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def _retry(points: Neighboured, request_id: str, source: str = "") -> tuple[int, int]:
    request = pb.RetryRowsSetAsideRequest(request_id=request_id, source=source)
    answer = await points.stub.RetryRowsSetAside(request, timeout=TIMEOUT_S)
    return answer.applied_count, answer.left_count


async def _reason(call: Any, request: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request, timeout=TIMEOUT_S)
    return remote_error(caught.value).reason


@pytest.mark.rule("C-20d")
async def test_rows_set_aside_are_listed_and_applied_once_they_can_be(neighboured: Neighboured) -> None:
    points = neighboured
    customer = await points.customer(name="Ann")
    async with asyncio.timeout(TIMEOUT_S):
        while not await _admin(
            points, "DELETE FROM points.customer WHERE customer_id = $1 RETURNING 1", customer
        ):
            await asyncio.sleep(0.05)
    (place,) = await _admin(
        points,
        "SELECT partition, min(position) AS position FROM segment.fact WHERE customer_id = $1 GROUP BY 1",
        customer,
    )
    await _admin(
        points,
        """
        INSERT INTO points.row_set_aside (partition, position, reason)
        VALUES ($1, $2, 'no such customer'), ($1, $3, 'cannot be read')
        """,
        place["partition"],
        place["position"],
        NO_PLACE,
    )
    listing = pb.ListRowsSetAsideRequest(source="segment", page_size=1)
    first = await points.stub.ListRowsSetAside(listing, timeout=TIMEOUT_S)
    listing.page_token = first.next_page_token
    second = await points.stub.ListRowsSetAside(listing, timeout=TIMEOUT_S)
    assert second.next_page_token == ""
    assert [(row.source, row.position, row.message) for row in (*first.rows, *second.rows)] == [
        ("segment", place["position"], "no such customer"),
        ("segment", NO_PLACE, "cannot be read"),
    ]
    assert await _retry(points, "first") == (1, 1)
    assert await _retry(points, "second") == (0, 1)
    assert await _retry(points, "first") == (1, 1), "the first answer"
    names = await _admin(points, "SELECT name FROM points.customer WHERE customer_id = $1", customer)
    assert [row["name"] for row in names] == ["Ann"]
    left = await points.stub.ListRowsSetAside(pb.ListRowsSetAsideRequest(), timeout=TIMEOUT_S)
    assert [row.position for row in left.rows] == [NO_PLACE]


async def test_what_points_does_not_follow_is_refused(neighboured: Neighboured) -> None:
    stub = neighboured.stub
    assert (
        await _reason(stub.ListRowsSetAside, pb.ListRowsSetAsideRequest(source="stats")) == "INVALID_FIELDS"
    )
    request = pb.RetryRowsSetAsideRequest(request_id="first", source="stats")
    assert await _reason(stub.RetryRowsSetAside, request) == "INVALID_FIELDS"
    await _retry(neighboured, "first")
    request.source = "segment"
    assert await _reason(stub.RetryRowsSetAside, request) == "REQUEST_ID_REUSED"


async def test_what_was_read_before_the_copy_went_on_is_not_written(database: Database) -> None:
    team, ann = new_id(), new_id()
    async with await open_pool(database.dsn_of("points"), name="test") as pool:
        store = CustomerStore(pool, QueryBook.load("services.points"))
        before = await store.cursors()
        await store.set_aside(before, {**before, 7: 3}, (7, 3), "no such customer")
        (row,) = await store.list_set_aside((-1, 0), 10)
        await store.write({**before, 7: 3}, {**before, 7: 4}, [CustomerBasics(team, ann, "Ann, married")])
        with pytest.raises(CursorMovedError):
            await store.write_again(row, 3, CustomerBasics(team, ann, "Ann"))
        assert await store.count_set_aside() == 1
        assert await store.write_again(row, 4, CustomerBasics(team, ann, "Ann, married"))
        assert not await store.write_again(row, 4, CustomerBasics(team, ann, "Ann"))
        assert {each.name for each in (await store.names(team, [ann])).values()} == {"Ann, married"}
