"""Deliveries as people see them, and figures counted from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.db.pool import Pool, replanned, transaction
from libs.common.errors import NotFound
from services.channel_gateway.store.book import QUERIES

Row = Mapping[str, Any]


class FigureStore:
    """Reads of deliveries. Rows are given as they are; `convert` knows their columns."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def delivery(self, team_id: UUID, effect_key: UUID) -> Row:
        """One delivery. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            row: Row | None = await connection.fetchrow(
                *QUERIES.bind("get_delivery", team_id=team_id, effect_key=effect_key)
            )
        if row is None:
            raise NotFound.of("delivery", effect_key)
        return row

    async def deliveries(
        self,
        team_id: UUID,
        *,
        journey_id: UUID | None,
        node_id: str,
        customer_id: UUID | None,
        states: Sequence[int] | None,
        after: tuple[datetime, UUID] | None,
        limit: int,
    ) -> list[Row]:
        """A page of deliveries, newest first."""
        created_at, last_key = after or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows: list[Row] = await connection.fetch(
                *QUERIES.bind(
                    "list_deliveries",
                    team_id=team_id,
                    journey_id=journey_id,
                    node_id=node_id,
                    customer_id=customer_id,
                    states=states,
                    after_time=created_at,
                    after_key=last_key,
                    most=limit,
                ),
            )
        return rows

    async def send_figures(self, team_id: UUID, journey_id: UUID | None) -> list[Row]:
        """Sends and messages by channel, state and currency."""
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows: list[Row] = await connection.fetch(
                *QUERIES.bind("get_send_figures", team_id=team_id, journey_id=journey_id)
            )
        return rows

    async def journey_usage(self, team_id: UUID, journey_id: UUID) -> list[Row]:
        """Messages taken under a journey's caps, by channel."""
        async with transaction(self._pool, [team_id]) as connection:
            rows: list[Row] = await connection.fetch(
                *QUERIES.bind("get_journey_usage", team_id=team_id, journey_id=journey_id)
            )
        return rows
