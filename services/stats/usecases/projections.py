"""How far the histories are counted, and whether the counters agree with the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from libs.common.feeds.follower import AWAY
from services.stats import metrics
from services.stats.clients.records import Records
from services.stats.domain.check import Compared, compare_ledger, compare_runs, compare_sends
from services.stats.domain.model import Total
from services.stats.domain.views import ProjectionState
from services.stats.store.counters import CounterStore
from services.stats.worker.readers import Reader


class Projections:
    """All projections of this service."""

    def __init__(self, readers: Sequence[Reader], counters: CounterStore, records: Records) -> None:
        """`readers` are asked how far they are, `records` what the counters should say."""
        self._readers = readers
        self._counters = counters
        self._records = records

    async def states(self) -> list[ProjectionState]:
        """How far each history is counted, and what keeps it from going on."""
        return [await _state(reader) for reader in self._readers]

    async def compare(self, team_id: UUID) -> AsyncIterator[Compared]:
        """A team's figures beside what the owners of the records say. Raises Unavailable."""
        async for compared in self._compare(team_id):
            if not compared.agrees:
                metrics.FINDINGS.inc()
            yield compared

    async def _compare(self, team_id: UUID) -> AsyncIterator[Compared]:
        totals, sends = await self._counters.team(team_id)
        for compared in compare_ledger(totals, await self._records.ledger(team_id)):
            yield compared
        for compared in compare_sends(_by_channel(sends), await self._records.sends(team_id)):
            yield compared
        for journey_id in await self._counters.journeys(team_id):
            counted = await self._counters.totals(team_id, [journey_id])
            for compared in compare_runs(journey_id, counted, await self._records.runs(team_id, journey_id)):
                yield compared


async def _state(reader: Reader) -> ProjectionState:
    try:
        return ProjectionState(reader.name, await reader.counted(), await reader.waiting(), reader.error)
    except AWAY as error:
        return ProjectionState(reader.name, 0, 0, str(error) or type(error).__name__)


def _by_channel(sends: Sequence[Total]) -> dict[tuple[int, int], int]:
    sums: defaultdict[tuple[int, int], int] = defaultdict(int)
    for total in sends:
        sums[total.metric, total.channel] += total.value
    return sums
