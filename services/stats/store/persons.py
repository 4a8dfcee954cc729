"""What stats holds of a person, in PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from libs.common.db.pool import Pool, transaction
from libs.common.ids import CustomerKey
from services.stats.store.base import BOOK


class PersonStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self.pool = pool

    async def delete_clicks(self, key: CustomerKey) -> None:
        """Removes what the customer clicked."""
        query = BOOK.bind("delete_clicks_of_person", team_id=key[0], customer_id=key[1])
        async with transaction(self.pool, [key[0]]) as connection:
            await connection.execute(*query)

    async def forget_clicks(self, clicked_before: datetime, row_max: int) -> int:
        """Removes up to `row_max` old clicks of anybody that no order is counted by; how many."""
        query = BOOK.bind("forget_journey_clicks", clicked_before=clicked_before, row_max=row_max)
        return int(await self.pool.fetchval(*query))

    async def clicks(self, key: CustomerKey) -> list[dict[str, Any]]:
        """What the customer clicked."""
        query = BOOK.bind("read_clicks_of_person", team_id=key[0], customer_id=key[1])
        async with transaction(self.pool, [key[0]]) as connection:
            return [dict(row) for row in await connection.fetch(*query)]
