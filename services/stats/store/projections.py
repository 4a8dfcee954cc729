"""Projections: counters and the cursors of the histories that they are counted from, moved together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from libs.common import crash
from libs.common.db.pool import Pool, fetch_alone, transaction
from libs.common.feeds.cursors import cursors_checked, steps
from libs.common.rpc.followers import Taken
from services.stats.domain.model import Counts, Source
from services.stats.domain.views import RowPlace, RowSetAside
from services.stats.store.aside import count_parts
from services.stats.store.base import BOOK
from services.stats.store.counting import beside_counters, columns


class ProjectionStore:
    """Where each history is counted up to, and what is counted."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def taken(self, _team_id: UUID) -> Taken:
        """See `libs.common.rpc.followers.Reader`."""
        return Taken(await self.cursors(Source.SEGMENT))

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
        counters, firsts = columns(counts)
        query = BOOK.bind(
            "count_rows",
            source=source,
            counted=sum(before.values()),
            steps=steps(before, after),
            counters=counters,
            firsts=firsts,
        )
        crash.reach("stats.before_commit")
        with cursors_checked():
            further = beside_counters(counts)
            if not further:
                await fetch_alone(self._pool, *query)
            else:
                async with transaction(self._pool, ()) as connection:
                    for each in (query, *further):
                        await connection.execute(*each)
        crash.reach("stats.after_commit")

    async def set_aside(
        self,
        source: Source,
        before: Mapping[int, int],
        after: Mapping[int, int],
        at: tuple[int, int],
        reason: str,
        *,
        parts: Sequence[Counts | None] = (),
    ) -> None:
        """Moves the source's cursors past the row `at` (partition, position) and keeps why it is not counted: of
        `parts`, what its facts add (None: cannot be read), only those that cannot be counted.

        Raises CursorMovedError if they are not at `before` any more; nothing is kept then.
        """
        moved = {"source": source, "counted": sum(before.values()), "steps": steps(before, after)}
        place = {"partition": at[0], "position": at[1]}
        with cursors_checked():
            if not parts:
                await fetch_alone(self._pool, *BOOK.bind("set_row_aside", **moved, **place, reason=reason))
                return
            async with transaction(self._pool, ()) as connection:
                await connection.execute(*BOOK.bind("move_cursors", **moved))
                left = await count_parts(connection, source, parts)
                crash.reach("stats.before_commit")
                if left:
                    kept = BOOK.bind("keep_facts_aside", source=source, **place, reason=reason, facts=left)
                    await connection.execute(*kept)
        crash.reach("stats.after_commit")

    async def list_set_aside(
        self, sources: Sequence[Source], after: RowPlace, row_max: int
    ) -> list[RowSetAside]:
        """Rows of these sources' histories that could not be counted, in order of place."""
        rows = await self._pool.fetch(
            *BOOK.bind(
                "list_set_aside",
                sources=list(sources),
                after_source=after[0],
                after_partition=after[1],
                after_position=after[2],
                row_max=row_max,
            )
        )
        return [RowSetAside(*row) for row in rows]

    async def count_again(self, place: RowPlace, parts: Sequence[Counts | None]) -> bool:
        """Counts what can be counted of a row that was set aside, by what its facts add (None: cannot be read).

        False if something is left, the row is not set aside any more, or a rebuild has not ended, which leaves
        out what is set aside. Raises CursorMovedError: then do it again.
        """
        row = dict(zip(("source", "partition", "position"), place, strict=True))
        with cursors_checked():
            async with transaction(self._pool, ()) as connection:
                if await connection.fetchval(*BOOK.bind("count_unfinished_rebuilds")):
                    return False
                held = await connection.fetch(*BOOK.bind("hold_row_aside", **row))
                if not held:
                    return False
                wanted = held[0]["facts"] or range(len(parts))
                refused = await count_parts(
                    connection, place[0], [parts[n] if n < len(parts) else None for n in wanted]
                )
                left = [wanted[n] for n in refused]
                if left:
                    await connection.execute(*BOOK.bind("keep_facts_left", **row, facts=left))
                else:
                    await connection.execute(*BOOK.bind("drop_row_aside", **row))
        return not left

    async def count_set_aside(self, sources: Sequence[Source]) -> int:
        """Rows of these sources' histories that could not be counted."""
        count: int = await self._pool.fetchval(*BOOK.bind("count_set_aside", sources=list(sources)))
        return count
