"""Deliveries as people see them, and figures counted from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.db.pool import Pool, replanned, transaction
from libs.common.errors import FailedPrecondition, NotFound
from libs.common.retention import Cutoffs
from services.channel_gateway.domain.views import DeliveryFilter
from services.channel_gateway.store.book import QUERIES
from services.channel_gateway.store.rows import parts_of

Row = Mapping[str, Any]
_NIL: Final = UUID(int=0)


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

    async def content(self, team_id: UUID, effect_key: UUID) -> list[bytes]:
        """The request bodies of a send. Raises NotFound, FailedPrecondition `CONTENT_NOT_KEPT`."""
        async with transaction(self._pool, [team_id]) as connection:
            row = await connection.fetchrow(
                *QUERIES.bind("get_delivery_content", team_id=team_id, effect_key=effect_key)
            )
        if row is None:
            raise NotFound.of("delivery", effect_key)
        if row["parts"] is None:
            raise FailedPrecondition("CONTENT_NOT_KEPT", "what was sent is not kept any more, or nothing was")
        return parts_of(row)

    async def forget(self, cutoffs: Cutoffs, row_max: int) -> int:
        """Removes contents of settled sends that were accepted before their cutoff, up to `row_max`; how many."""
        forgotten: int = await self._pool.fetchval(
            *QUERIES.bind("forget_contents", **cutoffs._asdict(), row_max=row_max)
        )
        return forgotten

    async def deliveries(
        self, team_id: UUID, wanted: DeliveryFilter, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[Row]:
        """A page of deliveries, newest first."""
        # No key is below the nil one: what comes after it began before the end.
        last_at, last_key = after or ((wanted.end_at, _NIL) if wanted.end_at else (None, None))
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows: list[Row] = await connection.fetch(
                *QUERIES.bind(
                    "list_deliveries",
                    team_id=team_id,
                    journey_id=wanted.journey_id,
                    node_id=wanted.node_id,
                    customer_id=wanted.customer_id,
                    states=wanted.states,
                    channel=wanted.channel,
                    reasons=wanted.reasons,
                    is_one=wanted.is_one,
                    start_time=wanted.start_at,
                    after_time=last_at,
                    after_key=last_key,
                    most=limit,
                ),
            )
        return rows

    async def send_figures(self, team_id: UUID, journey_id: UUID | None) -> tuple[list[Row], list[Row]]:
        """Sends and messages by channel, state, currency and receipt; and what was given back by channel and
        currency."""
        asked = {"team_id": team_id, "journey_id": journey_id}
        async with transaction(self._pool, [team_id]) as connection:
            await replanned(connection)
            rows: list[Row] = await connection.fetch(*QUERIES.bind("get_send_figures", **asked))
            refunds: list[Row] = await connection.fetch(*QUERIES.bind("get_refund_figures", **asked))
        return rows, refunds

    async def journey_usage(self, team_id: UUID, journey_id: UUID) -> list[Row]:
        """Messages taken under a journey's caps, by channel."""
        async with transaction(self._pool, [team_id]) as connection:
            rows: list[Row] = await connection.fetch(
                *QUERIES.bind("get_journey_usage", team_id=team_id, journey_id=journey_id)
            )
        return rows
