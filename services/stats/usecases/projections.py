"""How far the histories are counted, and whether the counters agree with the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final
from uuid import UUID

import structlog

from libs.common.db.faults import COLLIDED
from libs.common.db.pool import Pool
from libs.common.db.requests import Reply, Write, answer_after
from libs.common.db.retry import until_alone
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.feeds.follower import AWAY, POISON, CursorMovedError
from libs.common.logging import about
from services.stats import metrics
from services.stats.clients.records import Records
from services.stats.domain.check import (
    Compared,
    Recounted,
    compare_costs,
    compare_kept,
    compare_ledger,
    compare_nodes,
    compare_orders,
    compare_runs,
    compare_sends,
    ledger_recorded,
)
from services.stats.domain.model import Counts, Source, Total
from services.stats.domain.views import ProjectionState, RowPlace, RowSetAside
from services.stats.store.counters import MESSAGE_METRICS, CounterStore
from services.stats.store.projections import ProjectionStore
from services.stats.usecases.recounts import Recounts
from services.stats.worker.readers import Reader

RETRIED_MAX: Final = 500
"""Rows set aside that one call reads again."""
_ATTEMPTS: Final = 10
_OPERATORS: Final = UUID(int=0)

_log = structlog.get_logger(__name__)


class Projections:
    """All projections of this service."""

    def __init__(
        self,
        pool: Pool,
        readers: Sequence[Reader],
        store: ProjectionStore,
        *,
        counters: CounterStore,
        records: Records,
        recounts: Recounts,
    ) -> None:
        """`readers` are asked how far they are, `records` and `recounts` what the counters should say."""
        self._pool = pool
        self._readers = readers
        self._store = store
        self._counters = counters
        self._records = records
        self._recounts = recounts

    async def states(self) -> list[ProjectionState]:
        """How far each service's history is counted, and what keeps it from going on."""
        names = dict.fromkeys(reader.name for reader in self._readers)
        return [
            _together([await self._state(reader) for reader in self._readers if reader.name == name])
            for name in names
        ]

    def sources_of(self, name: str) -> list[Source]:
        """The sources of a service's name, of all for no name. Raises InvalidArgument for one that has no history."""
        names = dict.fromkeys(reader.name for reader in self._readers)
        if name and name not in names:
            raise InvalidArgument.of(FieldViolation("source", f"must be one of {', '.join(names)}"))
        return sorted(reader.source for reader in self._readers if not name or reader.name == name)

    def name_of(self, source: int) -> str:
        """The service's name."""
        return next(reader.name for reader in self._readers if reader.source == source)

    async def rows_set_aside(
        self, sources: Sequence[Source], after: RowPlace, row_max: int
    ) -> Sequence[RowSetAside]:
        """Rows that could not be counted, in order of place."""
        return await self._store.list_set_aside(sources, after, row_max)

    async def retry(
        self,
        request: Write,
        sources: Sequence[Source],
        reply: type[Reply],
        answer: Callable[[int, int], Reply],
    ) -> Reply:
        """Counts rows that were set aside, up to RETRIED_MAX; `answer` is told how many, and how many are left.

        A repeated request gets the first answer. Raises Unavailable; what was counted before stays so.
        """

        async def work() -> Reply:
            return answer(*await self._retry(sources))

        return await answer_after(self._pool, _OPERATORS, request, reply, work)

    async def _retry(self, sources: Sequence[Source]) -> tuple[int, int]:
        readers = {reader.source.value: reader for reader in self._readers}
        rows = await self._store.list_set_aside(sources, (0, 0, 0), RETRIED_MAX)
        counted = 0
        for row in rows:
            try:
                parts = await readers[row.source].read_again(row.partition, row.position)
                done = await self._count_again(row, parts)
                counted += done
                if not done:
                    _log.warning("a row still cannot be counted, or is by another call", place=row.place)
            except POISON as error:
                _log.warning("a row still cannot be counted", place=row.place, error=repr(error))
        return counted, await self._store.count_set_aside(sources)

    async def _count_again(self, row: RowSetAside, parts: Sequence[Counts | None]) -> bool:
        return await until_alone(
            lambda _attempt: self._store.count_again(row.place, parts),
            what="row set aside",
            collisions=(CursorMovedError, *COLLIDED),
            attempts=_ATTEMPTS,
        )

    async def _state(self, reader: Reader) -> ProjectionState:
        aside = counted = waiting = 0
        try:
            aside = await self._store.count_set_aside([reader.source])
            counted = await reader.counted()
            waiting, fault = await reader.waiting(), reader.error
        except AWAY as error:
            fault = str(error) or type(error).__name__
        return ProjectionState(reader.name, counted, waiting, fault, aside)

    async def compare(self, team_id: UUID) -> AsyncIterator[Compared]:
        """A team's figures beside what the owners of the records say. Raises Unavailable."""
        async for compared in self._compare(team_id):
            if not compared.agrees:
                metrics.FINDINGS.inc()
            yield compared

    async def _compare(self, team_id: UUID) -> AsyncIterator[Compared]:
        totals, sends = await self._counters.team(team_id, MESSAGE_METRICS)
        try:
            recounted = await self._recounts.of_team(team_id)
        except POISON as error:
            _log.warning(
                "a row of a history that was counted cannot be read",
                error=repr(error),
                **about(team_id=team_id),
            )
            yield Compared("rows of histories that were counted and cannot be read", 1, 0)
            return
        ledger = await self._records.ledger(team_id)
        for compared in compare_ledger(totals, ledger_recorded(ledger, recounted)):
            yield compared
        recorded, costs = await self._records.sends(team_id)
        for compared in compare_sends(_by_channel(sends), recorded):
            yield compared
        for compared in compare_costs(sends, costs):
            yield compared
        for compared in compare_orders(totals, await self._records.orders(team_id)):
            yield compared
        for what, differing in (await self._counters.differing(team_id)).items():
            for compared in compare_kept(what, differing):
                yield compared
        async for compared in self._compare_journeys(team_id, recounted):
            yield compared

    async def _compare_journeys(self, team_id: UUID, recounted: Recounted) -> AsyncIterator[Compared]:
        """The journeys of a team, and their nodes."""
        for journey_id in await self._counters.journeys(team_id):
            counted = await self._counters.totals(team_id, [journey_id])
            for compared in compare_runs(journey_id, counted, await self._records.runs(team_id, journey_id)):
                yield compared
            for compared in compare_nodes(journey_id, counted, recounted):
                yield compared


def _together(states: Sequence[ProjectionState]) -> ProjectionState:
    """Of the histories that one service has."""
    return ProjectionState(
        states[0].source,
        sum(state.counted for state in states),
        sum(state.waiting for state in states),
        next((state.error for state in states if state.error), ""),
        sum(state.set_aside for state in states),
    )


def _by_channel(sends: Sequence[Total]) -> dict[tuple[int, int], int]:
    sums: defaultdict[tuple[int, int], int] = defaultdict(int)
    for total in sends:
        sums[total.metric, total.channel] += total.value
    return sums
