"""However a history is cut into batches and whoever dies in between, every row counts exactly once."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.feeds import journey_records as records
from libs.common.feeds.follower import CursorMovedError, Page
from libs.common.feeds.records import shard_of
from libs.common.feeds.rows import RecordRow
from libs.common.rpc.operations import Progress
from libs.testing.history_rows import (
    JOURNEY,
    NOON,
    click,
    entry,
    order,
    receipt,
    record,
    refund,
    run_segment,
    segment_fact,
    sent,
    stored,
)
from libs.testing.mails import customers
from libs.testing.windows import weekly
from services.stats.convert.facts import read_facts
from services.stats.domain.fold import count
from services.stats.domain.model import CounterKey, Counts, First, Source
from services.stats.worker.readers import Reader

PEOPLE: Final = list(islice(customers(), 6))

_who = st.sampled_from(PEOPLE)
_when = st.integers(0, 200).map(lambda minutes: NOON + timedelta(minutes=minutes))
_steps = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 17), st.booleans()), max_size=4)

_facts = st.one_of(
    st.builds(
        lambda who, steps, enrolled, state, journey, after: segment_fact(
            who, *steps, enrolled=enrolled, state=state, journey=journey, after_us=after
        ),
        _who,
        _steps,
        st.booleans(),
        st.integers(1, 4),
        st.integers(0, 1),
        st.integers(-(10**10), 10**10),
    ),
    st.builds(
        lambda who, journey, after: records.RefusalFact(journey, who.bytes, 1, after),
        _who,
        st.integers(0, 1),
        st.integers(-(10**10), 10**10),
    ),
    st.just(records.StatusFact(0, 3, 4, 0, "Welcome")),
)


def _record(who: UUID, when: datetime, facts: list[records.Fact]) -> RecordRow:
    row = record(who, *facts, at=when, journeys=[JOURNEY, UUID(int=7)])
    row.partition = records.FEED_START + shard_of(row.partition)
    return row


ROWS: Final[Mapping[Source, st.SearchStrategy[Any]]] = {
    Source.JOURNEY: st.builds(
        lambda who, when, steps, enrolled, state: run_segment(
            who, *steps, at=when, enrolled=enrolled, state=state
        ),
        _who,
        _when,
        _steps,
        st.booleans(),
        st.integers(1, 4),
    ),
    Source.RECORDS: st.builds(_record, _who, _when, st.lists(_facts, max_size=5)),
    Source.GATEWAY: st.one_of(
        st.builds(
            lambda who, when, state, messages: sent(who, at=when, state=state, messages=messages),
            _who,
            _when,
            st.integers(1, 7),
            st.integers(0, 3),
        ),
        st.builds(lambda who, when, kind: receipt(who, kind, at=when), _who, _when, st.integers(1, 4)),
        st.builds(
            lambda who, when, n: click(who, UUID(int=who.int ^ n), when), _who, _when, st.integers(1, 3)
        ),
    ),
    Source.POINTS: st.builds(
        lambda who, when, source, change: entry(who, source, change, at=when),
        _who,
        _when,
        st.integers(1, 7),
        st.integers(-50, 50),
    ),
    Source.SEGMENT: st.one_of(
        st.builds(order, _who, _when), st.builds(refund, _who, _when), st.builds(stored, st.integers(0, 63))
    ),
}


class History:
    """A history in memory, read in pages of any size."""

    name = "history"
    rows_max = 2_000

    def __init__(self, source: Source, rows: Sequence[Any], page_rows: Callable[[], int]) -> None:
        self.source = source
        self._page_rows = page_rows
        self._rows: defaultdict[int, list[Any]] = defaultdict(list)
        for row in rows:
            self._rows[row.partition].append(row)

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int = 0) -> Page[Any]:
        after = dict(cursors)
        page: list[Any] = []
        room = self._page_rows()
        for partition, position in cursors.items():
            taken = self._rows[partition][position : position + room - len(page)]
            page += taken
            after[partition] = position + len(taken)
        return Page(page, after)


class Crash(Exception):
    """The process died."""


class MemoryCounters:
    """Counters and cursors in memory; dies where it is told."""

    def __init__(self) -> None:
        self.values: defaultdict[CounterKey, int] = defaultdict(int)
        self.firsts: set[First] = set()
        self.positions: dict[int, int] = dict.fromkeys(range(72), 0)
        self.fate = "commits"

    async def cursors(self, source: Source) -> dict[int, int]:
        return dict(self.positions)

    async def count(
        self, source: Source, before: Mapping[int, int], after: Mapping[int, int], counts: Counts
    ) -> None:
        if self.fate == "dies before":
            raise Crash
        if any(self.positions[p] != before[p] for p in after if after[p] != before[p]):
            raise CursorMovedError
        self.add(counts)
        self.positions = dict(after)
        if self.fate == "dies after":
            raise Crash

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
        raise AssertionError(reason)

    def add(self, counts: Counts) -> None:
        for key, value in counts.deltas.items():
            self.values[key] += value
        for first, key in counts.firsts.items():
            if first not in self.firsts:
                self.firsts.add(first)
                self.values[key] += 1

    @property
    def shown(self) -> dict[CounterKey, int]:
        return {key: value for key, value in self.values.items() if value}


def at_once(source: Source, rows: Sequence[Any]) -> dict[CounterKey, int]:
    """Counters of all rows in one batch."""
    counters = MemoryCounters()
    ordered = sorted(rows, key=lambda row: int(row.partition))
    counters.add(count(read_facts(source, ordered)))
    return counters.shown


@settings(deadline=None)
@given(data=st.data(), source=st.sampled_from(Source))
def test_any_pages_and_any_crashes_give_the_same_counts(data: st.DataObject, source: Source) -> None:
    rows = data.draw(st.lists(ROWS[source], max_size=40))
    history = History(source, rows, lambda: data.draw(st.integers(1, 12)))
    counters = MemoryCounters()
    asyncio.run(_count_all(data, Reader(history, counters, Progress(), weekly), counters, len(rows)))
    assert counters.shown == at_once(source, rows)


async def _count_all(data: st.DataObject, reader: Reader, counters: MemoryCounters, rows: int) -> None:
    while sum(counters.positions.values()) < rows:
        counters.fate = data.draw(st.sampled_from(["commits", "commits", "dies before", "dies after"]))
        try:
            await reader.step(0)
        except Crash:
            continue


@settings(deadline=None)
@given(data=st.data(), source=st.sampled_from(Source))
def test_two_readers_of_one_history_count_it_once(data: st.DataObject, source: Source) -> None:
    rows = data.draw(st.lists(ROWS[source], min_size=1, max_size=30))
    history = History(source, rows, lambda: 7)
    counters = MemoryCounters()

    async def both() -> None:
        readers = [Reader(history, counters, Progress(), weekly) for _ in range(2)]
        while sum(counters.positions.values()) < len(rows):
            done = await asyncio.gather(*(r.step(0) for r in readers), return_exceptions=True)
            assert all(isinstance(each, int | CursorMovedError) for each in done), done

    asyncio.run(both())
    assert counters.shown == at_once(source, rows)
