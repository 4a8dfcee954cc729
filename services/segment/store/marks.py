"""How far the gateway's history is followed, moved together with the times that are taken from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

import asyncpg

from libs.common.db.pool import Pool, fetch_alone, transaction
from libs.common.feeds.follower import CursorMovedError
from libs.common.ids import CustomerKey
from services.segment.store.base import BOOK

_CURSORS_MOVED: Final = "OJ003"


class MarkStore:
    """Keeps "team last marketed" up to date. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` of the service's own role."""
        self._pool = pool

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which the history is taken."""
        return {
            row["partition"]: row["position"] for row in await self._pool.fetch(BOOK["read_gateway_cursors"])
        }

    async def follow(
        self,
        before: Mapping[int, int],
        after: Mapping[int, int],
        marks: Mapping[CustomerKey, datetime],
        now: datetime,
    ) -> None:
        """Moves times on, and the cursors with them. Raises CursorMovedError if these are not at `before`."""
        query = BOOK.bind(
            "follow_marks",
            teams=list({team_id for team_id, _ in marks}),
            steps=_steps(before, after),
            marks=[(*key, place, at) for place, (key, at) in enumerate(marks.items())],
            now=now,
        )
        with _cursors_checked():
            await fetch_alone(self._pool, *query)

    async def set_aside(self, before: Mapping[int, int], after: Mapping[int, int], reason: str) -> None:
        """Moves the cursors past a row that cannot be taken, and keeps the reason. Raises as `follow`."""
        steps = _steps(before, after)
        with _cursors_checked():
            async with transaction(self._pool, ()) as connection:
                await connection.execute(*BOOK.bind("move_gateway_cursors", steps=steps))
                for partition, _, position in steps:
                    place = {"partition": partition, "position": position}
                    await connection.execute(*BOOK.bind("set_row_aside", **place, reason=reason))


def _steps(before: Mapping[int, int], after: Mapping[int, int]) -> list[tuple[int, int, int]]:
    return [(p, before[p], position) for p, position in after.items() if position != before[p]]


@contextlib.contextmanager
def _cursors_checked() -> Iterator[None]:
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == _CURSORS_MOVED:
            raise CursorMovedError from error
        raise
