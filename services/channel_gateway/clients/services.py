"""What the gateway asks of other services, each behind a Protocol named by need."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import grpc
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.clients.team_settings import TeamSettings, TeamSettingsClient
from libs.common.consent_words import ConsentWords
from libs.common.errors import Unavailable
from libs.common.ids import CustomerKey
from libs.common.rpc.client import (
    CALL_DEADLINE_S,
    fitting_calls,
    is_busy,
    is_passing,
    is_too_large,
    retrying,
)
from libs.common.rpc.errors import remote_error
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.internal.v1 import customers_service_pb2, customers_service_pb2_grpc, profile_pb2
from omnijourney.points.v1 import account_pb2, points_service_pb2, points_service_pb2_grpc
from omnijourney.segment.v1 import event_pb2, segment_service_pb2, segment_service_pb2_grpc, team_pb2
from services.channel_gateway.domain.model import Balance, Channel, Identity, Profile

_PARTS: Final = (
    profile_pb2.PROFILE_PART_BASICS,
    profile_pb2.PROFILE_PART_ATTRIBUTES,
    profile_pb2.PROFILE_PART_IDENTITIES,
)
"""Of a profile, for a message: whom it goes to and what fills it."""
_REASON_PREFIX: Final = "ERROR_REASON_"


class ProfilesUnreadableError(Exception):
    """Segment fails for one of the customers asked about, or one alone fits into no message.

    Whoever asked for sends to them gets INTERNAL, asks for fewer at once, and so finds the one.
    """


class RefusalKind(Enum):
    """How a batch of events was refused."""

    REFUSED = "refused"
    """By what it says: the same again would be refused again."""
    TOO_LARGE = "too_large"
    """By its size."""
    FAILED = "failed"
    """With a fault of segment's own, which these events may bring about or not."""
    SLOW = "slow"
    """It was not done in time."""
    COLLIDED = "collided"
    """Other writers stood in its way each time that segment tried."""


