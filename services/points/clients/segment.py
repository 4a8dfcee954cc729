"""Segment, as points needs it: who customers are, which of them changed, and the zones of teams."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

import grpc
import msgspec
from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

from libs.common.errors import NotFound, Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, fitting_page
from libs.common.rpc.values import duration
from omnijourney.common.v1 import channel_pb2, history_pb2
from omnijourney.internal.v1 import (
    customers_service_pb2,
    customers_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
    profile_pb2,
)
from omnijourney.segment.v1 import history_pb2 as facts_pb2
from omnijourney.segment.v1 import segment_service_pb2 as pb
from omnijourney.segment.v1 import segment_service_pb2_grpc as pb_grpc
from omnijourney.segment.v1 import team_pb2
from services.points.domain.customers import CustomerBasics
from services.points.domain.imports import Hints, Match
from services.points.domain.model import AccountKey

PAGE_ROWS: Final = 2_000
"""Facts of one page of segment's history."""
_BATCH_MAX: Final = 500
_BASICS_CHANGED: Final = frozenset({"customer_created", "customer_changed", "customer_merged"})
"""Facts after which a customer's basic data are read again."""
_KINDS: Final = tuple(
    facts_pb2.FactKind.Value(f"FACT_KIND_{name.upper()}") for name in sorted(_BASICS_CHANGED)
)
_BASICS: Final = (profile_pb2.PROFILE_PART_BASICS,)
_IDENTITIES: Final = (profile_pb2.PROFILE_PART_IDENTITIES,)


class Changes(msgspec.Struct, frozen=True):
    """Customers whose basic data may have changed, and the cursors after them."""

    customers: list[AccountKey]
    cursors: dict[int, int]


class CustomerFeed(Protocol):
    """Who changed, and how they are now. Every call raises Unavailable."""

    async def changes(self, cursors: Mapping[int, int], wait_s: float) -> Changes:
        """The next page of the history; after `wait_s` real seconds without news, nothing and the same cursors."""
        ...

    async def profiles(self, customers: Sequence[AccountKey]) -> list[CustomerBasics]:
        """Customers as they are now, in order."""
        ...


class CustomerFinder(Protocol):
    """Whom the lines of a list name."""

    async def find(self, team_id: UUID, hints: Sequence[Hints]) -> list[Match]:
        """One answer a line, in order. Raises Unavailable."""
        ...

    async def on_whatsapp(self, team_id: UUID, customers: Sequence[UUID]) -> dict[UUID, bool]:
        """Whether each customer is a WhatsApp contact; those that the team has not are missing. Raises Unavailable."""
        ...


class TeamSettings(Protocol):
    """What points goes by of a team's settings."""

    async def zone(self, team_id: UUID) -> ZoneInfo:
        """The team's zone. Raises NotFound for an unknown team, Unavailable."""
        ...

    async def points_channels(self, team_id: UUID) -> Collection[int]:
        """Channels on which coupons are open. Raises NotFound for an unknown team, Unavailable."""
        ...


class SegmentClient:
    """Asks segment: a `CustomerFeed`, a `CustomerFinder` and `TeamSettings`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to segment."""
        self._stub = pb_grpc.SegmentServiceStub(channel)
        self._customers = customers_service_pb2_grpc.CustomersServiceStub(channel)
        self._history = history_service_pb2_grpc.HistoryServiceStub(channel)

    async def changes(self, cursors: Mapping[int, int], wait_s: float) -> Changes:
        """See `CustomerFeed`."""
        request = history_service_pb2.ListHistoryRequest(
            cursors=[history_pb2.HistoryCursor(partition=p, after_position=at) for p, at in cursors.items()],
            wait=duration(timedelta(seconds=wait_s)),
            kinds=_KINDS,
        )

        async def read(rows: int) -> Any:
            request.page_size = rows
            return await self._history.ListHistory(request, timeout=CALL_DEADLINE_S + wait_s)

        with _asking():
            response = await fitting_page(read, PAGE_ROWS)
        following = {cursor.partition: cursor.after_position for cursor in response.next_cursors}
        changed = {
            (fact.team_id, fact.customer_id)
            for fact in response.customer_facts
            if fact.WhichOneof("fact") in _BASICS_CHANGED
        }
        return Changes(
            [AccountKey((DriverUUID(team), DriverUUID(customer))) for team, customer in sorted(changed)],
            {**cursors, **following},
        )

    async def profiles(self, customers: Sequence[AccountKey]) -> list[CustomerBasics]:
        """See `CustomerFeed`."""
        basics: list[CustomerBasics] = []
        for part in _parts(customers):
            items = [
                customers_service_pb2.CustomerRef(team_id=str(team), customer_id=str(customer))
                for team, customer in part
            ]
            response = await _asked(
                self._customers.BatchGetProfiles,
                customers_service_pb2.BatchGetProfilesRequest(items=items, parts=_BASICS),
            )
            basics += [
                CustomerBasics(team, customer, each.name, each.member_id, each.email, each.phone, each.found)
                for (team, customer), each in zip(part, response.profiles, strict=True)
            ]
        return basics

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
        answers: dict[UUID, bool] = {}
        for part in _parts(customers):
            items = [
                customers_service_pb2.CustomerRef(team_id=str(team_id), customer_id=str(each))
                for each in part
            ]
            response = await _asked(
                self._customers.BatchGetProfiles,
                customers_service_pb2.BatchGetProfilesRequest(items=items, parts=_IDENTITIES),
            )
            for customer, profile in zip(part, response.profiles, strict=True):
                if profile.found:
                    channels = {identity.key.channel for identity in profile.identities}
                    answers[customer] = channel_pb2.CHANNEL_WHATSAPP in channels
        return answers

    async def zone(self, team_id: UUID) -> ZoneInfo:
        """See `TeamSettings`."""
        return ZoneInfo((await self._settings(team_id)).time_zone)

    async def points_channels(self, team_id: UUID) -> Collection[int]:
        """See `TeamSettings`."""
        return (await self._settings(team_id)).points_channels

    async def _settings(self, team_id: UUID) -> team_pb2.TeamSettings:
        request = customers_service_pb2.BatchGetTeamSettingsRequest(team_ids=[str(team_id)])
        response: customers_service_pb2.BatchGetTeamSettingsResponse = await _asked(
            self._customers.BatchGetTeamSettings, request
        )
        (settings,) = response.settings
        if not settings.time_zone:
            raise NotFound.of("team", team_id)
        return settings


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + _BATCH_MAX] for start in range(0, len(items), _BATCH_MAX))


async def _asked(call: Any, request: Any, timeout_s: float = CALL_DEADLINE_S) -> Any:
    with _asking():
        return await call(request, timeout=timeout_s)


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise Unavailable.dependency("segment") from error
