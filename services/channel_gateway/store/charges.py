"""The ledger of what sends cost: charges are settled deliveries, refunds are rows of their own; and who is warned."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, replanned, transaction
from services.channel_gateway.domain.model import Price
from services.channel_gateway.domain.views import BalanceAlert, Charge, ChargeFilter, Crossing
from services.channel_gateway.store.book import QUERIES

PAGE_MAX: Final = 500
"""Refunds, and teams that are warned, of one step."""
_NIL: Final = UUID(int=0)

PageKey = tuple[datetime, UUID, int]
"""Time, key and kind of the last one shown."""


async def read_alert(connection: Connection, team_id: UUID) -> BalanceAlert:
    """A team's alert."""
    row = await connection.fetchrow(*QUERIES.bind("get_balance_alert", team_id=team_id))
    if row is None:
        return BalanceAlert(None, firing=False, version=0)
    micros = row["threshold_micros"]
    if micros is None:
        return BalanceAlert(None, firing=False, version=row["version"])
    return BalanceAlert(Price(row["currency"], micros), row["balance_micros"] < micros, row["version"])


async def hold_alert(connection: Connection, team_id: UUID, currency: str, now: datetime) -> BalanceAlert:
    """Locks a team's alert, which is made where there was none."""
    await connection.execute(*QUERIES.bind("make_balance_alert", team_id=team_id, currency=currency, now=now))
    await connection.fetchrow(*QUERIES.bind("hold_balance_alert", team_id=team_id))
    return await read_alert(connection, team_id)


async def set_alert(
    connection: Connection, team_id: UUID, threshold: Price | None, currency: str, now: datetime
) -> None:
    """Sets the threshold of an alert that is held; None: never. What was told of the one before counts no more."""
    micros = threshold.micros if threshold else None
    await connection.execute(
        *QUERIES.bind(
            "set_balance_alert", team_id=team_id, threshold_micros=micros, currency=currency, now=now
        )
    )


async def note_refunds_due(
    connection: Connection, team_id: UUID, effect_keys: Sequence[UUID], now: datetime
) -> None:
    """Prepaid sends that failed after their channel had taken them."""
    await connection.execute(
        *QUERIES.bind("note_refunds_due", team_id=team_id, effect_keys=effect_keys, now=now)
    )


class ChargeStore:
    """Reads of the ledger, and what a worker does to it."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def charges(
        self, team_id: UUID, wanted: ChargeFilter, after: PageKey | None, limit: int
    ) -> list[Charge]:
        """A page of charges and refunds, newest first."""
        # No key is below the nil one: what comes after it was charged before the end.
        before = after or ((wanted.end_at, _NIL, 0) if wanted.end_at else (None, None, None))
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows = await connection.fetch(
                *QUERIES.bind(
                    "list_charges",
                    team_id=team_id,
                    channel=wanted.channel,
                    journey_id=wanted.journey_id,
                    start_time=wanted.start_at,
                    before_time=before[0],
                    before_key=before[1],
                    before_kind=before[2],
                    most=limit,
                )
            )
        return [
            Charge(
                row["effect_key"],
                row["channel"],
                row["journey_id"],
                row["messages"],
                Price(row["currency"], row["micros"]),
                row["charged_at"],
                row["kind"],
            )
            for row in rows
        ]

    async def alert(self, team_id: UUID) -> BalanceAlert:
        """A team's alert."""
        async with transaction(self._pool, [team_id]) as connection:
            return await read_alert(connection, team_id)

    async def refunds_due(self) -> dict[UUID, list[UUID]]:
        """Settled sends that are to be given back, by team."""
        due: dict[UUID, list[UUID]] = {}
        for row in await self._pool.fetch(*QUERIES.bind("find_refunds_due", most=PAGE_MAX)):
            due.setdefault(row["team_id"], []).append(row["effect_key"])
        return due

    async def refund(self, team_id: UUID, effect_keys: Sequence[UUID], now: datetime) -> int:
        """Gives sends back, each once; how many were."""
        async with transaction(self._pool, [team_id]) as connection:
            wallet = await connection.fetchrow(*QUERIES.bind("hold_wallet", team_id=team_id))
            rows = await connection.fetch(
                *QUERIES.bind(
                    "take_refunds",
                    team_id=team_id,
                    effect_keys=effect_keys,
                    currency=wallet["currency"] if wallet else "",
                    now=now,
                )
            )
            micros = sum(row["micros"] for row in rows)
            await connection.execute(
                *QUERIES.bind("pay_into_wallet", team_id=team_id, micros=micros, now=now)
            )
        return len(rows)

    async def crossings(self) -> list[UUID]:
        """Teams whose balance has crossed what they are warned at."""
        rows = await self._pool.fetch(*QUERIES.bind("find_balance_crossings", most=PAGE_MAX))
        return [row["team_id"] for row in rows]

    async def cross(self, team_id: UUID) -> Crossing | None:
        """Notes that a crossing is told; None: another process does."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(*QUERIES.bind("cross_balance", team_id=team_id))
        if row is None:
            return None
        return Crossing(row["fired"], row["currency"], row["balance_micros"], row["threshold_micros"])
