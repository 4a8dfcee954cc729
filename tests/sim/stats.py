"""Stats in memory: its fold counts what the histories give, page by page, in processes that do the same."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from services.channel_gateway.domain.model import SendState
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.turn import Refusal, RunSegment
from services.points.domain.model import Entry
from services.points.domain.model import Source as EntrySource
from services.segment.domain import facts as told
from services.segment.domain.model import Uncounted
from services.stats.domain import facts as f
from services.stats.domain.fold import count
from services.stats.domain.model import QUARTER_S, CounterKey, First
from tests.sim.chance import Chance
from tests.sim.gateway import Settled
from tests.sim.turn_store import Fact as JourneyFact

PAGE_MAX: Final = 12
LOOK_EVERY_S: Final = 2.0
_RUN_ENDS: Final = {
    EnrolmentState.COMPLETED: f.RunEnd.COMPLETED,
    EnrolmentState.CONVERTED: f.RunEnd.CONVERTED,
    EnrolmentState.HALTED: f.RunEnd.HALTED,
}
_SEND_ENDS: Final = {
    SendState.SENT: f.SendEnd.SENT,
    SendState.SKIPPED: f.SendEnd.SKIPPED,
    SendState.FAILED: f.SendEnd.FAILED,
    SendState.UNKNOWN: f.SendEnd.UNKNOWN,
}
_SOURCES: Final = {
    EntrySource.WEB_ORDER: f.EntrySource.ORDER,
    EntrySource.REFUND: f.EntrySource.REFUND,
    EntrySource.JOURNEY: f.EntrySource.JOURNEY,
}


class Stats:
    """The tables, and the processes that fill them."""

    def __init__(self, histories: Mapping[str, Sequence[Any]], chance: Chance) -> None:
        """`histories` by service; rows are only ever appended."""
        self.counters: Counter[CounterKey] = Counter()
        self._firsts: set[First] = set()
        self._cursors: defaultdict[str, int] = defaultdict(int)
        self._histories = histories
        self._chance = chance

    @property
    def behind(self) -> int:
        """Rows that are not counted."""
        return sum(len(rows) - self._cursors[name] for name, rows in self._histories.items())

    async def run(self) -> None:
        """One process, for ever."""
        while True:
            await asyncio.sleep(self._chance.some(LOOK_EVERY_S))
            for name, rows in self._histories.items():
                if len(rows) > self._cursors[name]:
                    await self._count(name, rows)

    async def _count(self, name: str, rows: Sequence[Any]) -> None:
        """Reads a page, and commits counts and cursor together, unless somebody else has counted it."""
        before = self._cursors[name]
        page = rows[before : before + self._chance.random.randint(1, PAGE_MAX)]
        counts = count([(fact, 1) for row in page if (fact := _READERS[name](row)) is not None])
        await asyncio.sleep(self._chance.some(0.2))
        if self._cursors[name] != before:
            self._chance.note("a page was counted by two")
            return
        if self._chance.strikes("stats killed before its commit", 0.02):
            return
        self._cursors[name] += len(page)
        self.counters.update(counts.deltas)
        for first, key in counts.firsts.items():
            if first not in self._firsts:
                self._firsts.add(first)
                self.counters[key] += 1


def _quarter(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // QUARTER_S * QUARTER_S, at.tzinfo)


def _of_journey(row: JourneyFact) -> f.Fact:
    team_id = row.customer.team_id
    if isinstance(row.what, Refusal):
        return f.TriggerRefused(team_id, row.what.journey_id, _quarter(row.what.at))
    run_segment: RunSegment = row.what
    steps = tuple(
        f.Step(step.node_id, int(step.result), step.entered, _quarter(step.at)) for step in run_segment.steps
    )
    end = _RUN_ENDS.get(run_segment.state, f.RunEnd.NOT_YET)
    return f.RunSegment(
        team_id, run_segment.journey_id, _quarter(run_segment.at), run_segment.enrolled, end, steps
    )


def _of_gateway(row: Settled) -> f.Fact:
    send = row.delivery.send
    return f.SendSettled(
        send.team_id,
        send.journey_id,
        send.node_id,
        send.channel,
        _quarter(row.at),
        _SEND_ENDS.get(row.state, f.SendEnd.OTHER),
        row.messages,
        0,
        "",
    )


def _of_points(row: Entry) -> f.Fact:
    return f.PointsChanged(
        row.team_id,
        _quarter(row.posted_at),
        _SOURCES[row.source],
        row.delta_balance,
        row.delta_cumulative,
        row.requested_balance,
    )


def _of_segment(row: told.Fact) -> f.Fact | None:
    assert row.customer_id is not None
    match row.body:
        case told.OrderReported(stage=told.OrderStage.COMPLETED):
            return f.OrderCounted(row.team_id, row.customer_id, _quarter(row.occurred_at))
        case told.RefundReported(uncounted=Uncounted.COUNTS):
            return f.RefundCounted(row.team_id, row.customer_id, _quarter(row.occurred_at))
        case _:
            return None


_READERS: Final[Mapping[str, Callable[[Any], f.Fact | None]]] = {
    "journey": _of_journey,
    "gateway": _of_gateway,
    "points": _of_points,
    "segment": _of_segment,
}
