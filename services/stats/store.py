"""The SQL of stats: counters and cursors, moved together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.queries import QueryBook
from services.stats.domain.model import Counts, Metric, Source, Total

BOOK: Final = QueryBook.load("services.stats")


class CursorMovedError(Exception):
    """Another process counted this history meanwhile: read the cursors again."""


class CounterStore:
    """Counters by hour."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    # -- counting -----------------------------------------------------------------------------------------------

    async def cursors(self, source: Source) -> dict[int, int]:
        """Partition → position up to which the source's history is counted."""
        return {int(p): int(at) for p, at in await self._pool.fetch(BOOK["load_cursors"], source)}

    async def commit(
        self, source: Source, before: Mapping[int, int], after: Mapping[int, int], counts: Counts
    ) -> None:
        """Adds counts and moves the source's cursors from `before` to `after`, in one transaction.

        Raises CursorMovedError if they are not at `before` any more; nothing is counted then.
        """
        moved = {
            partition: position for partition, position in after.items() if position != before[partition]
        }
        teams = {key.team_id for key in counts.deltas} | {team for team, _ in counts.shoppers}
        async with transaction(self._pool, teams) as connection:
            present = {int(p): int(at) for p, at in await connection.fetch(BOOK["hold_cursors"], source)}
            if any(present[partition] != before[partition] for partition in moved):
                raise CursorMovedError
            await _add(connection, counts)
            await connection.execute(BOOK["move_cursors"], source, list(moved.keys()), list(moved.values()))

    # -- reading ------------------------------------------------------------------------------------------------

    async def totals(
        self,
        team_id: UUID,
        journey_ids: Sequence[UUID],
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> list[Total]:
        """Sums of the counters of these journeys over a range of hours."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["totals"], team_id, list(journey_ids), start, end)
        return [Total(*row) for row in rows]

    async def totals_by_step(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], unit: str, zone: str
    ) -> list[tuple[datetime, Total]]:
        """The same of one journey by `hour`, or by `day` of a zone, in order of time."""
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["totals_by_step"], team_id, journey_id, *span, unit, zone)
        return [(row[0], Total(*row[1:])) for row in rows]

    async def sends_by_channel(self, team_id: UUID) -> list[tuple[int, int, str, int]]:
        """(metric, channel, currency, sum) of messages sent and their cost, over all journeys of a team."""
        metrics = [Metric.MESSAGES_SENT, Metric.MESSAGE_COST]
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["totals_by_channel"], team_id, metrics)
        return [(row["metric"], row["channel"], row["currency"], row["value"]) for row in rows]

    async def count_shoppers(self, team_id: UUID) -> int:
        """Distinct customers with an order or a refund."""
        async with transaction(self._pool, [team_id]) as connection:
            return int(await connection.fetchval(BOOK["count_shoppers"], team_id))


async def _add(connection: Connection, counts: Counts) -> None:
    items = [(key, value) for key, value in counts.deltas.items() if value]
    if items:
        await connection.execute(
            BOOK["add_counts"],
            [key.team_id for key, _ in items],
            [key.journey_id for key, _ in items],
            [key.metric for key, _ in items],
            [key.node_id for key, _ in items],
            [key.channel for key, _ in items],
            [key.currency for key, _ in items],
            [key.hour for key, _ in items],
            [value for _, value in items],
        )
    if counts.shoppers:
        shoppers = sorted(counts.shoppers)
        await connection.execute(
            BOOK["add_shoppers"], [team for team, _ in shoppers], [customer for _, customer in shoppers]
        )
