"""Claiming coupons at the points service."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, is_busy, is_passing
from libs.common.rpc.errors import remote_error
from omnijourney.points.v1 import points_service_pb2, points_service_pb2_grpc
from services.channel_gateway.domain.coupon_presses import CouponPress


class ClaimRefusedError(Exception):
    """The coupon cannot be claimed; the text is the reason, for people."""


class CouponClaims(Protocol):
    """Claims coupons."""

    async def claim(self, team_id: UUID, press: CouponPress) -> str:
        """What the customer is told: the code, the same for the same offer, or the text for too few points. Raises
        ClaimRefusedError, Unavailable."""
        ...


class ClaimsClient:
    """See `CouponClaims`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """A channel to the points service."""
        self._stub = points_service_pb2_grpc.PointsServiceStub(channel)

    async def claim(self, team_id: UUID, press: CouponPress) -> str:
        """See `CouponClaims`."""
        request = points_service_pb2.ClaimCouponRequest(
            team_id=str(team_id),
            request_id=f"press:{press.press_id}",
            coupon_id=str(press.coupon_id),
            customer_id=str(press.customer_id),
            channel=press.channel,  # type: ignore[arg-type]  # the enums have the same numbers
            offer_id=str(press.offer_id),
        )
        try:
            answer = await self._stub.ClaimCoupon(request, timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error
        return answer.claim.code or answer.insufficient_text


_REFUSALS = frozenset({grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION})


def _failure(error: grpc.aio.AioRpcError) -> Exception:
    if error.code() in _REFUSALS and not (is_passing(error) or is_busy(error)):
        answer = remote_error(error)
        cause = answer.metadata.get("cause", "")
        return ClaimRefusedError(f"{answer.reason} {cause}".strip())
    return Unavailable.dependency("points")
