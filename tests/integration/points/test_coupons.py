"""Coupons paid with points: one deduction and one claim, or neither."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import pytest

from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.errors import Unavailable
from libs.common.ids import new_id
from libs.common.rpc.errors import RemoteError, remote_error
from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import channel_pb2
from omnijourney.points.v1 import coupon_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Neighboured, Points

TEXT = "You have {{points.balance}} points, the mug costs 80."


def mug(points: Points, **changes: Any) -> coupon_pb2.Coupon:
    terms: dict[str, Any] = {
        "team_id": str(points.team_id),
        "name": "Mug",
        "type": coupon_pb2.COUPON_TYPE_MARKETING,
        "points_redemption": coupon_pb2.PointsRedemption(cost=80, insufficient_text=TEXT),
    }
    return coupon_pb2.Coupon(**{**terms, **changes})


async def create(points: Points, coupon: coupon_pb2.Coupon) -> coupon_pb2.Coupon:
    request = pb.CreateCouponRequest(team_id=str(points.team_id), request_id=str(new_id()), coupon=coupon)
    return (await points.stub.CreateCoupon(request, timeout=TIMEOUT_S)).coupon


async def claim(
    points: Points,
    coupon: coupon_pb2.Coupon,
    customer: UUID,
    request_id: UUID | str | None = None,
    **more: Any,
) -> pb.ClaimCouponResponse:
    request = pb.ClaimCouponRequest(
        team_id=str(points.team_id),
        request_id=str(request_id or new_id()),
        coupon_id=coupon.coupon_id,
        customer_id=str(customer),
        **more,
    )
    return await points.stub.ClaimCoupon(request, timeout=TIMEOUT_S)


async def refused(call: Awaitable[object]) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return remote_error(caught.value)


@pytest.mark.rule("P-20a")
@pytest.mark.parametrize("request_id", [new_id(), "line: tap 7"])
async def test_enough_points_are_one_deduction_and_one_claim(points: Points, request_id: UUID | str) -> None:
    customer = new_id()
    await points.post(build.manual(points.team_id, customer, 100))
    coupon = await create(points, mug(points))
    first = await claim(points, coupon, customer, request_id)
    assert (first.claim.points_paid, first.claim.entry_sequence, first.balance) == (80, 2, 20)
    again = await claim(points, coupon, customer, request_id)
    assert (again.claim, again.replayed) == (first.claim, True)
    assert await points.balance(customer) == (20, 100)
    for name in ({"coupon_claim_id": first.claim.coupon_claim_id}, {"code": first.claim.code}):
        request = pb.GetCouponClaimRequest(team_id=str(points.team_id), **name)
        assert (await points.stub.GetCouponClaim(request, timeout=TIMEOUT_S)).claim == first.claim


@pytest.mark.rule("P-20a", "P-20b")
async def test_too_few_points_are_the_text_filled_in_and_nothing_else(points: Points) -> None:
    customer, request_id = new_id(), new_id()
    await points.post(build.manual(points.team_id, customer, 79))
    coupon = await create(points, mug(points))
    answer = await claim(points, coupon, customer, request_id)
    assert answer.WhichOneof("outcome") == "insufficient_text"
    assert answer.insufficient_text == "You have 79 points, the mug costs 80."
    await points.post(build.manual(points.team_id, customer, 1))
    again = await claim(points, coupon, customer, request_id)
    assert (again.insufficient_text, again.replayed) == (answer.insufficient_text, True)
    assert await points.balance(customer) == (80, 80)
    assert (await claim(points, coupon, customer)).balance == 0


@pytest.mark.rule("P-21")
async def test_redemptions_at_once_never_spend_the_same_points(points: Points) -> None:
    customer = new_id()
    await points.post(build.manual(points.team_id, customer, 250))
    coupons = [await create(points, mug(points)) for _ in range(4)]
    answers = await asyncio.gather(
        *(claim(points, coupon, customer) for coupon in coupons for _ in range(5)),
        *(points.post(build.manual(points.team_id, customer, -1)) for _ in range(5)),
    )
    claims = [
        each.claim
        for each in answers
        if isinstance(each, pb.ClaimCouponResponse) and each.claim.coupon_claim_id
    ]
    assert len(claims) == len({each.code for each in claims}) == 3
    assert (await points.balance(customer))[0] == 250 - 3 * 80 - 5


async def test_only_marketing_coupons_are_paid_with_points(points: Points) -> None:
    error = await refused(create(points, mug(points, type=coupon_pb2.COUPON_TYPE_SERVICE)))
    assert [fault.field for fault in error.violations] == ["coupon.points_redemption"]
    bad = coupon_pb2.PointsRedemption(cost=0, insufficient_text="{{customer.name}}, no")
    error = await refused(create(points, mug(points, name="", points_redemption=bad)))
    assert [fault.field for fault in error.violations] == [
        "coupon.name",
        "coupon.points_redemption.cost",
        "coupon.points_redemption.insufficient_text",
    ]


async def test_limits_hold_under_concurrency(points: Points) -> None:
    customers = [new_id() for _ in range(10)]
    free = mug(points, claims_max=7, claims_per_customer_max=1)
    free.ClearField("points_redemption")
    coupon = await create(points, free)
    answers = await asyncio.gather(
        *(claim(points, coupon, customer) for customer in customers * 2), return_exceptions=True
    )
    made = [each for each in answers if isinstance(each, pb.ClaimCouponResponse)]
    assert len(made) == len({each.claim.customer_id for each in made}) == 7
    causes = {
        remote_error(each).metadata["cause"] for each in answers if isinstance(each, grpc.aio.AioRpcError)
    }
    assert causes <= {"CUSTOMER_LIMIT", "CLAIM_LIMIT"}
    request = pb.GetCouponRequest(team_id=str(points.team_id), coupon_id=coupon.coupon_id)
    assert (await points.stub.GetCoupon(request, timeout=TIMEOUT_S)).coupon.claims == 7
    listed = pb.ListCouponClaimsRequest(team_id=str(points.team_id), coupon_id=coupon.coupon_id, page_size=5)
    first = await points.stub.ListCouponClaims(listed, timeout=TIMEOUT_S)
    listed.page_token = first.next_page_token
    second = await points.stub.ListCouponClaims(listed, timeout=TIMEOUT_S)
    assert len({each.coupon_claim_id for each in [*first.claims, *second.claims]}) == 7
    assert second.next_page_token == ""


async def test_a_coupon_is_claimed_within_its_time(points: Points) -> None:
    now, customer = points.clock.now(), new_id()
    coupon = mug(points)
    coupon.ClearField("points_redemption")
    coupon.start_time.FromDatetime(now + timedelta(hours=1))
    coupon.expire_time.FromDatetime(now + timedelta(hours=2))
    coupon = await create(points, coupon)
    for cause in ("NOT_STARTED", None, "EXPIRED"):
        if cause is None:
            assert (await claim(points, coupon, customer)).claim.expire_time == coupon.expire_time
        else:
            error = await refused(claim(points, coupon, customer))
            assert (error.reason, error.metadata) == ("COUPON_NOT_CLAIMABLE", {"cause": cause})
        points.clock.advance(timedelta(hours=1))


async def test_a_coupon_is_changed_and_archived(points: Points) -> None:
    coupon = await create(points, mug(points))
    change = pb.UpdateCouponRequest(
        team_id=coupon.team_id,
        request_id=str(new_id()),
        etag=coupon.etag,
        coupon=coupon_pb2.Coupon(coupon_id=coupon.coupon_id, name="Cup", claims_max=3),
    )
    change.update_mask.paths.extend(["name", "points_redemption"])
    changed = (await points.stub.UpdateCoupon(change, timeout=TIMEOUT_S)).coupon
    assert (changed.name, changed.HasField("points_redemption"), changed.claims_max) == ("Cup", False, 0)
    change.request_id = str(new_id())
    assert (await refused(points.stub.UpdateCoupon(change, timeout=TIMEOUT_S))).reason == "ETAG_MISMATCH"
    archive = pb.ArchiveCouponRequest(
        team_id=coupon.team_id, request_id=str(new_id()), coupon_id=coupon.coupon_id
    )
    assert (await points.stub.ArchiveCoupon(archive, timeout=TIMEOUT_S)).coupon.archived
    error = await refused(claim(points, coupon, new_id()))
    assert error.metadata == {"cause": "ARCHIVED"}
    everything = pb.ListCouponsRequest(team_id=coupon.team_id)
    assert not (await points.stub.ListCoupons(everything, timeout=TIMEOUT_S)).coupons
    everything.include_archived = True
    assert len((await points.stub.ListCoupons(everything, timeout=TIMEOUT_S)).coupons) == 1


async def test_an_update_without_a_mask_changes_what_is_set_and_clears_nothing(points: Points) -> None:
    coupon = await create(points, mug(points))
    change = pb.UpdateCouponRequest(
        team_id=coupon.team_id,
        request_id=str(new_id()),
        coupon=coupon_pb2.Coupon(coupon_id=coupon.coupon_id, etag="another", name="Cup"),
    )
    changed = (await points.stub.UpdateCoupon(change, timeout=TIMEOUT_S)).coupon
    assert (changed.name, changed.points_redemption) == ("Cup", coupon.points_redemption)
    change.request_id = str(new_id())
    change.update_mask.paths.append("points_redemption.cost")
    change.coupon.points_redemption.cost = 90
    changed = (await points.stub.UpdateCoupon(change, timeout=TIMEOUT_S)).coupon
    assert (changed.points_redemption.cost, changed.points_redemption.insufficient_text) == (90, TEXT)
    change.request_id = str(new_id())
    change.coupon.ClearField("points_redemption")
    error = await refused(points.stub.UpdateCoupon(change, timeout=TIMEOUT_S))
    assert [each.field for each in error.violations] == ["coupon.points_redemption.cost"], (
        "it is named and unset"
    )
    change.request_id = str(new_id())
    change.update_mask.paths.extend(["claims", "name.first"])
    error = await refused(points.stub.UpdateCoupon(change, timeout=TIMEOUT_S))
    assert {each.field for each in error.violations} == {"update_mask"}


async def test_coupons_are_claimed_on_the_channels_that_the_team_has_opened(
    neighboured: Neighboured, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Settings are read again at once, instead of within the seconds that they may be kept.
    monkeypatch.setattr("libs.common.clients.team_settings.KEPT_S", 0.0)
    points, customer = neighboured, new_id()
    await points.post(build.manual(points.team_id, customer, 1_000))
    coupon = await create(points, mug(points))

    whatsapp, line = channel_pb2.CHANNEL_WHATSAPP, channel_pb2.CHANNEL_LINE
    left = 1_000
    for opened in ((), (whatsapp, line), (line,)):
        if opened:
            await points.open_points(*opened)
        for channel in (whatsapp, line, channel_pb2.CHANNEL_UNSPECIFIED):
            if channel in (*(opened or (whatsapp,)), channel_pb2.CHANNEL_UNSPECIFIED):
                assert (await claim(points, coupon, customer, channel=channel)).claim.points_paid == 80
                left -= 80
            else:
                error = await refused(claim(points, coupon, customer, channel=channel))
                assert (error.reason, error.metadata) == ("COUPON_NOT_CLAIMABLE", {"cause": "CHANNEL_CLOSED"})
            assert await points.balance(customer) == (left, 1_000)


@pytest.mark.rule("P-20a")
@pytest.mark.parametrize("since", ["segment is away", "the channel was closed"])
async def test_a_claim_that_was_made_is_answered_again_whatever_has_become_of_its_channel(
    neighboured: Neighboured, monkeypatch: pytest.MonkeyPatch, since: str
) -> None:
    monkeypatch.setattr("libs.common.clients.team_settings.KEPT_S", 0.0)
    points, customer, whatsapp = neighboured, new_id(), channel_pb2.CHANNEL_WHATSAPP
    await points.post(build.manual(points.team_id, customer, 1_000))
    coupon = await create(points, mug(points))
    first = await claim(points, coupon, customer, "tap", channel=whatsapp)
    if since == "segment is away":

        async def away(*_: object) -> None:
            raise Unavailable.dependency("segment")

        monkeypatch.setattr(TeamSettingsClient, "of", away)
    else:
        await points.open_points(channel_pb2.CHANNEL_LINE)
    again = await claim(points, coupon, customer, "tap", channel=whatsapp)
    assert (again.claim, again.replayed) == (first.claim, True)
    another = await refused(claim(points, coupon, customer, "another", channel=whatsapp))
    reason = "DEPENDENCY_UNAVAILABLE" if since == "segment is away" else "COUPON_NOT_CLAIMABLE"
    assert another.reason == reason
    assert await points.balance(customer) == (920, 1_000)


async def use(points: Points, request_id: str = "", **named: str) -> pb.UseCouponClaimResponse:
    request = pb.UseCouponClaimRequest(
        team_id=str(points.team_id), request_id=request_id or str(new_id()), place="Shop 1", **named
    )
    return await points.stub.UseCouponClaim(request, timeout=TIMEOUT_S)


@pytest.mark.rule("P-20d")
async def test_a_claim_is_marked_used_in_the_shop_once(points: Points) -> None:
    customer = new_id()
    await points.post(build.manual(points.team_id, customer, 160))
    coupon = await create(points, mug(points))
    mine, other = [(await claim(points, coupon, customer)).claim for _ in range(2)]
    spoken = f"{mine.code[:4].lower()} {mine.code[4:]}"
    used = (await use(points, "at the till", code=spoken)).coupon_claim
    assert used.use_time.ToDatetime() == points.clock.now().replace(tzinfo=None)
    assert (await use(points, "at the till", code=spoken)).coupon_claim == used
    points.clock.advance(timedelta(hours=1))
    for named in ({"code": mine.code}, {"coupon_claim_id": mine.coupon_claim_id}):
        error = await refused(use(points, **named))
        assert error.reason == "COUPON_CLAIM_USED"
        assert error.metadata["use_time"] == used.use_time.ToJsonString().replace("Z", ".000Z")
    request = pb.ListCouponClaimsRequest(team_id=str(points.team_id), coupon_id=coupon.coupon_id)
    listed = (await points.stub.ListCouponClaims(request, timeout=TIMEOUT_S)).claims
    assert {each.coupon_claim_id: each.HasField("use_time") for each in listed} == {
        mine.coupon_claim_id: True,
        other.coupon_claim_id: False,
    }
    answers = await asyncio.gather(
        *(use(points, coupon_claim_id=other.coupon_claim_id) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, pb.UseCouponClaimResponse) for each in answers) == 1


async def test_what_cannot_be_used_is_told(points: Points) -> None:
    customer = new_id()
    await points.post(build.manual(points.team_id, customer, 80))
    ends = points.clock.now() + timedelta(days=1)
    coupon = await create(points, mug(points, expire_time=timestamp(ends)))
    mine = (await claim(points, coupon, customer)).claim
    assert (await refused(use(points))).reason == "INVALID_FIELDS"
    assert (await refused(use(points, code="NO SUCH CODE"))).reason == "RESOURCE_NOT_FOUND"
    free = await create(points, coupon_pb2.Coupon(name="Free", type=coupon_pb2.COUPON_TYPE_MARKETING))
    other = (await claim(points, free, customer)).claim
    error = await refused(use(points, coupon_claim_id=mine.coupon_claim_id, code=other.code))
    assert [each.field for each in error.violations] == ["code"], "which of the two is meant is not guessed"
    points.clock.set(ends)
    assert (await refused(use(points, code=mine.code))).reason == "COUPON_CLAIM_EXPIRED"


@pytest.mark.rule("P-20a")
async def test_one_offer_is_claimed_once_and_stays_open_with_too_few_points(points: Points) -> None:
    customer = new_id()
    await points.post(build.manual(points.team_id, customer, 20))
    coupon, offer = await create(points, mug(points)), str(new_id())
    short = await claim(points, coupon, customer, offer_id=offer)
    assert short.insufficient_text == "You have 20 points, the mug costs 80."
    await points.post(build.manual(points.team_id, customer, 200))
    answers = await asyncio.gather(*(claim(points, coupon, customer, offer_id=offer) for _ in range(5)))
    assert len({each.claim.coupon_claim_id for each in answers}) == 1
    assert {each.balance for each in answers} == {140}
    another = await claim(points, coupon, customer, offer_id=str(new_id()))
    assert (another.balance, another.claim.code != answers[0].claim.code) == (60, True)
    # The same offer of another coupon, or to somebody else, is another one.
    free = await create(
        points,
        coupon_pb2.Coupon(team_id=str(points.team_id), name="Cup", type=coupon_pb2.COUPON_TYPE_MARKETING),
    )
    assert (await claim(points, free, customer, offer_id=offer)).claim.points_paid == 0
