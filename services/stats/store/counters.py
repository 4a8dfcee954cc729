"""Figures: sums of the counters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.common.db.pool import Pool, snapshot
from services.stats.domain.check import Differing
from services.stats.domain.days import Scope
from services.stats.domain.lift import Group, Lift
from services.stats.domain.model import NO_CHANNEL, NO_JOURNEY, SEND_METRICS, FirstKind, Metric, Total
from services.stats.store.base import BOOK
from services.stats.store.days import SUMMED

MESSAGE_METRICS: Final = (
    *SEND_METRICS,
    Metric.DELIVERED,
    Metric.READ,
    Metric.REPLIED,
    Metric.FAILED_LATER,
)
"""With what channels told of messages later."""

DIFFERING_MAX: Final = 100
"""Figures of a kind that are named; more say nothing more."""
SCOPES: Final = {
    "figure": Scope.FIGURE,
    "of_journey": Scope.JOURNEY,
    "of_team": Scope.TEAM,
    "no_journey": NO_JOURNEY,
}


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
                    "sums",
                    team_id=team_id,
                    journey_ids=list(journey_ids),
                    start_time=start,
                    end_time=end,
                    figure=Scope.FIGURE,
                )
            rows = await connection.fetch(*query)
        return [Total(*row) for row in rows]

    async def team(
        self, team_id: UUID, metrics: Sequence[Metric] = SEND_METRICS
    ) -> tuple[list[Total], list[Total]]:
        """Totals of the team as a whole, and some of its messages by journey, node and channel, as of one moment."""
        async with snapshot(self._pool, [team_id]) as connection:
            totals = await connection.fetch(*BOOK.bind("totals", team_id=team_id, journey_ids=[NO_JOURNEY]))
            sends = await connection.fetch(
                *BOOK.bind("totals_of_sends", team_id=team_id, metrics=list(metrics), no_channel=NO_CHANNEL)
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

    async def differing(self, team_id: UUID) -> dict[str, list[Differing]]:
        """Figures that are kept twice and not alike, up to DIFFERING_MAX of each kind, as of one moment."""
        asked = {"team_id": team_id, "row_max": DIFFERING_MAX}
        firsts = {"kinds": [FirstKind.SHOPPER, FirstKind.CLICK], "metrics": [Metric.SHOPPERS, Metric.CLICKED]}
        attributed = {"orders": Metric.JOURNEY_ORDERS, "revenue": Metric.JOURNEY_REVENUE}
        queries = {
            "sums of quarters": BOOK.bind("differing_totals", **asked, figure=Scope.FIGURE),
            "sums of days": BOOK.bind("differing_days", **asked, **SCOPES, **SUMMED),
            "orders of journeys": BOOK.bind("differing_orders", **asked, **attributed),
            "what counts once": BOOK.bind("differing_firsts", team_id=team_id, **firsts),
        }
        async with snapshot(self._pool, [team_id]) as connection:
            found = {
                what: [Differing(*row) for row in await connection.fetch(*query)]
                for what, query in queries.items()
            }
        return {what: [e for e in each if e.counted != e.recorded] for what, each in found.items()}

    async def journeys(self, team_id: UUID) -> list[UUID]:
        """Journeys that anybody was enrolled into, in order of their ids."""
        async with snapshot(self._pool, [team_id]) as connection:
            rows = await connection.fetch(*BOOK.bind("journeys", team_id=team_id, metric=Metric.TRIGGERED))
        return [row["journey_id"] for row in rows]
