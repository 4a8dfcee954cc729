"""Whether PostgreSQL archives its log: what it cannot archive it keeps, until its disk is full."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, NamedTuple

from libs.common.db.book import BOOK

WAITING_MAX: Final = 3
"""Segments that may wait while one is being archived."""


class ArchiveState(NamedTuple):
    """What the server says of its archiving."""

    on: bool
    failing: bool
    """The last try failed, or it does not come after what is written."""
    age_s: float
    """Since the last segment that was archived, or the server's start."""
    last_archived_time: datetime | None
    archived_count: int
    failed_count: int
    last_failed_wal: str | None


async def archive_state(connection: Any) -> ArchiveState:
    """Asks the server of a connection or a pool. Raises the driver's errors."""
    row = await connection.fetchrow(*BOOK.bind("archive_state", waiting_max=WAITING_MAX))
    return ArchiveState(
        row["on_at_all"],
        bool(row["failing"]),
        row["age_s"],
        row["last_archived_time"],
        row["archived_count"],
        row["failed_count"],
        row["last_failed_wal"],
    )
