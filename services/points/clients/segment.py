"""Segment, as points needs it: who customers are, and which of them changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

import grpc
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.errors import Unavailable
from libs.common.feeds.follower import RefusedByPeerError
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import FactRow
from libs.common.rpc.client import CALL_DEADLINE_S, fitting_calls, is_too_large
from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import (
    customers_service_pb2,
    customers_service_pb2_grpc,
    profile_pb2,
)
from omnijourney.segment.v1 import history_pb2 as facts_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from omnijourney.segment.v1 import segment_service_pb2_grpc as pb_grpc
from services.points.domain.customers import CustomerBasics
from services.points.domain.imports import Hints, Match
from services.points.domain.model import AccountKey

_BATCH_MAX: Final = 500
_KINDS: Final = (
    facts_pb2.FACT_KIND_CUSTOMER_CREATED,
    facts_pb2.FACT_KIND_CUSTOMER_CHANGED,
    facts_pb2.FACT_KIND_CUSTOMER_MERGED,
)
"""Facts after which a customer's basic data are read again."""
_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
    }
)
"""What segment answers where it fails for what it is asked about, and not for everybody."""
_BASICS: Final = (profile_pb2.PROFILE_PART_BASICS,)
_IDENTITIES: Final = (profile_pb2.PROFILE_PART_IDENTITIES,)


class CustomerProfiles(Protocol):
    """Customers' basic data."""

    async def profiles(self, customers: Sequence[AccountKey]) -> list[CustomerBasics]:
        """Customers as they are now, in order. Raises Unavailable, RefusedByPeerError."""
        ...


class CustomerFinder(Protocol):
    """Whom the lines of a list name."""

    async def find(self, team_id: UUID, hints: Sequence[Hints]) -> list[Match]:
        """One answer a line, in order. Raises Unavailable."""
        ...

    async def on_whatsapp(self, team_id: UUID, customers: Sequence[UUID]) -> dict[UUID, bool]:
        """Whether each customer is a WhatsApp contact; those that the team has not are missing. Raises Unavailable."""
        ...


class CustomerDirectory(Protocol):
    """Which customers there are."""

    async def known(self, customers: Sequence[AccountKey]) -> frozenset[AccountKey]:
        """Those that there are. Raises Unavailable."""
        ...


def customer_history(channel: grpc.aio.Channel) -> PackedHistory[FactRow]:
    """What happened to customers' basic data; `channel` to segment."""
    return PackedHistory("segment", channel, FactRow, kinds=_KINDS)


class SegmentClient:
    """Asks segment: `CustomerProfiles`, a `CustomerFinder` and a `CustomerDirectory`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to segment."""
        self._stub = pb_grpc.SegmentServiceStub(channel)
        self._customers = customers_service_pb2_grpc.CustomersServiceStub(channel)

    async def profiles(self, customers: Sequence[AccountKey]) -> list[CustomerBasics]:
        """See `CustomerProfiles`."""
        with _refusing():
            profiles = await self._profiles(customers, _BASICS)
        return [
            CustomerBasics(team, customer, each.name, each.member_id, each.email, each.phone, each.found)
            for (team, customer), each in zip(customers, profiles, strict=True)
        ]

    async def _profiles(
        self, customers: Sequence[tuple[UUID, UUID]], parts: Sequence[profile_pb2.ProfilePart.ValueType]
    ) -> list[profile_pb2.Profile]:
        async def ask(keys: Sequence[tuple[UUID, UUID]]) -> Sequence[profile_pb2.Profile]:
            items = [
                customers_service_pb2.CustomerRef(team_id=str(team), customer_id=str(customer))
                for team, customer in keys
            ]
            request = customers_service_pb2.BatchGetProfilesRequest(items=items, parts=parts)
            return (await self._customers.BatchGetProfiles(request, timeout=CALL_DEADLINE_S)).profiles

        return await fitting_calls(ask, customers, _BATCH_MAX)

    async def known(self, customers: Sequence[AccountKey]) -> frozenset[AccountKey]:
        """See `CustomerDirectory`."""
        with _asking():
            profiles = await self._profiles(customers, _BASICS)
        return frozenset(key for key, each in zip(customers, profiles, strict=True) if each.found)

    async def find(self, team_id: UUID, hints: Sequence[Hints]) -> list[Match]:
        """See `CustomerFinder`."""
        matches: list[Match] = []
        for part in _parts(hints):
            items = [
                pb.CustomerHints(member_id=each.member_id, email=each.email, phone=each.phone)
                for each in part
            ]
            request = pb.BatchFindCustomersRequest(team_id=str(team_id), items=items)
            response = await _asked(self._stub.BatchFindCustomers, request)
            matches += [
                Match(
                    customer_id=DriverUUID(found.customer_id) if found.customer_id else None,
                    ambiguous=found.ambiguous,
                    on_whatsapp=channel_pb2.CHANNEL_WHATSAPP in found.channels,
                )
                for found in response.found
            ]
        return matches

    async def on_whatsapp(self, team_id: UUID, customers: Sequence[UUID]) -> dict[UUID, bool]:
        """See `CustomerFinder`."""
        with _asking():
            profiles = await self._profiles([(team_id, each) for each in customers], _IDENTITIES)
        return {
            customer: any(each.key.channel == channel_pb2.CHANNEL_WHATSAPP for each in profile.identities)
            for customer, profile in zip(customers, profiles, strict=True)
            if profile.found
        }


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _BATCH_MAX] for start in range(0, len(items), _BATCH_MAX))


async def _asked(call: Any, request: Any, timeout_s: float = CALL_DEADLINE_S) -> Any:
    with _asking():
        return await call(request, timeout=timeout_s)


@contextlib.contextmanager
def _refusing() -> Iterator[None]:
    """As `_asking`, but what may be the fault of one of those asked about is RefusedByPeerError."""
    try:
        with _asking():
            yield
    except Unavailable as error:
        answer = error.__cause__
        too_large = isinstance(answer, grpc.aio.AioRpcError) and is_too_large(answer)
        if isinstance(answer, grpc.aio.AioRpcError) and (too_large or answer.code() in _REFUSALS):
            raise RefusedByPeerError(f"segment: {answer.code().name} {answer.details()}") from answer
        raise


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise Unavailable.dependency("segment") from error
