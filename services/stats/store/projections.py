"""Projections: counters and the cursors of the histories that they are counted from, moved together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import asyncpg

from libs.common import crash
from libs.common.db.pool import Pool, fetch_alone
from libs.common.feeds.follower import CursorMovedError
from services.stats.domain.model import Counts, Source
from services.stats.domain.views import RowPlace, RowSetAside
from services.stats.store.base import BOOK

_CURSORS_MOVED: Final = "OJ003"

_Step = tuple[int, int, int]
"""Partition, position before, position after: `cursor_step`."""


class ProjectionStore:
    """Where each history is counted up to, and what is counted."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def cursors(self, source: Source) -> dict[int, int]:
        """Partition → position up to which the source's history is counted."""
        rows = await self._pool.fetch(*BOOK.bind("load_cursors", source=source))
        return {int(partition): int(position) for partition, position in rows}

    async def count(
        self, source: Source, before: Mapping[int, int], after: Mapping[int, int], counts: Counts
    ) -> None:
        """Adds counts and moves the source's cursors from `before`, all of them, to `after`: one transaction
        and one round trip.

        Raises CursorMovedError if they are not at `before` any more; nothing is counted then.
        """
        counters, firsts = _rows(counts)
        query = BOOK.bind(
            "count_rows",
            source=source,
            counted=sum(before.values()),
            steps=_steps(before, after),
            counters=counters,
            firsts=firsts,
        )
        crash.reach("stats.before_commit")
        with _cursors_checked():
            await fetch_alone(self._pool, *query)
        crash.reach("stats.after_commit")

    async def set_aside(
        self,
        source: Source,
        before: Mapping[int, int],
        after: Mapping[int, int],
        at: tuple[int, int],
        reason: str,
    ) -> None:
        """Moves the source's cursors past the row `at` (partition, position) and keeps why it is not counted.

        Raises CursorMovedError if they are not at `before` any more; nothing is kept then.
        """
        query = BOOK.bind(
            "set_row_aside",
            source=source,
            counted=sum(before.values()),
            steps=_steps(before, after),
            partition=at[0],
            position=at[1],
            reason=reason,
        )
        with _cursors_checked():
            await fetch_alone(self._pool, *query)

    async def list_set_aside(self, source: Source | None, after: RowPlace, row_max: int) -> list[RowSetAside]:
        """Rows of a source's history (None: of all) that could not be counted, in order of place."""
        rows = await self._pool.fetch(
            *BOOK.bind(
                "list_set_aside",
                source=source,
                after_source=after[0],
                after_partition=after[1],
                after_position=after[2],
                row_max=row_max,
            )
        )
        return [RowSetAside(*row) for row in rows]

    async def count_again(self, place: RowPlace, counts: Counts) -> bool:
        """Counts a row that was set aside; False if it is not any more. Raises CursorMovedError: then do it again."""
        counters, firsts = _rows(counts)
        query = BOOK.bind(
            "count_row_again",
            source=place[0],
            partition=place[1],
            position=place[2],
            counters=counters,
            firsts=firsts,
        )
        with _cursors_checked():
            ((counted,),) = await fetch_alone(self._pool, *query)
        return bool(counted)

    async def count_set_aside(self, source: Source) -> int:
        """Rows of the source's history that could not be counted."""
        count: int = await self._pool.fetchval(*BOOK.bind("count_set_aside", source=source))
        return count


def _steps(before: Mapping[int, int], after: Mapping[int, int]) -> list[_Step]:
    return [(p, before[p], position) for p, position in after.items() if position != before[p]]


def _rows(counts: Counts) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The counters that grow, as `counter_row`, and what counts only the first time, as `first_row`."""
    deltas = dict(counts.deltas)
    for key in counts.firsts.values():
        deltas.setdefault(key, 0)
    counters: list[tuple[object, ...]] = [
        (k.team_id, k.journey_id, k.metric, k.node_id, k.channel, k.currency, k.quarter, delta)
        for k, delta in deltas.items()
    ]
    places = {key: place for place, key in enumerate(deltas, 1)} if counts.firsts else {}
    return counters, [(*first, places[key]) for first, key in counts.firsts.items()]


@contextmanager
def _cursors_checked() -> Iterator[None]:
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate == _CURSORS_MOVED:
            raise CursorMovedError from error
        raise
