"""Whom segment asks: points, for the balances that an audience names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID

import grpc

from libs.common.audience.expressions import Balance
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import EntryRow
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from omnijourney.points.v1 import points_service_pb2, points_service_pb2_grpc

_ITEMS_MAX: Final = 500


class CustomerBalances(Protocol):
    """Where balances come from."""

    async def balances(self, customers: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Balance]:
        """Balances by team and customer; zeros for customers without points. Raises `grpc.aio.AioRpcError`."""
        ...


def points_history(channel: grpc.aio.Channel) -> PackedHistory[EntryRow]:
    """The entries of the ledger; `channel` to points."""
    return PackedHistory("points", channel, EntryRow)


class PointsClient:
    """Asks the points service, 500 customers a call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to points."""
        self._stub = points_service_pb2_grpc.PointsServiceStub(channel)

    async def balances(self, customers: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Balance]:
        """See `CustomerBalances`."""
        found: dict[tuple[UUID, UUID], Balance] = {}
        for start in range(0, len(customers), _ITEMS_MAX):
            page = customers[start : start + _ITEMS_MAX]
            request = points_service_pb2.BatchGetBalancesRequest(
                items=[
                    points_service_pb2.BalanceQuery(team_id=str(team), customer_id=str(customer))
                    for team, customer in page
                ]
            )

            async def call(request: points_service_pb2.BatchGetBalancesRequest = request) -> object:
                return await self._stub.BatchGetBalances(request, timeout=CALL_DEADLINE_S)

            response = await retrying(call)
            assert isinstance(response, points_service_pb2.BatchGetBalancesResponse)
            for key, found_balance in zip(page, response.balances, strict=True):
                found[key] = Balance(found_balance.balance, found_balance.cumulative)
        return found
