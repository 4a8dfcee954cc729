"""The service's history: how rows are appended outside a batch of turns, and the pages that other services read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from libs.common.db.history import read_page
from libs.common.db.pool import Connection, Pool
from libs.common.db.reading import read_alone
from libs.common.feeds.journey_records import FEED_START
from libs.common.feeds.notifier import PAGE_MAX
from libs.common.ids import partition_of
from services.journey.domain.model import ActorKey, Journey
from services.journey.domain.turn import Refusal, RunSegment
from services.journey.store import codec
from services.journey.store.book import BOOK


class HistoryRow(NamedTuple):
    """A row of history before it has a position."""

    partition: int
    team_id: UUID
    journey_id: UUID
    customer_id: UUID | None
    enrolment_id: UUID | None
    at: datetime
    kind: codec.FactKind
    body: bytes


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


async def append_history(connection: Connection, rows: Sequence[HistoryRow]) -> None:
    """Appends rows to the history; the last thing before a commit, since it locks the partitions' heads."""
    if rows:
        await connection.execute(*BOOK.bind("append_history", facts=rows))


def status_row(journey: Journey, change: codec.StatusRecord, at: datetime) -> HistoryRow:
    """The history row of a change of status."""
    partition = partition_of(journey.team_id, journey.journey_id)
    kind = codec.FactKind.STATUS_CHANGED
    return HistoryRow(
        partition, journey.team_id, journey.journey_id, None, None, at, kind, codec.pack(change)
    )


def run_segment_row(key: ActorKey, segment: RunSegment) -> HistoryRow:
    """The history row of a run segment."""
    body = codec.pack(codec.RunSegmentRecord(segment.enrolled, segment.state, segment.steps))
    return HistoryRow(
        key.partition,
        key.team_id,
        segment.journey_id,
        key.customer_id,
        segment.enrolment_id,
        segment.at,
        codec.FactKind.RUN_SEGMENT,
        body,
    )


def refusal_row(key: ActorKey, refusal: Refusal) -> HistoryRow:
    """The history row of a trigger that did not enrol."""
    return HistoryRow(
        key.partition,
        key.team_id,
        refusal.journey_id,
        key.customer_id,
        None,
        refusal.at,
        codec.FactKind.TRIGGER_REFUSED,
        codec.pack(codec.RefusalRecord(refusal.reason)),
    )
