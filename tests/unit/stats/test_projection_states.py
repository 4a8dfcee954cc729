"""What is told of a history whose service is away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.errors import Unavailable
from libs.common.feeds.follower import Page
from libs.common.rpc.operations import Progress
from libs.testing.windows import weekly
from services.stats.domain.model import Source
from services.stats.usecases.projections import Projections
from services.stats.worker.readers import Reader


class Away:
    """A history that nobody hands on."""

    def __init__(self, source: Source, name: str) -> None:
        self.source, self.name, self.rows_max = source, name, 8

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int) -> Page[Any]:
        raise Unavailable.dependency(self.name)


class Kept:
    """What the database has."""

    async def cursors(self, source: Source) -> dict[int, int]:
        return {0: 5, 1: 2} if source is Source.POINTS else {64: 1}

    async def count_set_aside(self, sources: Sequence[Source]) -> int:
        return 3 if Source.POINTS in sources else 0


async def test_what_is_counted_and_set_aside_is_told_while_the_service_is_away() -> None:
    kept: Any = Kept()
    away = (Away(Source.POINTS, "points"), Away(Source.RECORDS, "journey"), Away(Source.JOURNEY, "journey"))
    readers = [Reader(history, kept, Progress(), weekly) for history in away]
    states = await Projections(kept, readers, kept, counters=kept, records=kept, recounts=kept).states()
    assert [(each.source, each.counted, each.waiting, each.set_aside) for each in states] == [
        ("points", 7, 0, 3),
        ("journey", 2, 0, 0),
    ]
    assert all(each.source in each.error for each in states)
