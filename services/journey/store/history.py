"""The service's history: its rows, and how they are appended outside a batch of turns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.db.queries import QueryBook
from libs.common.ids import partition_of
from services.journey.domain.model import Journey
from services.journey.store import records

BOOK: Final = QueryBook.load("services.journey")


class HistoryRow(NamedTuple):
    """A row of history before it has a position."""

    partition: int
    team_id: UUID
    journey_id: UUID
    customer_id: UUID | None
    enrolment_id: UUID | None
    at: datetime
    kind: records.FactKind
    body: bytes


async def append_history(connection: Connection, rows: Sequence[HistoryRow]) -> None:
    """Appends rows to the history; the last thing before a commit, since it locks the partitions' heads."""
    if rows:
        await connection.execute(BOOK["append_history"], *zip(*rows, strict=True))


def status_row(journey: Journey, after: records.StatusRecord, at: datetime) -> HistoryRow:
    """The history row of a change of status."""
    partition = partition_of(journey.team_id, journey.journey_id)
    return HistoryRow(
        partition,
        journey.team_id,
        journey.journey_id,
        None,
        None,
        at,
        records.FactKind.STATUS_CHANGED,
        records.pack(after),
    )
