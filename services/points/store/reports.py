"""What is read from the ledger in bulk: the history report, daily statements, and the feed for other services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from libs.common.db.pool import Connection, Pool, replanned, snapshot, transaction
from libs.common.db.queries import QueryBook
from libs.common.db.reading import read_alone
from libs.common.feeds.notifier import PAGE_MAX
from services.points.domain.days import Days
from services.points.domain.model import Source
from services.points.domain.views import (
    ChangedPoints,
    DailyStatement,
    DayChanges,
    EntryPosition,
    EntrySearch,
    PlacedEntry,
    PointChange,
)
from services.points.store import rows
from services.points.store.customers import pattern_of

NARROW_MAX: Final = 1_000
"""Up to so many customers that a keyword finds are asked one by one; of more, entries are read by time."""

CHANGES_MAX: Final = 10_000
"""Changes of one customer that are told; of more, the newest."""


class ReportStore:
    """Reads the ledger. Raises the driver's errors."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries

    async def entries(
        self, search: EntrySearch, after: EntryPosition | None, limit: int
    ) -> list[PlacedEntry]:
        """Up to `limit` entries, newest first, after a place."""
        arguments: dict[str, Any] = {
            "team_id": search.team_id,
            "start_at": search.start,
            "end_at": search.end,
            "sources": list(search.sources) or None,
            "after_posted_at": after and after.posted_at,
            "after_customer_id": after and after.customer_id,
            "after_sequence": after and after.sequence,
            "row_max": limit,
        }
        async with transaction(self._pool, [search.team_id]) as connection:
            await replanned(connection)
            chosen = await self._choose(connection, search)
            if chosen is None:
                return []
            name, more = chosen
            records = await connection.fetch(*self._sql.bind(name, **arguments, **more))
        return [_placed(row) for row in records]

    async def _choose(self, connection: Connection, search: EntrySearch) -> tuple[str, dict[str, Any]] | None:
        """The query for a search and its own argument; None when the keyword matches no customer."""
        pattern = pattern_of(search.keyword)
        if search.customer_id is not None:
            one = {"team_id": search.team_id, "customer_id": search.customer_id, "pattern": pattern}
            if search.keyword and not await connection.fetchval(*self._sql.bind("is_named", **one)):
                return None
            return "list_customer_entries", {"customer_id": search.customer_id}
        if not search.keyword:
            return "list_entries", {}
        found = await connection.fetch(
            *self._sql.bind("find_customers", team_id=search.team_id, pattern=pattern, row_max=NARROW_MAX + 1)
        )
        if len(found) > NARROW_MAX:
            return "list_entries_by_pattern", {"pattern": pattern}
        if not found:
            return None
        return "list_entries_of_customers", {"customers": [row[0] for row in found]}

    async def statements(self, team_id: UUID, days: Days, zone: ZoneInfo) -> list[DailyStatement]:
        """A statement for each day, all of one moment."""
        beginnings = days.beginnings(zone)
        async with snapshot(self._pool, [team_id]) as connection:
            await replanned(connection)
            opening = await connection.fetchval(
                *self._sql.bind("sum_before", team_id=team_id, moment=beginnings[0])
            )
            records = await connection.fetch(
                *self._sql.bind("sum_days", team_id=team_id, beginnings=beginnings)
            )
        changes = {row["day"]: DayChanges(*list(row.values())[1:]) for row in records}
        statements = []
        for number in range(days.count):
            changed = changes.get(number + 1, DayChanges())
            closing = opening + sum(msgspec.structs.astuple(changed))
            day = days.first + timedelta(days=number)
            statements.append(DailyStatement(day, beginnings[number], opening, changed, closing))
            opening = closing
        return statements

    async def changes(self, team_id: UUID, customers: Sequence[UUID], start: datetime) -> list[ChangedPoints]:
        """Figures of customers, in their order, and what was posted to them from `start` on."""
        query = self._sql.bind(
            "list_point_changes",
            team_id=team_id,
            customers=list(customers),
            start_at=start,
            row_max=CHANGES_MAX,
        )
        found = [ChangedPoints(0, 0, []) for _ in customers]
        async with transaction(self._pool, [team_id]) as connection:
            rows_found = await connection.fetch(*query)
        for place, balance, cumulative, at, *delta, source, source_id in rows_found:
            changes = found[place - 1].changes
            found[place - 1] = ChangedPoints(balance, cumulative, changes)
            if at is not None:
                journey_id = source_id if source == Source.JOURNEY else ""
                changes.append(PointChange(at, delta[0], delta[1], journey_id))
        return found

    async def history(self, cursors: Mapping[int, int], limit: int) -> tuple[list[Any], dict[int, int]]:
        """Up to `limit` entries of all teams after the cursors, each an `EntryRow` by its values, and the cursors after
        them."""
        query = self._sql.bind(
            "entry_page",
            partitions=list(cursors),
            positions=list(cursors.values()),
            row_max=min(limit, PAGE_MAX),
        )
        page = await read_alone(self._pool, *query)
        return page, {**cursors, **{row["partition"]: row["position"] for row in page}}


def _placed(row: asyncpg.Record) -> PlacedEntry:
    return PlacedEntry(row["partition"], row["position"], rows.entry(row))
