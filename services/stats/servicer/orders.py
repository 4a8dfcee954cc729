# ruff: noqa: N802 - the generated base names the methods
"""Whose an order is."""

from __future__ import annotations

from typing import Any

from libs.common.rpc.servicing import Edge, team_of
from libs.common.text import as_key
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert.orders import explanation
from services.stats.servicer.base import Dependencies


class OrderRpcs(Edge[Dependencies]):
    """The RPCs of orders."""

    async def ExplainOrder(self, request: pb.ExplainOrderRequest, context: Any) -> pb.ExplainOrderResponse:
        """Tells which journey an order is of, and why."""
        order = await self._deps.orders.find(
            team_of(request.team_id), as_key(request.shop_id), as_key(request.order_id)
        )
        return pb.ExplainOrderResponse(explanation=explanation(order))
