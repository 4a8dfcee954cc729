# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of coupons: a part of the servicer of points."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection
from libs.common.db.requests import answer_once
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.paging import page_key, page_size, page_token
from omnijourney.common.v1 import channel_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert import coupons as convert
from services.points.domain.coupons import filled_in
from services.points.domain.errors import coupon_not_claimable
from services.points.servicer.base import Base


class _PageKey(msgspec.Struct, frozen=True, array_like=True):
    created_at: datetime
    row_id: UUID


class CouponCalls(Base):
    """The RPCs of coupons in `protos/omnijourney/points/v1/points_service.proto`."""

    async def CreateCoupon(self, request: pb.CreateCouponRequest, context: Any) -> pb.CreateCouponResponse:
        """Creates a coupon."""
        team_id, terms = convert.terms(request.coupon, self._parts.clock.now())

        async def create(connection: Connection) -> pb.CreateCouponResponse:
            made = await self._parts.coupons.create(connection, team_id, terms)
            return pb.CreateCouponResponse(coupon=convert.coupon(made))

        return await answer_once(self._parts.pool, team_id, request, pb.CreateCouponResponse, create)

    async def GetCoupon(self, request: pb.GetCouponRequest, context: Any) -> pb.GetCouponResponse:
        """Reads a coupon."""
        ids = convert.team_and("coupon_id", request.team_id, request.coupon_id)
        return pb.GetCouponResponse(coupon=convert.coupon(await self._parts.coupons.read(*ids)))

    async def ListCoupons(self, request: pb.ListCouponsRequest, context: Any) -> pb.ListCouponsResponse:
        """A page of coupons."""
        team_id, _ = convert.team_and("team_id", request.team_id, request.team_id)
        asked = (request.team_id, request.include_archived)
        size = page_size(request.page_size)
        key = page_key(request.page_token, _PageKey, *asked)
        after = (key.created_at, key.row_id) if key else None
        found = await self._parts.coupons.list_coupons(
            team_id, archived=request.include_archived, after=after, limit=size + 1
        )
        page, token = found[:size], ""
        if len(found) > size:
            token = page_token(_PageKey(page[-1].created_at, page[-1].coupon_id), *asked)
        return pb.ListCouponsResponse(coupons=[convert.coupon(each) for each in page], next_page_token=token)

    async def UpdateCoupon(self, request: pb.UpdateCouponRequest, context: Any) -> pb.UpdateCouponResponse:
        """Changes a coupon's terms."""
        team_id, coupon_id = convert.team_and("coupon.id", request.coupon.team_id, request.coupon.id)

        async def update(connection: Connection) -> pb.UpdateCouponResponse:
            present = await self._parts.coupons.lock(connection, team_id, coupon_id, request.coupon.etag)
            terms = convert.changed_terms(present, request.coupon, request.update_mask.paths)
            if terms.claims_max and terms.claims_max < present.claims:
                violation = FieldViolation("coupon.claims_max", f"must be at least {present.claims}, or 0")
                raise InvalidArgument.of(violation)
            changed = await self._parts.coupons.change(connection, present, terms, archived=present.archived)
            return pb.UpdateCouponResponse(coupon=convert.coupon(changed))

        return await answer_once(self._parts.pool, team_id, request, pb.UpdateCouponResponse, update)

    async def ArchiveCoupon(self, request: pb.ArchiveCouponRequest, context: Any) -> pb.ArchiveCouponResponse:
        """Archives a coupon."""
        team_id, coupon_id = convert.team_and("coupon_id", request.team_id, request.coupon_id)

        async def archive(connection: Connection) -> pb.ArchiveCouponResponse:
            present = await self._parts.coupons.lock(connection, team_id, coupon_id)
            if not present.archived:
                present = await self._parts.coupons.change(connection, present, present.terms, archived=True)
            return pb.ArchiveCouponResponse(coupon=convert.coupon(present))

        return await answer_once(self._parts.pool, team_id, request, pb.ArchiveCouponResponse, archive)

    async def ClaimCoupon(self, request: pb.ClaimCouponRequest, context: Any) -> pb.ClaimCouponResponse:
        """Claims a coupon: deduction and claim, or the text for too few points."""
        wish = convert.claiming(request)
        is_open = await self._is_open(wish.team_id, request.channel)

        async def claim(connection: Connection) -> pb.ClaimCouponResponse:
            if not is_open:
                raise coupon_not_claimable("CHANNEL_CLOSED")
            claimed = await self._parts.coupons.claim(connection, wish)
            answer = pb.ClaimCouponResponse(balance=claimed.balance)
            if claimed.claim is not None:
                answer.claim.CopyFrom(convert.claim(claimed.claim))
            else:
                answer.insufficient_text = filled_in(claimed.insufficient_text, claimed.balance)
            fresh.append(answer)
            return answer

        fresh: list[pb.ClaimCouponResponse] = []
        answer = await answer_once(self._parts.pool, wish.team_id, request, pb.ClaimCouponResponse, claim)
        answer.replayed = not fresh
        self._parts.notifier.notify()
        return answer

    async def _is_open(self, team_id: UUID, on_channel: int) -> bool:
        """Whether coupons can be claimed on a channel (P-03). People and programs, which name none, always may."""
        if on_channel == channel_pb2.CHANNEL_UNSPECIFIED:
            return True
        return on_channel in await self._parts.settings.points_channels(team_id)

    async def GetCouponClaim(
        self, request: pb.GetCouponClaimRequest, context: Any
    ) -> pb.GetCouponClaimResponse:
        """Reads a claim."""
        if not request.claim_id and not request.code:
            raise InvalidArgument.of(FieldViolation("name", "a claim id or a code is required"))
        claim_id = None
        team_id, _ = convert.team_and("team_id", request.team_id, request.team_id)
        if request.claim_id:
            _, claim_id = convert.team_and("claim_id", request.team_id, request.claim_id)
        found = await self._parts.coupons.read_claim(team_id, claim_id=claim_id, code=request.code)
        return pb.GetCouponClaimResponse(claim=convert.claim(found))

    async def ListCouponClaims(
        self, request: pb.ListCouponClaimsRequest, context: Any
    ) -> pb.ListCouponClaimsResponse:
        """A page of claims."""
        search = convert.claim_search(request)
        asked = (request.team_id, request.coupon_id, request.customer_id)
        size = page_size(request.page_size)
        key = page_key(request.page_token, _PageKey, *asked)
        after = (key.created_at, key.row_id) if key else None
        found = await self._parts.coupons.list_claims(search, after, size + 1)
        page, token = found[:size], ""
        if len(found) > size:
            token = page_token(_PageKey(page[-1].created_at, page[-1].claim_id), *asked)
        return pb.ListCouponClaimsResponse(
            claims=[convert.claim(each) for each in page], next_page_token=token
        )
