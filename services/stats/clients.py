"""The histories of the other services, all read alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID

import grpc

from libs.client import Client
from libs.common.rpc.client import CALL_DEADLINE_S
from libs.common.rpc.values import duration
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.segment.v1 import segment_service_pb2 as segment
from services.stats.domain.model import Source

PAGE_SIZE: Final = 2_000


class FeedUnavailable(Exception):
    """A service does not answer; it is asked again."""


class Page(NamedTuple):
    """Facts after the cursors, and the cursors after them."""

    facts: Sequence[Any]
    cursors: dict[int, int]


class Feed(Protocol):
    """The history of one service."""

    source: Source
    name: str

    async def read(self, cursors: Mapping[int, int], wait_s: float, page_size: int = PAGE_SIZE) -> Page:
        """The next page; an empty one after `wait_s` real seconds without news. Raises FeedUnavailable."""
        ...


class _GrpcFeed:
    """A feed of any of the four contracts: they differ in the name of the rows only."""

    def __init__(self, source: Source, name: str, call: Any, request: Any, rows: str) -> None:
        self.source = source
        self.name = name
        self._call = call
        self._request = request
        self._rows = rows

    async def read(self, cursors: Mapping[int, int], wait_s: float, page_size: int = PAGE_SIZE) -> Page:
        """See `Feed`."""
        request = self._request(
            cursors=[HistoryCursor(partition=p, after_position=at) for p, at in cursors.items()],
            page_size=page_size,
            wait=duration(timedelta(seconds=wait_s)),
        )
        try:
            response = await self._call(request, timeout=CALL_DEADLINE_S + wait_s)
        except grpc.aio.AioRpcError as error:
            raise FeedUnavailable(f"{error.code().name}: {error.details()}") from error
        following = {cursor.partition: cursor.after_position for cursor in response.next_cursors}
        return Page(getattr(response, self._rows), {**cursors, **following})


def feeds(client: Client) -> list[Feed]:
    """The four histories."""
    return [
        _GrpcFeed(Source.JOURNEY, "journey", client.journey.ListHistory, journey.ListHistoryRequest, "facts"),
        _GrpcFeed(
            Source.GATEWAY,
            "channel_gateway",
            client.channel_gateway.ListHistory,
            gateway.ListHistoryRequest,
            "facts",
        ),
        _GrpcFeed(Source.POINTS, "points", client.points.ListHistory, points.ListHistoryRequest, "entries"),
        _GrpcFeed(Source.SEGMENT, "segment", client.segment.ListHistory, segment.ListHistoryRequest, "facts"),
    ]


class TeamZones(Protocol):
    """Zones of teams."""

    async def zone(self, team_id: UUID) -> str:
        """IANA zone of a team. Raises FeedUnavailable."""
        ...


class SegmentZones:
    """Asks segment."""

    def __init__(self, client: Client) -> None:
        """`client` knows where segment is."""
        self._client = client

    async def zone(self, team_id: UUID) -> str:
        """See `TeamZones`."""
        request = segment.BatchGetTeamSettingsRequest(team_ids=[str(team_id)])
        try:
            response = await self._client.segment.BatchGetTeamSettings(request, timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise FeedUnavailable(f"{error.code().name}: {error.details()}") from error
        return response.settings[0].time_zone or "UTC"
