"""Figures: sums of the counters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Pool, snapshot
from services.stats.domain.check import OF_NODES, Differing
from services.stats.domain.lift import Group, Lift
from services.stats.domain.model import NO_CHANNEL, NO_JOURNEY, FirstKind, Metric, Total
from services.stats.domain.overview import OF_OVERVIEWS, Overview, overview_of_sums
from services.stats.store.base import BOOK

_SEND_METRICS: Final = (
    Metric.MESSAGES_SENT,
    Metric.MESSAGE_COST,
    Metric.SENDS_FAILED,
    Metric.SENDS_SKIPPED,
    Metric.SENDS_UNKNOWN,
)
MESSAGE_METRICS: Final = (
    *_SEND_METRICS,
    Metric.DELIVERED,
    Metric.READ,
    Metric.REPLIED,
    Metric.FAILED_LATER,
)
"""With what channels told of messages later."""

DIFFERING_MAX: Final = 100
"""Figures of a kind that are named; more say nothing more."""
_SENDS: Final = {"metrics": list(_SEND_METRICS), "no_channel": NO_CHANNEL, "no_journey": NO_JOURNEY}


class NodesAsked(NamedTuple):
    """Whose figures a series of nodes has, and over which span."""

    team_id: UUID
    journey_id: UUID
    node_id: str | None
    """Only this one; None: all."""
    start_time: datetime
    end_time: datetime


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

    async def overview_series(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], steps: Sequence[datetime]
    ) -> dict[int, Overview]:
        """What a journey as a whole did over a span, by the place of the step in `steps`, in their order; only steps in
        which it did anything."""
        async with snapshot(self._pool, [team_id]) as connection:
            query = BOOK.bind(
                "overview_series",
                team_id=team_id,
                journey_id=journey_id,
                start_time=span[0],
                end_time=span[1],
                step_starts=list(steps),
                metrics=list(OF_OVERVIEWS),
            )
            rows = await connection.fetch(*query)
        return {
            step - 1: overview_of_sums(zip(metrics, labels, sums, strict=True))
            for step, metrics, labels, sums in rows
        }

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

    async def nodes_series(
        self, asked: NodesAsked, steps: Sequence[datetime], after: tuple[int, str], row_max: int
    ) -> list[tuple[int, str, list[Total]]]:
        """The figures of a journey's nodes by step, up to `row_max` of (index of the step in `steps`, node, sums), in
        this order, after that pair of index and node.
        """
        async with snapshot(self._pool, [asked.team_id]) as connection:
            rows = await connection.fetch(
                *BOOK.bind(
                    "nodes_series",
                    **asked._asdict(),
                    step_starts=list(steps),
                    of_nodes=list(OF_NODES),
                    results=Metric.NODE_RESULT,
                    after_step=after[0] + 1,
                    after_node=after[1],
                    row_max=row_max,
                )
            )
        return [
            (
                step - 1,
                node_id,
                [
                    Total(metric, asked.journey_id, node_id, NO_CHANNEL, label, value)
                    for *_, metric, label, value in group
                ],
            )
            for (step, node_id), group in groupby(rows, key=lambda row: (row[0], row[1]))
        ]

    async def team_series(
        self, team_id: UUID, span: tuple[datetime, datetime], steps: Sequence[datetime]
    ) -> tuple[list[tuple[int, Total]], list[tuple[int, Total]]]:
        """Sums of the team as a whole, and of what it sent by channel, over a span by index of the step in `steps`,
        as of one moment.
        """
        async with snapshot(self._pool, [team_id]) as connection:
            asked = {
                "team_id": team_id,
                "start_time": span[0],
                "end_time": span[1],
                "step_starts": list(steps),
            }
            totals = await connection.fetch(*BOOK.bind("series", journey_id=NO_JOURNEY, **asked))
            sends = await connection.fetch(*BOOK.bind("sends_series", **_SENDS, **asked))
        return [(row[0] - 1, Total(*row[1:])) for row in totals], [
            (row[0] - 1, Total(*row[1:])) for row in sends
        ]

    async def team_range(
        self, team_id: UUID, start: datetime | None, end: datetime | None
    ) -> tuple[list[Total], list[Total]]:
        """As `team`, over a range of full quarters of an hour, either end of which may be absent; sends by channel."""
        async with snapshot(self._pool, [team_id]) as connection:
            asked = {"team_id": team_id, "start_time": start, "end_time": end}
            totals = await connection.fetch(*BOOK.bind("sums", journey_ids=[NO_JOURNEY], **asked))
            sends = await connection.fetch(*BOOK.bind("sends_series", step_starts=[], **_SENDS, **asked))
        return [Total(*row) for row in totals], [Total(*row[1:]) for row in sends]

    async def team(
        self, team_id: UUID, metrics: Sequence[Metric] = _SEND_METRICS
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
            "sums of quarters": BOOK.bind("differing_totals", **asked),
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
