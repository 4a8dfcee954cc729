"""What the owners of the records make of them, to compare counters with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2_grpc as gateway_grpc
from omnijourney.channel_gateway.v1 import quota_pb2
from omnijourney.internal.v1 import customers_service_pb2 as customers
from omnijourney.internal.v1 import customers_service_pb2_grpc as customers_grpc
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1 import journey_service_pb2_grpc as journey_grpc
from omnijourney.points.v1 import points_service_pb2 as points
from omnijourney.points.v1 import points_service_pb2_grpc as points_grpc
from services.stats.clients.histories import Peers
from services.stats.domain.check import Costs, LedgerFigures, OrderFigures, RunFigures, SendFigures


class Records(Protocol):
    """What the owners of the records say. Every call raises Unavailable."""

    async def ledger(self, team_id: UUID) -> LedgerFigures:
        """Sums of a team's ledger."""
        ...

    async def sends(self, team_id: UUID) -> tuple[dict[int, SendFigures], Costs]:
        """A team's sends by channel, and what they cost."""
        ...

    async def orders(self, team_id: UUID) -> OrderFigures:
        """A team's orders and refunds."""
        ...

    async def runs(self, team_id: UUID, journey_id: UUID) -> RunFigures:
        """A journey's enrolments."""
        ...


class GrpcRecords:
    """Asks points, the gateway, segment and journey."""

    def __init__(self, peers: Peers) -> None:
        """Channels to all of them."""
        self._runs = journey_grpc.JourneyServiceStub(peers.journey)
        self._sends = gateway_grpc.ChannelGatewayServiceStub(peers.channel_gateway)
        self._ledger = points_grpc.PointsServiceStub(peers.points)
        self._orders = customers_grpc.CustomersServiceStub(peers.segment)

    async def ledger(self, team_id: UUID) -> LedgerFigures:
        """See `Records`."""
        with _asking("points"):
            request = points.GetLedgerSummaryRequest(team_id=str(team_id))
            summary = (await _call(self._ledger.GetLedgerSummary, request)).summary
        return LedgerFigures(*(getattr(summary, name) for name in LedgerFigures._fields))

    async def sends(self, team_id: UUID) -> tuple[dict[int, SendFigures], Costs]:
        """See `Records`."""
        with _asking("channel_gateway"):
            request = gateway.GetSendFiguresRequest(team_id=str(team_id))
            answer = await _call(self._sends.GetSendFigures, request)
        costs = Counter[tuple[int, str]]()
        for each in answer.figures:
            for sign, amounts in ((1, each.costs), (-1, each.refunds)):
                for money in amounts:
                    costs[each.channel, money.currency_code] += sign * money.amount_micros
        return {each.channel: _sends(each) for each in answer.figures}, costs

    async def orders(self, team_id: UUID) -> OrderFigures:
        """See `Records`."""
        with _asking("segment"):
            request = customers.CountOrdersRequest(team_id=str(team_id))
            counts = await _call(self._orders.CountOrders, request)
        return OrderFigures(counts.order_count, counts.refund_count)

    async def runs(self, team_id: UUID, journey_id: UUID) -> RunFigures:
        """See `Records`."""
        with _asking("journey"):
            request = journey.CountEnrolmentsRequest(team_id=str(team_id), journey_id=str(journey_id))
            counts = await _call(self._runs.CountEnrolments, request)
        return RunFigures(counts.live_count, counts.completed_count, counts.halted_count, counts.parked_count)


def _sends(figures: quota_pb2.ChannelFigures) -> SendFigures:
    return SendFigures(
        messages_sent=figures.messages_sent,
        failed=figures.sends_failed,
        skipped=figures.sends_skipped,
        unknown=figures.sends_unknown,
        delivered=figures.sends_delivered,
        read=figures.sends_read,
        replied=figures.sends_replied,
        failed_later=figures.sends_failed_later,
    )


async def _call(call: Any, request: Any) -> Any:
    return await call(request, timeout=CALL_DEADLINE_S)


@contextmanager
def _asking(service: str) -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise Unavailable.dependency(service) from error
