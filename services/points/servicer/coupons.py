# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of coupons: a part of the servicer of points."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from libs.common.callers import caller
from libs.common.errors import DomainError, NotFound, Unavailable
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.servicing import ids_of, team_of
from omnijourney.common.v1 import channel_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from services.points.convert import coupons as convert
from services.points.domain.coupons import Claim, Coupon, Terms
from services.points.domain.errors import coupon_not_claimable
from services.points.servicer.base import Base


class _PageKey(msgspec.Struct, frozen=True, array_like=True):
    created_at: datetime
    row_id: UUID


class CouponCalls(Base):
    """The RPCs of coupons in `protos/omnijourney/points/v1/points_service.proto`."""

    async def CreateCoupon(self, request: pb.CreateCouponRequest, context: Any) -> pb.CreateCouponResponse:
        """Creates a coupon."""
        team_id, terms = convert.terms(request, self._deps.clock.now())

        def answer(coupon: Coupon) -> pb.CreateCouponResponse:
            return pb.CreateCouponResponse(coupon=convert.coupon(coupon))

        return await self._deps.coupons.create(request, team_id, terms, pb.CreateCouponResponse, answer)

    async def GetCoupon(self, request: pb.GetCouponRequest, context: Any) -> pb.GetCouponResponse:
        """Reads a coupon."""
        ids = ids_of(request.team_id, "coupon_id", request.coupon_id)
        return pb.GetCouponResponse(coupon=convert.coupon(await self._deps.coupon_store.read(*ids)))

    async def ListCoupons(self, request: pb.ListCouponsRequest, context: Any) -> pb.ListCouponsResponse:
        """A page of coupons."""
        team_id = team_of(request.team_id)
        asked = (request.team_id, request.include_archived)
        size = page_size(request.page_size)
        key = page_key(request.page_token, _PageKey, *asked)
        after = (key.created_at, key.row_id) if key else None
        found = await self._deps.coupon_store.list_coupons(
            team_id, archived=request.include_archived, after=after, limit=size + 1
        )
        page = page_of(found, size, lambda each: _PageKey(each.created_at, each.coupon_id), *asked)
        return pb.ListCouponsResponse(coupons=map(convert.coupon, page.rows), next_page_token=page.next_token)

    async def UpdateCoupon(self, request: pb.UpdateCouponRequest, context: Any) -> pb.UpdateCouponResponse:
        """Changes a coupon's terms."""
        key = ids_of(request.team_id, "coupon.coupon_id", request.coupon.coupon_id)

        def change(present: Coupon) -> Terms:
            return convert.changed_terms(present, request.coupon, request.update_mask.paths)

        def answer(coupon: Coupon) -> pb.UpdateCouponResponse:
            return pb.UpdateCouponResponse(coupon=convert.coupon(coupon))

        return await self._deps.coupons.update(
            request, key, request.etag, change, reply=pb.UpdateCouponResponse, answer=answer
        )

    async def ArchiveCoupon(self, request: pb.ArchiveCouponRequest, context: Any) -> pb.ArchiveCouponResponse:
        """Archives a coupon."""
        key = ids_of(request.team_id, "coupon_id", request.coupon_id)
        uses = await self._deps.journeys.before_it_goes(
            key[0], "the coupon", unless_used=request.unless_used, coupon_id=str(key[1])
        )

        def answer(coupon: Coupon) -> pb.ArchiveCouponResponse:
            return pb.ArchiveCouponResponse(coupon=convert.coupon(coupon), journeys=uses.messages)

        return await self._deps.coupons.archive(request, key, pb.ArchiveCouponResponse, answer, uses=uses)

    async def ClaimCoupon(self, request: pb.ClaimCouponRequest, context: Any) -> pb.ClaimCouponResponse:
        """Claims a coupon: deduction and claim, or the text for too few points."""
        # A channel claims for the customer who pressed its button.
        wanted = convert.claim_request(request, "" if caller().is_internal else caller().name)
        forbidden = await self._forbidden(wanted.team_id, wanted.customer_id, request.channel)
        response, fresh = await self._deps.coupons.claim(
            request, wanted, pb.ClaimCouponResponse, convert.claim_response, forbidden=forbidden
        )
        response.replayed = not fresh
        self._deps.notifier.notify()
        return response

    async def _forbidden(self, team_id: UUID, customer_id: UUID, on_channel: int) -> DomainError | None:
        """Why the customer can claim nothing there (P-03), or why nobody can say. People and programs name no channel,
        and always may."""
        try:
            await self._deps.customers.require(team_id, customer_id)
            if on_channel == channel_pb2.CHANNEL_UNSPECIFIED:
                return None
            is_open = on_channel in (await self._deps.settings.of(team_id)).points_channels
        except (NotFound, Unavailable) as error:
            return error
        return None if is_open else coupon_not_claimable("CHANNEL_CLOSED")

    async def GetCouponClaim(
        self, request: pb.GetCouponClaimRequest, context: Any
    ) -> pb.GetCouponClaimResponse:
        """Reads a claim."""
        team_id, claim_id, code = convert.named_claim(request)
        found = await self._deps.coupon_store.read_claim(team_id, claim_id=claim_id, code=code)
        return pb.GetCouponClaimResponse(claim=convert.claim(found))

    async def UseCouponClaim(
        self, request: pb.UseCouponClaimRequest, context: Any
    ) -> pb.UseCouponClaimResponse:
        """Marks a claim as used."""
        use = convert.coupon_use(request, caller().name)

        def answer(claim: Claim) -> pb.UseCouponClaimResponse:
            return pb.UseCouponClaimResponse(coupon_claim=convert.claim(claim))

        return await self._deps.coupons.use(request, use, pb.UseCouponClaimResponse, answer)

    async def ListCouponClaims(
        self, request: pb.ListCouponClaimsRequest, context: Any
    ) -> pb.ListCouponClaimsResponse:
        """A page of claims."""
        search = convert.claim_search(request)
        asked = (request.team_id, request.coupon_id, request.customer_id)
        size = page_size(request.page_size)
        key = page_key(request.page_token, _PageKey, *asked)
        after = (key.created_at, key.row_id) if key else None
        found = await self._deps.coupon_store.list_claims(search, after, size + 1)
        page = page_of(found, size, lambda each: _PageKey(each.created_at, each.claim_id), *asked)
        return pb.ListCouponClaimsResponse(
            claims=map(convert.claim, page.rows), next_page_token=page.next_token
        )
