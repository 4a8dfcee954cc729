"""Customers who were merged into others."""

from __future__ import annotations

from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.db.queries import QueryBook


class MergeStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries

    async def note(self, team_id: UUID, merge_id: UUID, customer_id: UUID, survivor_id: UUID) -> None:
        """From now on a customer leads to another; noted once."""
        query = self._sql.bind(
            "note_merged_customer",
            team_id=team_id,
            merge_id=merge_id,
            customer_id=customer_id,
            survivor_id=survivor_id,
        )
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(*query)

    async def merged_into(self, team_id: UUID, customer_id: UUID) -> UUID | None:
        """Whom a customer was merged into; None: they were not."""
        query = self._sql.bind("merged_into", team_id=team_id, customer_id=customer_id)
        async with transaction(self._pool, [team_id]) as connection:
            survivor: UUID | None = await connection.fetchval(*query)
        return survivor
