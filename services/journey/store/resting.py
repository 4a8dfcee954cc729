"""Customers who rest for quiet time, made due when it was drawn otherwise: by one process, each once, in one pass."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.ids import new_id
from services.journey.store.book import BOOK

PAGE_MAX: Final = 5_000
"""Customers looked at together, and those who entered at the same moment as the last."""
BATCH_MAX: Final = 2_000
"""Customers made due in one transaction."""
CLAIM_S: Final = 10.0
"""Real seconds after which another process takes over from one that has not come on."""

Resting = tuple[int, UUID]
"""Partition and customer."""


class WokenElsewhere(Exception):
    """Another process makes them due: who asks again hears whether it has."""


class RestingStore:
    """Makes customers due."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def wake(self, team_id: UUID, journey_id: UUID, epoch: int, now: datetime) -> None:
        """Makes due at `now` everybody who rests for quiet time in a journey. Nothing if that is done for `epoch`.

        Raises `WokenElsewhere`.
        """
        claim = {"team_id": team_id, "journey_id": journey_id, "epoch": epoch, "owner": new_id()}
        async with transaction(self._pool, [team_id]) as connection:
            if not await connection.fetchval(*BOOK.bind("claim_waking", **claim, claim_s=CLAIM_S)):
                known = {key: claim[key] for key in ("team_id", "journey_id", "epoch")}
                if await connection.fetchval(*BOOK.bind("is_waking_done", **known)):
                    return
                raise WokenElsewhere
        for query in ("resting_actors", "resting_listed"):
            async for page in self._pages(query, team_id, journey_id):
                await self._wake(claim, page, now)
        async with transaction(self._pool, [team_id]) as connection:
            if not await connection.fetchval(*BOOK.bind("end_waking", **claim)):
                raise WokenElsewhere

    async def _pages(self, query: str, team_id: UUID, journey_id: UUID) -> AsyncIterator[Sequence[Resting]]:
        """All of them, page by page; each begins where the one before ended."""
        before: datetime | None = None
        while True:
            async with transaction(self._pool, [team_id]) as connection:
                page = await connection.fetchrow(
                    *BOOK.bind(query, team_id=team_id, journey_id=journey_id, before=before, limit=PAGE_MAX)
                )
            assert page is not None
            yield list(zip(page["partitions"] or (), page["customer_ids"] or (), strict=True))
            if page["looked_at"] < PAGE_MAX:
                return
            before = page["since"]

    async def _wake(self, claim: dict[str, Any], customers: Sequence[Resting], now: datetime) -> None:
        """Also of nobody: it renews the claim."""
        for start in range(0, max(1, len(customers)), BATCH_MAX):
            batch = customers[start : start + BATCH_MAX]
            keys = {
                "partitions": [partition for partition, _ in batch],
                "customer_ids": [customer_id for _, customer_id in batch],
            }
            async with transaction(self._pool, [claim["team_id"]]) as connection:
                await self._hold(connection, claim)
                query = BOOK.bind("wake_customers", team_id=claim["team_id"], now=now, **keys)
                held = [(row["partition"], row["customer_id"]) for row in await connection.fetch(*query)]
            for partition, customer_id in held:  # one lock at a time: whoever waits for it holds nothing
                key = {"partition": partition, "team_id": claim["team_id"], "customer_id": customer_id}
                async with transaction(self._pool, [claim["team_id"]]) as connection:
                    await connection.execute(*BOOK.bind("wake_customer", **key, now=now))

    async def _hold(self, connection: Connection, claim: dict[str, Any]) -> None:
        if not await connection.fetchval(*BOOK.bind("hold_waking", **claim, claim_s=CLAIM_S)):
            raise WokenElsewhere
