"""The service's history: how rows are appended outside a batch of turns, and the pages that other services read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.common.db.history import read_page
from libs.common.db.pool import Connection, Pool
from libs.common.db.reading import read_alone
from libs.common.feeds.journey_records import FEED_START
from libs.common.feeds.notifier import PAGE_MAX
from services.journey.domain.model import Journey
from services.journey.store import codec
from services.journey.store.book import BOOK
from services.journey.store.records import Records, new_commit_key


class HistoryStore:
    """Reads the history."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def page(self, cursors: Mapping[int, int], limit: int) -> tuple[list[Any], dict[int, int]]:
        """A page of what was written before there were records, of all teams after the cursors, and the cursors after
        it."""
        return await read_page(self._pool, "history", cursors, limit)

    async def records(self, cursors: Mapping[int, int], limit: int) -> tuple[list[Any], dict[int, int]]:
        """A page of records of all teams after the cursors, each a `RecordRow` by its values, and the cursors after
        it; shards have the numbers of feeds."""
        query = BOOK.bind(
            "read_records",
            first=FEED_START,
            shards=[shard - FEED_START for shard in cursors],
            after=list(cursors.values()),
            row_max=min(limit, PAGE_MAX),
        )
        rows = await read_alone(self._pool, *query)
        return rows, {**cursors, **{row["partition"]: row["position"] for row in rows}}

    async def has_records(self) -> bool:
        """Whether a record was ever written: from then on, nothing is appended to what was written before."""
        return bool(await self._pool.fetchval(*BOOK.bind("has_records")))


async def append_status(
    connection: Connection, journey: Journey, change: codec.StatusRecord, at: datetime
) -> None:
    """Appends a change of status to the history; the last thing before a commit, since it locks its shard's head."""
    records = Records({journey.journey_id: journey})
    records.add_status(journey, change, at)
    await connection.execute(
        *BOOK.bind("append_records", commit_key=new_commit_key(), records=records.rows())
    )
