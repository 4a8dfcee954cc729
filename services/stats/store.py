"""The SQL of stats: counters and cursors, moved together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common import crash
from libs.common.db.pool import Connection, Pool, snapshot, transaction
from libs.common.db.queries import QueryBook
from services.stats.domain.model import (
    NO_JOURNEY,
    CounterKey,
    Counts,
    First,
    FirstKind,
    Metric,
    Source,
    Total,
)

BOOK: Final = QueryBook.load("services.stats")
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
        """Adds counts and moves the source's cursors from `before` to `after`, in one transaction.

        Raises CursorMovedError if they are not at `before` any more; nothing is counted then.
        """
        moved = {p: position for p, position in after.items() if position != before[p]}
        teams = {key.team_id for key in counts.deltas} | {first.team_id for first in counts.firsts}
        async with transaction(self._pool, teams) as connection:
            present = {int(p): int(at) for p, at in await connection.fetch(BOOK["hold_cursors"], source)}
            if any(present[partition] != before[partition] for partition in moved):
                raise CursorMovedError
            deltas = defaultdict(int, counts.deltas)
            for key in await _new_firsts(connection, counts.firsts):
                deltas[key] += 1
            await _add(connection, deltas)
            await connection.execute(BOOK["move_cursors"], source, list(moved.keys()), list(moved.values()))
            crash.reach("stats.before_commit")

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


async def _new_firsts(connection: Connection, firsts: Mapping[First, CounterKey]) -> list[CounterKey]:
    """Notes what happened; keys of the counters of what had not happened before."""
    if not firsts:
        return []
    ordered = sorted(firsts)
    rows = await connection.fetch(
        BOOK["add_firsts"],
        [first.team_id for first in ordered],
        [first.kind for first in ordered],
        [first.id for first in ordered],
    )
    return [firsts[First(row["team_id"], FirstKind(row["kind"]), row["id"])] for row in rows]


async def _add(connection: Connection, deltas: Mapping[CounterKey, int]) -> None:
    items = [(key, value) for key, value in deltas.items() if value]
    if not items:
        return
    totals: defaultdict[tuple[UUID, UUID, int, str, int, str], int] = defaultdict(int)
    for key, value in items:
        totals[key.team_id, key.journey_id, key.metric, key.node_id, key.channel, key.currency] += value
    await connection.execute(
        BOOK["add_counts"],
        [key.team_id for key, _ in items],
        [key.journey_id for key, _ in items],
        [key.metric for key, _ in items],
        [key.node_id for key, _ in items],
        [key.channel for key, _ in items],
        [key.currency for key, _ in items],
        [key.quarter for key, _ in items],
        [value for _, value in items],
    )
    columns = list(zip(*totals.keys(), strict=True))
    await connection.execute(BOOK["add_totals"], *columns, list(totals.values()))
