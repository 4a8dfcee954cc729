"""Points for customers that the team has not: clients of the API are told that there are none."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import grpc
import pytest

from libs.common.callers import ALL_BUT_INTERNAL
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from libs.common.rpc.errors import remote_error
from libs.testing.clients import make_client
from libs.testing.fixtures import Database
from omnijourney.internal.v1 import merges_service_pb2
from omnijourney.points.v1 import coupon_pb2, points_service_pb2_grpc
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.segment.v1 import customer_pb2, operation_pb2, segment_service_pb2, team_pb2
from tests.integration.points.conftest import TIMEOUT_S, Neighboured

if TYPE_CHECKING:
    from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceAsyncStub

_KNOWN_WITHIN_S: Final = 30.0


@contextlib.asynccontextmanager
async def client_of(points: Neighboured) -> AsyncIterator[PointsServiceAsyncStub]:
    """A client of the installation, as an operator's program is: it may do everything but what services do."""
    token = await make_client(Database(points.admin_dsn), *ALL_BUT_INTERNAL)
    async with channel(points.targets["points"], token) as opened:
        stub = points_service_pb2_grpc.PointsServiceStub(opened)
        async with asyncio.timeout(_KNOWN_WITHIN_S):
            while await code_of(stub.ListCoupons, pb.ListCouponsRequest(team_id=str(points.team_id))):
                await asyncio.sleep(0.02)
        yield stub


async def code_of(call: Any, request: Any) -> str:
    """The reason of the refusal; empty for none."""
    try:
        await call(request, timeout=TIMEOUT_S)
    except grpc.aio.AioRpcError as error:
        return f"{error.code().name} {remote_error(error).metadata.get('resource', '')}"
    return ""


async def customer_of(points: Neighboured, team_id: UUID) -> UUID:
    request = segment_service_pb2.CreateCustomerRequest(
        team_id=str(team_id), request_id=str(new_id()), customer=customer_pb2.Customer(name="Ann")
    )
    return UUID((await points.segment.CreateCustomer(request, timeout=TIMEOUT_S)).customer.customer_id)


async def foreign_team(points: Neighboured) -> UUID:
    team_id = new_id()
    settings = team_pb2.TeamSettings(time_zone="Asia/Taipei", currency_code="TWD")
    team = team_pb2.Team(team_id=str(team_id), name="Other", settings=settings)
    request = segment_service_pb2.CreateTeamRequest(request_id=str(new_id()), team=team)
    await points.segment.CreateTeam(request, timeout=TIMEOUT_S)
    return team_id


def adjustment(points: Neighboured, customer: UUID) -> pb.AdjustBalanceRequest:
    return pb.AdjustBalanceRequest(
        team_id=str(points.team_id),
        request_id=str(new_id()),
        customer_id=str(customer),
        points=5,
        note="a gift",
    )


async def test_nobody_and_another_teams_customer_get_no_points(neighboured: Neighboured) -> None:
    own = await customer_of(neighboured, neighboured.team_id)
    foreign = await customer_of(neighboured, await foreign_team(neighboured))
    async with client_of(neighboured) as stub:
        for stranger in (foreign, new_id()):
            refused = await code_of(stub.AdjustBalance, adjustment(neighboured, stranger))
            assert refused == "NOT_FOUND customer"
        summary = await stub.GetLedgerSummary(
            pb.GetLedgerSummaryRequest(team_id=str(neighboured.team_id)), timeout=TIMEOUT_S
        )
        assert summary.summary.accounts == 0, "no account was made"
        # At once after its creation, when the copy of customers cannot have it yet.
        assert await code_of(stub.AdjustBalance, adjustment(neighboured, own)) == ""


