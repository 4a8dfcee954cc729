"""Rows that could not be counted: what of a row can be is counted, and the rest is kept by its places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from libs.common.db.pool import Connection
from libs.common.feeds.follower import POISON
from services.stats.domain.fold import merge
from services.stats.domain.model import Counts
from services.stats.store.base import BOOK
from services.stats.store.counting import beside_counters, columns


async def count_parts(connection: Connection, source: int, parts: Sequence[Counts | None]) -> list[int]:
    """Counts what facts of a row add, within a transaction; returns the places of those that cannot be counted, and
    of those that could not be read (None). Those that hide among others are found by halving."""
    sound = {place: part for place, part in enumerate(parts) if part is not None}
    refused = await _refused(connection, source, sound) if sound else []
    return sorted({*refused, *(place for place, part in enumerate(parts) if part is None)})


async def _refused(connection: Connection, source: int, parts: Mapping[int, Counts]) -> list[int]:
    if await _count(connection, source, merge(parts.values())):
        return []
    places = list(parts)
    if len(places) == 1:
        return places
    half = len(places) // 2
    return [
        place
        for some in (places[:half], places[half:])
        for place in await _refused(connection, source, {each: parts[each] for each in some})
    ]


async def _count(connection: Connection, source: int, counts: Counts) -> bool:
    """Whether they could be counted."""
    counters, firsts = columns(counts)
    await connection.execute("SAVEPOINT part")
    try:
        await connection.execute(*BOOK.bind("count_part", source=source, counters=counters, firsts=firsts))
        for query in beside_counters(counts):
            await connection.execute(*query)
    except POISON:
        await connection.execute("ROLLBACK TO SAVEPOINT part")
        return False
    await connection.execute("RELEASE SAVEPOINT part")
    return True
