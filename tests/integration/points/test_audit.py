"""What changes of points leave in the audit log."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import asyncpg
import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.points.v1 import points_service_pb2 as pb
from tests.integration.points.conftest import TIMEOUT_S, Points


async def _entries(points: Points) -> list[Any]:
    connection = await asyncpg.connect(points.admin_dsn)
    try:
        return await connection.fetch("SELECT * FROM platform.audit_entry ORDER BY audit_entry_id")
    finally:
        await connection.close()


async def _adjust(points: Points, customer_id: UUID, change: int, request_id: str) -> None:
    request = pb.AdjustBalanceRequest(
        team_id=str(points.team_id),
        request_id=request_id,
        customer_id=str(customer_id),
        points=change,
        note="complaint 12",
    )
    await points.stub.AdjustBalance(request, timeout=TIMEOUT_S)


@pytest.mark.rule("X-02d")
async def test_a_change_by_hand_shows_the_points_before_and_after(points: Points) -> None:
    customer = new_id()
    for change, request_id in ((30, "first"), (-10, "second"), (-10, "second")):
        await _adjust(points, customer, change, request_id)
    with pytest.raises(grpc.aio.AioRpcError):
        await _adjust(points, customer, -21, "too much")
    assert await points.balance(customer) == (20, 30)
    gained, taken = await _entries(points)
    assert [each["request_id"] for each in (gained, taken)] == ["first", "second"]
    assert (taken["resource_type"], taken["resource_id"]) == ("Balance", str(customer))
    assert taken["fields"] == ["balance", "sequence"]
    assert "balance" not in json.loads(gained["before"])
    assert json.loads(gained["after"])["balance"] == json.loads(taken["before"])["balance"] == "30"
    assert json.loads(taken["after"])["balance"] == "20"


async def test_points_do_not_change_where_nothing_can_be_written_down(points: Points) -> None:
    customer = new_id()
    await _adjust(points, customer, 30, "first")
    await points.corrupt("ALTER TABLE platform.audit_entry ADD CHECK (request_id = 'first')")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _adjust(points, customer, 5, "second")
    assert remote_error(caught.value).code == grpc.StatusCode.INTERNAL
    assert await points.balance(customer) == (30, 30)


@pytest.mark.rule("X-02d")
async def test_a_formula_that_is_set_again_shows_what_was_there(points: Points) -> None:
    for request_id in ("first", "second"):
        request = pb.SetEarningFormulaRequest(
            team_id=str(points.team_id), request_id=request_id, amount="10", points="1"
        )
        await points.stub.SetEarningFormula(request, timeout=TIMEOUT_S)
    first, again = await _entries(points)
    assert (first["resource_type"], first["before"]) == ("EarningFormula", "")
    assert again["before"] == again["after"] == first["after"]
    assert again["fields"] == []