_FAULTS: Final = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
_AWAY: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        # What is wrong here is wrong with this process, or with segment's release: no event can help it.
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
_KINDS: Final = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: RefusalKind.TOO_LARGE,
    grpc.StatusCode.INTERNAL: RefusalKind.FAILED,
    grpc.StatusCode.UNKNOWN: RefusalKind.FAILED,
    grpc.StatusCode.DATA_LOSS: RefusalKind.FAILED,
    grpc.StatusCode.ABORTED: RefusalKind.FAILED,
    grpc.StatusCode.DEADLINE_EXCEEDED: RefusalKind.SLOW,
}
"""Every other code is REFUSED."""
_NAMES: Final = {
    RefusalKind.TOO_LARGE: "MESSAGE_TOO_LARGE",
    RefusalKind.FAILED: "INTERNAL",
    RefusalKind.SLOW: "DEADLINE_EXCEEDED",
}
"""Reasons of what gRPC itself refuses."""
WRITE_CONFLICT: Final = "WRITE_CONFLICT"
_FAILED_ALONE: Final[Mapping[int, RefusalKind]] = {
    error_reason_pb2.ERROR_REASON_INTERNAL: RefusalKind.FAILED,
    error_reason_pb2.ERROR_REASON_WRITE_CONFLICT: RefusalKind.COLLIDED,
}
"""Results of events that say nothing of the event itself."""
_COUNTRY_WAIT_S: Final = 1.0
"""A sender waits for the answer: after so long what was known last is taken."""
ASKED_MAX: Final = 500
"""Customers asked about in one call; fewer where what is said of them is too large for a message."""
EVENTS_MAX: Final = 500
"""Events of one call to segment."""
CALL_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of events in one call to segment: a quarter of what a message may hold."""


class CustomerProfiles(Protocol):
    """Who customers are and how they are reached."""

    async def profiles(self, keys: Iterable[CustomerKey]) -> Mapping[CustomerKey, Profile]:
        """Profiles of customers; unknown ones are absent. Raises Unavailable, ProfilesUnreadableError."""
        ...


class PointBalances(Protocol):
    """What points customers have."""

    async def balances(self, keys: Iterable[CustomerKey]) -> Mapping[CustomerKey, Balance]:
        """Balances of customers; unknown ones are absent. Raises Unavailable."""
        ...


class TeamCoupons(Protocol):
    """Which coupons teams have."""

    async def known_coupons(self, team_id: UUID, coupon_ids: Collection[str]) -> Mapping[str, bool]:
        """Those of some coupons that the team has, true for archived ones, in CALL_DEADLINE_S. Raises Unavailable."""
        ...


class PointsChannels(Protocol):
    """Where teams have opened coupons and points variables."""

    async def points_channels(self, team_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        """Channels of up to 500 teams, of each one, none without the module POINTS; seconds old at most. Raises
        Unavailable."""
        ...


class OpenPoints(Protocol):
    """Where a team has opened coupons and points variables, as people are told it."""

    async def closed_to_points(self, team_id: UUID) -> Collection[Channel]:
        """Where it has not; nowhere while segment does not answer."""
        ...


class Recorded(NamedTuple):
    """What became of an event: `reason` is empty unless it was refused, `customer_id` where it is about nobody."""

    duplicate: bool
    reason: str
    customer_id: str = ""


class EventsRefusedError(Exception):
    """The whole batch is refused; one of its events may make it so."""

    def __init__(self, kind: RefusalKind, reason: str) -> None:
        """`reason` as it is kept: `REASON: message`."""
        super().__init__(reason)
        self.kind = kind


class EventRecorder(Protocol):
    """Takes what happened to customers."""

    async def record(self, events: Sequence[event_pb2.CustomerEvent], deadline_s: float) -> list[Recorded]:
        """Records up to 500 events, in order. Raises Unavailable, or EventsRefusedError; some may be recorded then."""
        ...


class SegmentClient:
    """The segment service as profiles, as settings of teams and as recorder."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """A channel to it."""
        self._stub = segment_service_pb2_grpc.SegmentServiceStub(channel)
        self._customers = customers_service_pb2_grpc.CustomersServiceStub(channel)
        self._settings = TeamSettingsClient(channel)

    async def points_channels(self, team_ids: Collection[UUID]) -> Mapping[UUID, Collection[int]]:
        """See `PointsChannels`."""
        settings = await self._settings.of_all(team_ids)
        return {team_id: _open_to_points(settings[team_id]) for team_id in team_ids}

    async def closed_to_points(self, team_id: UUID) -> Collection[Channel]:
        """See `OpenPoints`."""
        try:
            settings = await self._settings.of_or_last(team_id, _COUNTRY_WAIT_S)
        except Unavailable:
            return ()
        return set(Channel).difference(_open_to_points(settings))

    async def country(self, team_id: UUID) -> str:
        """The country in whose form a team's phone numbers are read; empty for none. Raises Unavailable."""
        return (await self._settings.of_or_last(team_id, _COUNTRY_WAIT_S)).country

    async def consent_words(self, team_id: UUID) -> ConsentWords:
        """By which words people say whether they want a team's messages. Raises Unavailable."""
        return (await self._settings.of_or_last(team_id, _COUNTRY_WAIT_S)).consent_words

    async def profiles(self, keys: Iterable[CustomerKey]) -> Mapping[CustomerKey, Profile]:
        """See `CustomerProfiles`."""
        asked = list(keys)
        try:
            profiles = await fitting_calls(self._profiles, asked, ASKED_MAX)
        except grpc.aio.AioRpcError as error:
            if is_too_large(error) or error.code() in _FAULTS:
                raise ProfilesUnreadableError(f"{error.code().name}: {error.details()}") from error
            raise Unavailable.dependency("segment") from error
        return {
            key: _profile_of(profile) for key, profile in zip(asked, profiles, strict=True) if profile.found
        }

    async def _profiles(self, keys: Sequence[CustomerKey]) -> Sequence[profile_pb2.Profile]:
        request = customers_service_pb2.BatchGetProfilesRequest(parts=_PARTS)
        for team_id, customer_id in keys:
            request.items.add(team_id=str(team_id), customer_id=str(customer_id))
        reply = await retrying(lambda: self._customers.BatchGetProfiles(request, timeout=CALL_DEADLINE_S))
        return reply.profiles

    async def record(
        self, events: Sequence[event_pb2.CustomerEvent], deadline_s: float = CALL_DEADLINE_S
    ) -> list[Recorded]:
        """See `EventRecorder`. Events that are large together go in several calls, in order."""
        return [result for call in _calls(events) for result in await self._record(call, deadline_s)]

    async def _record(self, events: Sequence[event_pb2.CustomerEvent], deadline_s: float) -> list[Recorded]:
        request = segment_service_pb2.RecordEventsRequest(events=events)
        try:
            reply = await self._stub.RecordEvents(request, timeout=deadline_s)
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from error
        if len(reply.results) != len(events):
            message = f"INTERNAL: {len(reply.results)} results for {len(events)} events"
            raise EventsRefusedError(RefusalKind.FAILED, message)
        return _read_results(reply.results)


