"""The SQL of stats: counters and cursors, moved together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from libs.common import crash
from libs.common.db.pool import Pool, fetch_alone, snapshot
from libs.common.db.queries import QueryBook
from services.stats.domain.model import (
    NO_JOURNEY,
    Counts,
    Metric,
    Source,
    Total,
)

BOOK: Final = QueryBook.load("services.stats")
_CURSORS_MOVED: Final = "OJ003"
_SEND_METRICS: Final = (
    Metric.MESSAGES_SENT,
    Metric.MESSAGE_COST,
    Metric.SENDS_FAILED,
    Metric.SENDS_SKIPPED,
    Metric.SENDS_UNKNOWN,
)


class CursorMovedError(Exception):
    """Another process counted this history meanwhile: read the cursors again."""


class CounterStore:
    """Counters by quarter of an hour, and their sums over all time."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    # -- counting
    # -----------------------------------------------------------------------------------------------

    async def cursors(self, source: Source) -> dict[int, int]:
        """Partition → position up to which the source's history is counted."""
        return {int(p): int(at) for p, at in await self._pool.fetch(BOOK["load_cursors"], source)}

    async def commit(
        self, source: Source, before: Mapping[int, int], after: Mapping[int, int], counts: Counts
    ) -> None:
        """Adds counts and moves the source's cursors from `before`, all of them, to `after`: one transaction
        and one round trip.

        Raises CursorMovedError if they are not at `before` any more; nothing is counted then.
        """
        moved = [(p, before[p], position) for p, position in after.items() if position != before[p]]
        crash.reach("stats.before_commit")
        try:
            await fetch_alone(
                self._pool,
                BOOK["count_page"],
                source,
                sum(before.values()),
                *_columns(moved, 3),
                *_counter_columns(counts),
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate == _CURSORS_MOVED:
                raise CursorMovedError from error
            raise
        crash.reach("stats.after_commit")

    # -- reading
    # ------------------------------------------------------------------------------------------------

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
                rows = await connection.fetch(BOOK["totals"], team_id, list(journey_ids))
            else:
                rows = await connection.fetch(BOOK["sums"], team_id, list(journey_ids), start, end)
        return [Total(*row) for row in rows]

    async def series(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], steps: Sequence[datetime]
    ) -> list[tuple[int, Total]]:
        """The same of one journey over a span by step: (index of the step in `steps`, sum), in order of
        steps.
        """
        async with snapshot(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["series"], team_id, journey_id, *span, list(steps))
        return [(row[0] - 1, Total(*row[1:])) for row in rows]

    async def team(self, team_id: UUID) -> tuple[list[Total], list[Total]]:
        """Totals of the team as a whole, and what it sent by journey, node and channel, as of one moment."""
        async with snapshot(self._pool, [team_id]) as connection:
            totals = await connection.fetch(BOOK["totals"], team_id, [NO_JOURNEY])
            sends = await connection.fetch(BOOK["totals_of_sends"], team_id, list(_SEND_METRICS))
        return [Total(*row) for row in totals], [Total(*row) for row in sends]

    async def journeys(self, team_id: UUID) -> list[UUID]:
        """Journeys that anybody was enrolled into, in order of their ids."""
        async with snapshot(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["journeys"], team_id, Metric.TRIGGERED)
        return [row["journey_id"] for row in rows]


def _counter_columns(counts: Counts) -> Iterator[Sequence[Any]]:
    """Columns of the counters that grow, and of what counts only the first time."""
    deltas = dict(counts.deltas)
    for key in counts.firsts.values():
        deltas.setdefault(key, 0)
    places = {key: place for place, key in enumerate(deltas, 1)}
    yield from _columns(
        [(k.team_id, k.journey_id, k.metric, k.node_id, k.channel, k.currency, k.quarter) for k in deltas], 7
    )
    yield list(deltas.values())
    yield from _columns([(*first, places[key]) for first, key in counts.firsts.items()], 4)


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> Sequence[Sequence[Any]]:
    return list(zip(*rows, strict=True)) or [()] * width
