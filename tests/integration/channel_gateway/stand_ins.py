"""Small gRPC servers in the place of segment and points."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc

from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import (
    customers_service_pb2,
    customers_service_pb2_grpc,
    profile_pb2,
)
from omnijourney.points.v1 import account_pb2 as points_account_pb2
from omnijourney.points.v1 import coupon_pb2, points_service_pb2, points_service_pb2_grpc
from omnijourney.segment.v1 import (
    event_pb2,
    segment_service_pb2,
    segment_service_pb2_grpc,
    team_pb2,
)


class SegmentStandIn(
    segment_service_pb2_grpc.SegmentServiceServicer, customers_service_pb2_grpc.CustomersServiceServicer
):
    """Profiles as given; events are kept, and refused, or the call failed, when a test says so."""

    def __init__(self) -> None:
        self.profiles: dict[str, profile_pb2.Profile] = {}
        self.asked_customers = 0
        self.people: dict[str, str] = {}
        """Customers of who writes, by their ids on the channel."""
        self.points_channels = [channel_pb2.CHANNEL_WHATSAPP]
        self.modules: list[team_pb2.Module.ValueType] | None = None
        """None: the team is not known."""
        self.country_code = "TW"
        self.consent_words = team_pb2.ConsentWords()
        self.settings_away = False
        self.settings_refused = 0
        """Calls for them while they were away."""
        self.whole_keys: set[str] = set()
        self.batches: list[list[event_pb2.CustomerEvent]] = []
        self.away = False
        self.refuse_keys: set[str] = set()
        self.fail_keys: dict[str, grpc.StatusCode] = {}
        """Calls with one of these events fail with the code."""
        self.hold_keys: dict[str, asyncio.Event] = {}
        """Calls with one of these events wait for the event."""
        self.bytes_max = 0
        """Larger calls are refused; 0: none."""

    @property
    def events(self) -> list[event_pb2.CustomerEvent]:
        return [event for batch in self.batches for event in batch]

    async def BatchGetProfiles(  # noqa: N802 - the generated base names it
        self, request: customers_service_pb2.BatchGetProfilesRequest, context: Any
    ) -> customers_service_pb2.BatchGetProfilesResponse:
        nobody = profile_pb2.Profile()
        self.asked_customers += len(request.items)
        return customers_service_pb2.BatchGetProfilesResponse(
            profiles=[self.profiles.get(item.customer_id, nobody) for item in request.items]
        )

    async def BatchGetTeamSettings(  # noqa: N802 - the generated base names it
        self, request: customers_service_pb2.BatchGetTeamSettingsRequest, context: Any
    ) -> customers_service_pb2.BatchGetTeamSettingsResponse:
        if self.settings_away:
            self.settings_refused += 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        channels = self.points_channels
        settings = [
            team_pb2.TeamSettings(
                team_id=each,
                points_channels=channels,
                time_zone="" if self.modules is None else "UTC",
                modules=self.modules,
                country_code=self.country_code,
                consent_words=self.consent_words,
            )
            for each in request.team_ids
        ]
        return customers_service_pb2.BatchGetTeamSettingsResponse(settings=settings)

    async def ListRetentions(  # noqa: N802 - the generated base names it
        self, request: customers_service_pb2.ListRetentionsRequest, context: Any
    ) -> customers_service_pb2.ListRetentionsResponse:
        return customers_service_pb2.ListRetentionsResponse()

    async def RecordEvents(  # noqa: N802 - the generated base names it
        self, request: segment_service_pb2.RecordEventsRequest, context: Any
    ) -> segment_service_pb2.RecordEventsResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.whole_keys |= {event.event_key for event in request.events}
        for event in request.events:
            event.event_key = event.event_key.rpartition(":")[0]  # without the digest, as the shop named it
        if self.bytes_max and request.ByteSize() > self.bytes_max:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Received message larger than max")
        for event in request.events:
            if event.event_key in self.fail_keys:
                await context.abort(self.fail_keys[event.event_key], "spoilt")
            if event.event_key in self.hold_keys:
                await self.hold_keys[event.event_key].wait()
        self.batches.append(list(request.events))
        response = segment_service_pb2.RecordEventsResponse()
        for event in request.events:
            refused = event.event_key in self.refuse_keys
            response.results.add(
                customer_id=self.people.get(event.message_received.identity.external_id, ""),
                status=event_pb2.EVENT_STATUS_REFUSED if refused else event_pb2.EVENT_STATUS_ACCEPTED,
                message="no such thing" if refused else "",
            )
        return response


class PointsStandIn(points_service_pb2_grpc.PointsServiceServicer):
    """Balances and coupons as given, and how often balances were asked for."""

    def __init__(self) -> None:
        self.coupons: set[tuple[str, str]] = set()
        """By team and id."""
        self.away = False
        self.balances: dict[str, tuple[int, int]] = {}
        self.calls = 0
        self.claims: list[points_service_pb2.ClaimCouponRequest] = []
        self.codes: dict[str, str] = {}
        """By what offered the coupon; other claims get the text for too few points."""

    async def BatchGetBalances(  # noqa: N802 - the generated base names it
        self, request: points_service_pb2.BatchGetBalancesRequest, context: Any
    ) -> points_service_pb2.BatchGetBalancesResponse:
        self.calls += 1
        response = points_service_pb2.BatchGetBalancesResponse()
        for item in request.items:
            balance, cumulative = self.balances.get(item.customer_id, (0, 0))
            response.balances.append(points_account_pb2.Balance(balance=balance, cumulative=cumulative))
        return response

    async def ClaimCoupon(  # noqa: N802 - the generated base names it
        self, request: points_service_pb2.ClaimCouponRequest, context: Any
    ) -> points_service_pb2.ClaimCouponResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.claims.append(request)
        if request.offer_id in self.codes:
            claim = coupon_pb2.CouponClaim(code=self.codes[request.offer_id])
            return points_service_pb2.ClaimCouponResponse(claim=claim)
        return points_service_pb2.ClaimCouponResponse(insufficient_text="You have 20 points.")

    async def GetCoupon(  # noqa: N802 - the generated base names it
        self, request: points_service_pb2.GetCouponRequest, context: Any
    ) -> points_service_pb2.GetCouponResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        if (request.team_id, request.coupon_id) not in self.coupons:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such coupon")
        return points_service_pb2.GetCouponResponse()


@dataclass
class Neighbours:
    """Segment and points as stand-ins, at one address."""

    target: str
    segment: SegmentStandIn
    points: PointsStandIn