class PointsClient:
    """The points service as balances and as coupons."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """A channel to it."""
        self._stub = points_service_pb2_grpc.PointsServiceStub(channel)

    async def balances(self, keys: Iterable[CustomerKey]) -> Mapping[CustomerKey, Balance]:
        """See `PointBalances`."""
        asked = list(keys)
        try:
            balances = await fitting_calls(self._balances, asked, ASKED_MAX)
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("points") from error
        return {
            key: Balance(item.balance, item.cumulative) for key, item in zip(asked, balances, strict=True)
        }

    async def _balances(self, keys: Sequence[CustomerKey]) -> Sequence[account_pb2.Balance]:
        request = points_service_pb2.BatchGetBalancesRequest()
        for team_id, customer_id in keys:
            request.items.add(team_id=str(team_id), customer_id=str(customer_id))
        reply = await retrying(lambda: self._stub.BatchGetBalances(request, timeout=CALL_DEADLINE_S))
        return reply.balances

    async def known_coupons(self, team_id: UUID, coupon_ids: Collection[str]) -> Mapping[str, bool]:
        """See `TeamCoupons`. One after the other: a module has few."""
        known: dict[str, bool] = {}
        try:
            async with asyncio.timeout(CALL_DEADLINE_S):
                for coupon_id in coupon_ids:
                    if (archived := await self._is_archived(team_id, coupon_id)) is not None:
                        known[coupon_id] = archived
        except (grpc.aio.AioRpcError, TimeoutError) as error:
            raise Unavailable.dependency("points") from error
        return known

    async def _is_archived(self, team_id: UUID, coupon_id: str) -> bool | None:
        """None for a coupon that the team has not."""
        request = points_service_pb2.GetCouponRequest(team_id=str(team_id), coupon_id=coupon_id)
        try:
            answer = await retrying(lambda: self._stub.GetCoupon(request, timeout=CALL_DEADLINE_S))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return None
            raise
        return bool(answer.coupon.archived)


def _open_to_points(settings: TeamSettings) -> Collection[int]:
    return settings.points_channels if settings.has(team_pb2.MODULE_POINTS) else ()


def _profile_of(profile: profile_pb2.Profile) -> Profile:
    return Profile(
        profile.name,
        dict(profile.attributes),
        tuple(
            Identity(
                identity.key.channel,
                DriverUUID(identity.key.account_id) if identity.key.account_id else None,
                identity.key.external_id,
                identity.blocked,
            )
            for identity in profile.identities
        ),
    )


def _calls(events: Sequence[event_pb2.CustomerEvent]) -> Iterator[list[event_pb2.CustomerEvent]]:
    """The events in order, in calls of at most EVENTS_MAX and CALL_BYTES_MAX; one that is larger alone is a call of its
    own."""
    call: list[event_pb2.CustomerEvent] = []
    size = 0
    for event in events:
        event_size = event.ByteSize()
        if call and (size + event_size > CALL_BYTES_MAX or len(call) == EVENTS_MAX):
            yield call
            call, size = [], 0
        call.append(event)
        size += event_size
    if call:
        yield call


def _failure(error: grpc.aio.AioRpcError) -> Exception:
    """Whether segment is away, or refuses what was sent."""
    code, answer = error.code(), remote_error(error)
    if answer.reason == WRITE_CONFLICT:  # of what was sent: segment itself is there, and takes others
        return EventsRefusedError(RefusalKind.COLLIDED, f"{answer.reason}: {answer.message}")
    # A call that is to come again later is passing, however it is said; so is a server that has too many calls.
    if code in _AWAY or is_passing(error) or answer.retry_after_s is not None or is_busy(error):
        return Unavailable.dependency("segment")
    kind = _KINDS.get(code, RefusalKind.REFUSED)
    reason = answer.reason or _NAMES.get(kind) or code.name
    return EventsRefusedError(kind, f"{reason}: {answer.message}")


def _read_results(results: Iterable[event_pb2.EventResult]) -> list[Recorded]:
    """Raises EventsRefusedError where one could not be stored beside others that were: it is found, and tried alone."""
    read: list[Recorded] = []
    for result in results:
        recorded = _recorded(result)
        if kind := _FAILED_ALONE.get(result.reason):
            raise EventsRefusedError(kind, recorded.reason)
        read.append(recorded)
    return read


def _recorded(result: event_pb2.EventResult) -> Recorded:
    if result.status == event_pb2.EVENT_STATUS_REFUSED:
        name = error_reason_pb2.ErrorReason.Name(result.reason).removeprefix(_REASON_PREFIX)
        return Recorded(False, f"{name}: {result.message}" if result.message else name)
    return Recorded(result.status == event_pb2.EVENT_STATUS_DUPLICATE, "", result.customer_id)
