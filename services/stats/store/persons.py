"""What stats holds of a person, in PostgreSQL."""

from __future__ import annotations

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

    async def clicks(self, key: CustomerKey) -> list[dict[str, Any]]:
        """What the customer clicked."""
        query = BOOK.bind("read_clicks_of_person", team_id=key[0], customer_id=key[1])
        async with transaction(self.pool, [key[0]]) as connection:
            return [dict(row) for row in await connection.fetch(*query)]
