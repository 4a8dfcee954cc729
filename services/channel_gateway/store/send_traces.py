"""Contexts of sampled traces, of the sends that belong to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from libs.common.retention import Cutoffs
from services.channel_gateway.store.book import QUERIES, columns

KEPT_DAYS: Final = 30
"""What a channel reports later than that of a send is on no trace."""
SendKey = tuple[UUID, UUID]
"""Team, effect key."""


class SendTraceStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def keep(self, contexts: Mapping[SendKey, bytes], now: datetime) -> None:
        """Keeps contexts of sends, of any teams."""
        rows = [(*key, context) for key, context in sorted(contexts.items())]
        teams, keys, kept = columns(rows, 3)
        query = QUERIES.bind("keep_send_traces", teams=teams, effect_keys=keys, contexts=kept, now=now)
        async with transaction(self._pool, set(teams)) as connection:
            await connection.execute(*query)

    async def find(self, sends: Collection[SendKey]) -> dict[SendKey, bytes]:
        """The contexts of those of the sends that have one."""
        teams, keys = columns(sends, 2)
        query = QUERIES.bind("find_send_traces", teams=teams, effect_keys=keys)
        async with transaction(self._pool, set(teams)) as connection:
            rows = await connection.fetch(*query)
        return {(row["team_id"], row["effect_key"]): row["trace_context"] for row in rows}

    async def forget(self, cutoffs: Cutoffs, row_max: int) -> int:
        """Removes up to `row_max` that are too old; how many."""
        query = QUERIES.bind("forget_send_traces", noted_before=cutoffs.others, row_max=row_max)
        return int(await self._pool.fetchval(*query))
