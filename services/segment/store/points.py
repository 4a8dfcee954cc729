"""Points of customers as the ledger's history adds up to them, kept together with how far it is followed."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.audience.expressions import Balance
from libs.common.db.pool import Pool, fetch_alone, transaction
from libs.common.feeds.cursors import cursors_checked, steps
from libs.common.ids import CustomerKey
from services.segment.store.base import BOOK


class PointsStore:
    """Keeps points up to date. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which the history is added up."""
        rows = await self._pool.fetch(BOOK["read_points_cursors"])
        return {row["partition"]: row["position"] for row in rows}

    async def follow(
        self, before: Mapping[int, int], after: Mapping[int, int], changes: Mapping[CustomerKey, Balance]
    ) -> None:
        """Adds changes, and moves the cursors with them. Raises CursorMovedError if these are not at `before`."""
        query = BOOK.bind(
            "follow_points",
            teams=list({team_id for team_id, _ in changes}),
            steps=steps(before, after),
            changes=[(*key, *change) for key, change in changes.items()],
        )
        with cursors_checked():
            await fetch_alone(self._pool, *query)

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        """Moves the cursors past the row `at` (partition, position), which cannot be added, and keeps the reason.
        Raises as `follow`."""
        place = {"partition": at[0], "position": at[1]}
        with cursors_checked():
            async with transaction(self._pool, ()) as connection:
                await connection.execute(*BOOK.bind("move_points_cursors", steps=steps(before, after)))
                await connection.execute(*BOOK.bind("set_points_row_aside", **place, reason=reason))
