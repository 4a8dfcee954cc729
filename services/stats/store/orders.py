"""Orders, and whose they are."""

from __future__ import annotations

from uuid import UUID

from libs.common.db.pool import Pool, snapshot
from libs.common.errors import NotFound
from libs.common.ids import derived_id
from services.stats.domain.views import AttributedOrder
from services.stats.store.base import BOOK


class OrderStore:
    """Reads orders."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def find(self, team_id: UUID, shop_id: str, order_id: str) -> AttributedOrder:
        """An order by the shop's own id. Raises NotFound."""
        # As segment derives the keys of orders.
        key = derived_id(team_id, "order", shop_id, order_id)
        async with snapshot(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(*BOOK.bind("order_of", team_id=team_id, order_key=key))
        if row is None:
            raise NotFound.of("order", order_id)
        return AttributedOrder(**row)
