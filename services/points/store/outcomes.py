"""Recorded outcomes in PostgreSQL, as retention drops them. Posting writes them: store/ledger.py."""

from __future__ import annotations

from datetime import datetime

from libs.common.db.pool import Pool
from libs.common.db.queries import QueryBook
from services.points.store.errors import retention_errors


class OutcomeStore:
    """Drops outcomes of all teams. Raises the driver's errors."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries

    async def drop(self, recorded_before: datetime, row_max: int) -> int:
        """Drops at most `row_max` outcomes; returns how many. Raises OutcomeKeptError."""
        with retention_errors():
            dropped: int = await self._pool.fetchval(
                *self._sql.bind("drop_outcomes", recorded_before=recorded_before, row_max=row_max)
            )
        return dropped
