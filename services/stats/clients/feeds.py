"""Whom stats asks: the histories of the other services, all read alike, and what their owners make of their
records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S, fitting_page
from libs.common.rpc.values import duration
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2_grpc as gateway_grpc
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import (
    customers_service_pb2,
    customers_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
)
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1 import journey_service_pb2_grpc as journey_grpc
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.points.v1 import points_service_pb2_grpc as points_grpc
from omnijourney.segment.v1 import history_pb2 as segment_facts
from services.stats.domain.check import LedgerFigures, RunFigures, SendFigures
from services.stats.domain.model import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_ROWS: Final = 2_000
"""Rows of one page: about 1 MB, counted in some 20 ms."""


class FeedUnavailable(Exception):
    """A service does not answer; it is asked again."""


class Page(NamedTuple):
    """Rows after the cursors, of the source's own contract, and the cursors after them."""

    rows: Sequence[Any]
    cursors: dict[int, int]


class Feed(Protocol):
    """The history of one service."""

    source: Source
    name: str
    """Of the service."""

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int = PAGE_ROWS) -> Page:
        """The next page; an empty one after `wait_s` real seconds without news. Raises FeedUnavailable."""
        ...


class TeamZones(Protocol):
    """Zones of teams."""

    async def zone(self, team_id: UUID) -> str:
        """IANA zone of a team, UTC for one that is not known. Raises Unavailable."""
        ...


class Records(Protocol):
    """What the owners of the records say. Every call raises Unavailable."""

    async def ledger(self, team_id: UUID) -> LedgerFigures:
        """Sums of a team's ledger."""
        ...

    async def sends(self, team_id: UUID) -> dict[int, SendFigures]:
        """A team's sends by channel."""
        ...

    async def runs(self, team_id: UUID, journey_id: UUID) -> RunFigures:
        """A journey's enrolments."""
        ...


class Peers(NamedTuple):
    """A channel to each service."""

    journey: grpc.aio.Channel
    points: grpc.aio.Channel
    channel_gateway: grpc.aio.Channel
    segment: grpc.aio.Channel


class _GrpcFeed:
    """A feed of any of the four services: they differ in the list that holds their rows only."""

    def __init__(self, source: Source, name: str, channel: grpc.aio.Channel, request: Any, rows: str) -> None:
        self.source = source
        self.name = name
        self._call = history_service_pb2_grpc.HistoryServiceStub(channel).ListHistory
        self._request = request
        self._rows = rows

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int = PAGE_ROWS) -> Page:
        """See `Feed`."""
        request = self._request(
            cursors=[HistoryCursor(partition=p, after_position=at) for p, at in cursors.items()],
            wait=duration(timedelta(seconds=wait_s)),
        )

        async def read(rows: int) -> Any:
            request.page_size = rows
            return await self._call(request, timeout=CALL_DEADLINE_S + wait_s)

        try:
            response = await fitting_page(read, rows_max)
        except grpc.aio.AioRpcError as error:
            raise FeedUnavailable(f"{error.code().name}: {error.details()}") from error
        following = {cursor.partition: cursor.after_position for cursor in response.next_cursors}
        return Page(getattr(response, self._rows), {**cursors, **following})


_segment_request = partial(
    history_service_pb2.ListHistoryRequest,
    kinds=(
        segment_facts.FACT_KIND_CHECKOUT_COMPLETED,
        segment_facts.FACT_KIND_ORDER_STORED,
        segment_facts.FACT_KIND_ORDER_REFUNDED,
        segment_facts.FACT_KIND_REFUND_STORED,
    ),
)
"""Only what is counted."""


def feeds(peers: Peers) -> list[Feed]:
    """The four histories."""
    asked = history_service_pb2.ListHistoryRequest
    return [
        _GrpcFeed(Source.JOURNEY, "journey", peers.journey, asked, "journey_facts"),
        _GrpcFeed(Source.GATEWAY, "channel_gateway", peers.channel_gateway, asked, "gateway_facts"),
        _GrpcFeed(Source.POINTS, "points", peers.points, asked, "entries"),
        _GrpcFeed(Source.SEGMENT, "segment", peers.segment, _segment_request, "customer_facts"),
    ]


class SegmentZones:
    """Asks segment."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to segment."""
        self._stub = customers_service_pb2_grpc.CustomersServiceStub(channel)

    async def zone(self, team_id: UUID) -> str:
        """See `TeamZones`."""
        request = customers_service_pb2.BatchGetTeamSettingsRequest(team_ids=[str(team_id)])
        with _asking("segment"):
            response = await _call(self._stub.BatchGetTeamSettings, request)
        return response.settings[0].time_zone or "UTC"


class GrpcRecords:
    """Asks points, the gateway and journey."""

    def __init__(self, peers: Peers) -> None:
        """Channels to all of them."""
        self._runs = journey_grpc.JourneyServiceStub(peers.journey)
        self._sends = gateway_grpc.ChannelGatewayServiceStub(peers.channel_gateway)
        self._ledger = points_grpc.PointsServiceStub(peers.points)

    async def ledger(self, team_id: UUID) -> LedgerFigures:
        """See `Records`."""
        with _asking("points"):
            request = points.GetLedgerSummaryRequest(team_id=str(team_id))
            told = (await _call(self._ledger.GetLedgerSummary, request)).summary
        return LedgerFigures(*(getattr(told, name) for name in LedgerFigures._fields))

    async def sends(self, team_id: UUID) -> dict[int, SendFigures]:
        """See `Records`."""
        with _asking("channel_gateway"):
            request = gateway.GetSendFiguresRequest(team_id=str(team_id))
            told = await _call(self._sends.GetSendFigures, request)
        return {
            each.channel: SendFigures(
                each.messages_sent, each.sends_failed, each.sends_skipped, each.sends_unknown
            )
            for each in told.figures
        }

    async def runs(self, team_id: UUID, journey_id: UUID) -> RunFigures:
        """See `Records`."""
        with _asking("journey"):
            request = journey.CountEnrolmentsRequest(team_id=str(team_id), journey_id=str(journey_id))
            told = await _call(self._runs.CountEnrolments, request)
        return RunFigures(told.live_count, told.completed_count, told.halted_count, told.parked_count)


async def _call(call: Any, request: Any) -> Any:
    return await call(request, timeout=CALL_DEADLINE_S)


@contextmanager
def _asking(service: str) -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise Unavailable.dependency(service) from error
