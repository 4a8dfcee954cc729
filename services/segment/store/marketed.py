"""How far the gateway's history is followed, moved together with the times that are taken from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from libs.common.db.pool import Pool, fetch_alone, transaction
from libs.common.feeds.cursors import cursors_checked, steps
from libs.common.ids import CustomerKey
from services.segment.store.base import BOOK


class MarketedStore:
    """Keeps "team last marketed" up to date. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which the history is taken."""
        return {
            row["partition"]: row["position"] for row in await self._pool.fetch(BOOK["read_gateway_cursors"])
        }

    async def follow(
        self,
        before: Mapping[int, int],
        after: Mapping[int, int],
        times: Mapping[CustomerKey, datetime],
        now: datetime,
    ) -> None:
        """Moves times on, and the cursors with them. Raises CursorMovedError if these are not at `before`."""
        query = BOOK.bind(
            "follow_marks",
            teams=list({team_id for team_id, _ in times}),
            steps=steps(before, after),
            marks=[(*key, place, at) for place, (key, at) in enumerate(times.items())],
            now=now,
        )
        with cursors_checked():
            await fetch_alone(self._pool, *query)

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        """Moves the cursors past the row `at` (partition, position), which cannot be taken, and keeps the reason.
        Raises as `follow`."""
        place = {"partition": at[0], "position": at[1]}
        with cursors_checked():
            async with transaction(self._pool, ()) as connection:
                await connection.execute(*BOOK.bind("move_gateway_cursors", steps=steps(before, after)))
                await connection.execute(*BOOK.bind("set_row_aside", **place, reason=reason))
