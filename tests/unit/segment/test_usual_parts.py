"""A large batch of usual events is written in parts: each is decided while the one before is written, alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.common.clock import SteppedClock
from libs.common.config import AHEAD_MAX
from libs.common.db.pool import Connection, Pool
from services.segment.domain.facts import Fact
from services.segment.domain.model import Event, OrderCompleted, Selector
from services.segment.domain.recorder import Recording
from services.segment.domain.results import EventResult, EventStatus
from services.segment.domain.usual import usual_context
from services.segment.worker import usual_events
from services.segment.worker.usual_events import UsualWriter, parts_of

TEAM = UUID(int=1)
START = datetime(2026, 3, 1, tzinfo=UTC)


async def _no_server() -> Connection:
    raise AssertionError("no statement runs here")


def _events(count: int) -> list[Event]:
    return [
        Event(
            TEAM,
            f"e{number}",
            Selector(customer_id=UUID(int=number)),
            START,
            OrderCompleted("shop", f"o{number}", 1, "TWD", signed=True),
        )
        for number in range(1, count + 1)
    ]


class _Server:
    """Writes a part when the next one is decided, as one that is slower than Python does. `fails_at`: a part."""

    def __init__(self, part_count: int, fails_at: int = 0) -> None:
        self.told: list[tuple[str, int]] = []
        self.published: list[int] = []
        self.fails_at = fails_at
        self._decided = [asyncio.Event() for _ in range(part_count + 1)]
        self._decided[part_count].set()
        self._count = 0

    def ready(self, _events: Sequence[Event], recording: Recording, _now: datetime) -> _Ready:
        self.told.append(("decided", self._count))
        self._decided[self._count].set()
        self._count += 1
        return _Ready(self, self._count - 1, recording.facts)

    async def write(self, number: int) -> None:
        self.told.append(("begun", number))
        await self._decided[number + 1].wait()
        if number == self.fails_at - 1:
            raise OSError("the server went away")
        self.told.append(("written", number))


class _Ready:
    def __init__(self, server: _Server, number: int, facts: Sequence[Fact]) -> None:
        self._server = server
        self._number = number
        self._facts = facts

    async def write(self, _: Pool) -> Sequence[Fact]:
        await self._server.write(self._number)
        return self._facts


async def _record(
    server: _Server, events: Sequence[Event], monkeypatch: pytest.MonkeyPatch
) -> list[EventResult | None]:
    monkeypatch.setattr(usual_events, "PART", 2)
    monkeypatch.setattr(usual_events, "UsualEvents", server.ready)
    context = usual_context(events, {})
    assert context is not None
    writer = UsualWriter(
        Pool(_no_server, 1),
        SteppedClock(START),
        lambda facts, handled, views: server.published.append(handled),
        AHEAD_MAX,
    )
    async with asyncio.timeout(10):
        return await writer.record(events, context)


async def test_a_part_is_decided_while_the_one_before_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    events = _events(5)
    server = _Server(3)
    results = await _record(server, events, monkeypatch)
    assert server.told == [
        *(("decided", 0), ("begun", 0)),
        *(("decided", 1), ("written", 0), ("begun", 1)),
        *(("decided", 2), ("written", 1), ("begun", 2)),
        ("written", 2),
    ]
    assert server.published == [1, 2, 2]
    assert results == [EventResult(EventStatus.ACCEPTED, each.selector.customer_id) for each in events]


async def test_nothing_is_begun_after_a_part_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    server = _Server(3, fails_at=2)
    with pytest.raises(OSError, match="went away"):
        await _record(server, _events(6), monkeypatch)
    assert [what for what, number in server.told if number == 2] == ["decided"]
    assert server.published == [2], "what was written is told of"


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("begun", [0, 3])
async def test_a_batch_that_is_given_up_leaves_no_write_behind(
    begun: int, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = _Server(5)  # of which the batch has four: the last is never written
    batch = asyncio.create_task(_record(server, _events(8), monkeypatch))
    while ("begun", begun) not in server.told:
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    batch.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batch
    assert [each.get_name() for each in asyncio.all_tasks() if each.get_name() == "usual events"] == []


@pytest.mark.parametrize("count", [1, 2, 3, 249, 250, 251, 499, 500, 501])
def test_parts_are_even_and_whole(count: int) -> None:
    parts = list(parts_of(range(count)))
    sizes = [len(part) for part in parts]
    assert [place for part in parts for place in part] == list(range(count))
    assert max(sizes) <= usual_events.PART
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) == -(-count // usual_events.PART)