async def test_nobody_and_another_teams_customer_claim_no_coupon(neighboured: Neighboured) -> None:
    own = await customer_of(neighboured, neighboured.team_id)
    foreign = await customer_of(neighboured, await foreign_team(neighboured))
    team = str(neighboured.team_id)
    async with client_of(neighboured) as stub:
        wanted = coupon_pb2.Coupon(name="free", type=coupon_pb2.COUPON_TYPE_MARKETING)
        request = pb.CreateCouponRequest(team_id=team, request_id=str(new_id()), coupon=wanted)
        coupon_id = (await stub.CreateCoupon(request, timeout=TIMEOUT_S)).coupon.coupon_id

        def claim(customer: UUID) -> pb.ClaimCouponRequest:
            return pb.ClaimCouponRequest(
                team_id=team, request_id=str(new_id()), coupon_id=coupon_id, customer_id=str(customer)
            )

        for stranger in (foreign, new_id()):
            assert await code_of(stub.ClaimCoupon, claim(stranger)) == "NOT_FOUND customer"
        assert await code_of(stub.ClaimCoupon, claim(own)) == ""


async def test_who_was_merged_gets_no_points_by_people_and_claims_count_for_whom_they_are_now(
    neighboured: Neighboured,
) -> None:
    loser, survivor = await neighboured.customer(), await neighboured.customer()
    team = str(neighboured.team_id)
    terms: dict[str, Any] = {"type": coupon_pb2.COUPON_TYPE_MARKETING, "claims_per_customer_max": 1}
    request = pb.CreateCouponRequest(
        team_id=team, request_id=str(new_id()), coupon=coupon_pb2.Coupon(name="free", **terms)
    )
    coupon_id = (await neighboured.stub.CreateCoupon(request, timeout=TIMEOUT_S)).coupon.coupon_id

    def claim(customer: UUID) -> pb.ClaimCouponRequest:
        return pb.ClaimCouponRequest(
            team_id=team, request_id=str(new_id()), coupon_id=coupon_id, customer_id=str(customer)
        )

    await neighboured.stub.ClaimCoupon(claim(loser), timeout=TIMEOUT_S)
    await neighboured.stub.AdjustBalance(adjustment(neighboured, loser), timeout=TIMEOUT_S)
    step: dict[str, Any] = {
        "team_id": team,
        "customer_merge_id": str(new_id()),
        "survivor_id": str(survivor),
        "loser_id": str(loser),
    }
    for number in (operation_pb2.MERGE_STEP_MOVE_POINTS, operation_pb2.MERGE_STEP_UNITE_PROFILES) * 2:
        asked = merges_service_pb2.TakeMergeStepRequest(**step, step=number)
        assert (await neighboured.internal.merges.TakeMergeStep(asked, timeout=TIMEOUT_S)).done
    async with client_of(neighboured) as stub:
        calls: list[tuple[Any, Any]] = [
            (stub.AdjustBalance, adjustment(neighboured, loser)),
            (stub.ClaimCoupon, claim(loser)),
        ]
        for call, wanted in calls:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(wanted, timeout=TIMEOUT_S)
            assert remote_error(refused.value).reason == "CUSTOMER_MERGED"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.ClaimCoupon(claim(survivor), timeout=TIMEOUT_S)
        assert remote_error(refused.value).reason == "COUPON_NOT_CLAIMABLE"
        figures = await stub.GetBalance(
            pb.GetBalanceRequest(team_id=team, customer_id=str(survivor)), timeout=TIMEOUT_S
        )
        assert (figures.balance.balance, figures.balance.cumulative) == (5, 5)


@pytest.mark.parametrize("name", ["AdjustBalance", "ClaimCoupon"])
async def test_what_our_own_services_ask_for_was_looked_at_before(points: Any, name: str) -> None:
    """No segment runs beside this one, and it is not asked."""
    if name == "AdjustBalance":
        assert await code_of(points.stub.AdjustBalance, adjustment(points, new_id())) == ""
        return
    request = pb.ClaimCouponRequest(
        team_id=str(points.team_id), request_id="1", coupon_id=str(new_id()), customer_id=str(new_id())
    )
    assert await code_of(points.stub.ClaimCoupon, request) == "NOT_FOUND coupon"
