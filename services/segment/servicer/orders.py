# ruff: noqa: N802 - the generated base names the methods and their arguments
"""Orders of customers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size
from omnijourney.segment.v1 import segment_service_pb2 as pb
from services.segment.convert.checks import Check
from services.segment.convert.orders import order_message, whole_order_message
from services.segment.servicer.base import Base

_BEGINNING: Final = datetime(1, 1, 2, tzinfo=UTC)
_END: Final = datetime(9999, 12, 30, tzinfo=UTC)
_LAST_KEY: Final = UUID(int=(1 << 128) - 1)


class OrderRpcs(Base):
    """See the contract."""

    async def GetOrder(self, request: pb.GetOrderRequest, context: Any) -> pb.GetOrderResponse:
        """One order with its refunds."""
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        shop_id = check.key("shop_id", request.shop_id)
        order_id = check.key("order_id", request.order_id)
        check.done()
        known = await self._deps.orders.get(team_id, shop_id, order_id)
        return pb.GetOrderResponse(order=whole_order_message(known))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Any) -> pb.ListOrdersResponse:
        """Orders of a team, or of one of its customers, the newest first."""
        size = page_size(request.page_size)
        check = Check()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        shop_id = check.key("shop_id", request.shop_id, required=False)
        start_at, end_at = check.range(request)
        check.done()
        start, end = start_at or _BEGINNING, end_at or _END
        arguments = ("orders", team_id, customer_id, shop_id, start, end)
        before = page_key(request.page_token, tuple[datetime, UUID], *arguments) or (_END, _LAST_KEY)
        orders = await self._deps.orders.list_newest(
            team_id,
            customer_id=customer_id,
            shop_id=shop_id,
            span=(start, end),
            before=before,
            row_max=size + 1,
        )
        page = page_of(orders, size, lambda last: (last.order.occurred_at, last.order.order_key), *arguments)
        return pb.ListOrdersResponse(orders=map(order_message, page.rows), next_page_token=page.next_token)
