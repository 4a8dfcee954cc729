"""Figures read anew from the histories that are the one record of them: of nodes and their messages, above all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from services.stats.domain.check import Place, Recounted, is_recounted
from services.stats.domain.model import Source
from services.stats.store.projections import ProjectionStore
from services.stats.store.rebuilds import RebuildStore
from services.stats.worker.readers import SourceHistory
from services.stats.worker.rebuilds import counts_without

_SOURCES: Final = frozenset(Source) - {Source.SEGMENT}


class Recounts:
    """Reads from the beginning up to where the figures are counted, and keeps nothing of it."""

    def __init__(
        self, histories: Sequence[SourceHistory], projections: ProjectionStore, rebuilds: RebuildStore
    ) -> None:
        """`histories` are all; `rebuilds` knows what is set aside."""
        self._histories = [history for history in histories if history.source in _SOURCES]
        self._projections = projections
        self._rebuilds = rebuilds

    async def of_team(self, team_id: UUID) -> Recounted:
        """What the histories say of a team. Raises Unavailable, the driver's errors, and `POISON` for a row that
        was counted before and cannot be read."""
        found = Counter[tuple[UUID, Place]]()

        def own(of: UUID) -> UUID | None:
            return of if of == team_id else None

        for history in self._histories:
            await self._add(history, own, found)
        return found

    async def _add(
        self,
        history: SourceHistory,
        own: Callable[[UUID], UUID | None],
        found: Counter[tuple[UUID, Place]],
    ) -> None:
        ends = await self._projections.cursors(history.source)
        cursors: Mapping[int, int] = dict.fromkeys(ends, 0)
        while cursors != ends:
            page = await history.read(cursors, 0, history.rows_max)
            after = {partition: min(at, ends[partition]) for partition, at in page.cursors.items()}
            if after == cursors:
                return
            rows = [row for row in page.rows if row.position <= ends[row.partition]]
            aside = await self._rebuilds.aside(history.source, [row.place for row in rows]) if rows else {}
            counts = counts_without(history.source, rows, aside, own)
            for key, value in counts.deltas.items():
                if is_recounted(key.metric):
                    found[key.journey_id, Place(key.metric, key.node_id, key.channel, key.label)] += value
            cursors = after
