"""Orders read again."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.common.db.pool import Pool
from libs.common.errors import NotFound
from services.segment.domain.views import KnownOrder
from services.segment.store import orders


class Orders:
    """Reads of orders and their refunds."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def get(self, team_id: UUID, shop_id: str, order_id: str) -> KnownOrder:
        """One order. Raises NotFound."""
        known = await orders.find_order(self._pool, team_id, shop_id, order_id)
        if known is None:
            raise NotFound.of("order", order_id)
        return known

    async def count(self, team_id: UUID) -> tuple[int, int]:
        """Orders and refunds that count."""
        return await orders.count_orders(self._pool, team_id)

    async def list_newest(
        self,
        team_id: UUID,
        *,
        customer_id: UUID | None,
        shop_id: str,
        span: tuple[datetime, datetime],
        before: tuple[datetime, UUID],
        row_max: int,
    ) -> list[KnownOrder]:
        """Orders of a team, the newest first; `span` is [start, end)."""
        return await orders.list_orders(
            self._pool,
            team_id,
            customer_id=customer_id,
            shop_id=shop_id,
            span=span,
            before=before,
            row_max=row_max,
        )
