"""Figures: sums of the counters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, snapshot
from services.stats.domain.lift import Group, Lift
from services.stats.domain.model import NO_CHANNEL, NO_JOURNEY, Metric, Total
from services.stats.store.base import BOOK

_SEND_METRICS: Final = (
    Metric.MESSAGES_SENT,
    Metric.MESSAGE_COST,
    Metric.SENDS_FAILED,
    Metric.SENDS_SKIPPED,
    Metric.SENDS_UNKNOWN,
)


class CounterStore:
    """Counters by quarter of an hour, and their sums over all time."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def totals(
        self,
        team_id: UUID,
        journey_ids: Sequence[UUID],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Total]:
        """Sums of the counters of these journeys, over all time or over a range of full quarters of an hour."""
        async with snapshot(self._pool, [team_id]) as connection:
            if start is None and end is None:
                query = BOOK.bind("totals", team_id=team_id, journey_ids=list(journey_ids))
            else:
                query = BOOK.bind(
                    "sums", team_id=team_id, journey_ids=list(journey_ids), start_time=start, end_time=end
                )
            rows = await connection.fetch(*query)
        return [Total(*row) for row in rows]

    async def series(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], steps: Sequence[datetime]
    ) -> list[tuple[int, Total]]:
        """The same of one journey over a span by step: (index of the step in `steps`, sum), in order of
        steps.
        """
        async with snapshot(self._pool, [team_id]) as connection:
            query = BOOK.bind(
                "series",
                team_id=team_id,
                journey_id=journey_id,
                start_time=span[0],
                end_time=span[1],
                step_starts=list(steps),
            )
            rows = await connection.fetch(*query)
        return [(row[0] - 1, Total(*row[1:])) for row in rows]

    async def team(self, team_id: UUID) -> tuple[list[Total], list[Total]]:
        """Totals of the team as a whole, and what it sent by journey, node and channel, as of one moment."""
        async with snapshot(self._pool, [team_id]) as connection:
            totals = await connection.fetch(*BOOK.bind("totals", team_id=team_id, journey_ids=[NO_JOURNEY]))
            sends = await connection.fetch(
                *BOOK.bind(
                    "totals_of_sends", team_id=team_id, metrics=list(_SEND_METRICS), no_channel=NO_CHANNEL
                )
            )
        return [Total(*row) for row in totals], [Total(*row) for row in sends]

    async def lifts(self, team_id: UUID, journey_id: UUID, order_window: timedelta) -> list[Lift]:
        """The splits of a journey that hold somebody out, in order of their ids, with those who ordered within the
        window after they came there."""
        async with snapshot(self._pool, [team_id]) as connection:
            rows = await connection.fetch(
                *BOOK.bind(
                    "groups_of_splits", team_id=team_id, journey_id=journey_id, order_window=order_window
                )
            )
        groups = {
            (node_id, held_out): Group(members, ordered) for node_id, held_out, members, ordered in rows
        }
        return [
            Lift(node_id, groups.get((node_id, False), Group()), group)
            for (node_id, held_out), group in groups.items()
            if held_out
        ]

    async def journeys(self, team_id: UUID) -> list[UUID]:
        """Journeys that anybody was enrolled into, in order of their ids."""
        async with snapshot(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*BOOK.bind("journeys", team_id=team_id, metric=Metric.TRIGGERED))
        return [row["journey_id"] for row in rows]
