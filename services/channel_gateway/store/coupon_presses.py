"""Presses of coupons' buttons that wait for their answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, transaction
from services.channel_gateway.domain.coupon_presses import CouponPress, Waiting
from services.channel_gateway.store.book import QUERIES, columns

REASON_MAX: Final = 1_000


class CouponPressStore:
    """Keeps presses until they are answered. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def keep(self, team_id: UUID, presses: Sequence[CouponPress]) -> None:
        """Keeps presses, but for those that were answered; those that wait already stay as they are."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = [(team_id, *press) for press in sorted(set(presses))]
            await connection.execute(QUERIES["keep_coupon_presses"], *columns(rows, 8))

    async def due_teams(self, most: int) -> list[UUID]:
        """Teams with presses that may be tried."""
        rows = await self._pool.fetch(*QUERIES.bind("due_press_teams", most=most))
        return [row["team_id"] for row in rows]

    async def due(self, team_id: UUID, most: int) -> list[Waiting]:
        """A team's presses that may be tried, the oldest first."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*QUERIES.bind("due_presses", team_id=team_id, most=most))
        return [Waiting(CouponPress(*row[:7]), row["tries"]) for row in rows]

    async def done(self, team_id: UUID, press_id: UUID) -> None:
        """The press is answered."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(*QUERIES.bind("end_press", team_id=team_id, press_id=press_id))

    async def put_off(self, team_id: UUID, press_id: UUID, wait: timedelta | None, reason: str) -> None:
        """It is tried again after `wait` of real time; None: no more, the reason stays for 30 days."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(
                *QUERIES.bind(
                    "put_off_press", team_id=team_id, press_id=press_id, wait=wait, reason=reason[:REASON_MAX]
                )
            )
            await connection.execute(*QUERIES.bind("forget_presses", team_id=team_id))
