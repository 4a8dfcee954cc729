"""Timers are looked for now and then; in between the worker's own commits say when they are due."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from libs.common.clock import SteppedClock
from libs.testing.mails import TEAM
from services.journey.domain.model import ActorKey
from services.journey.store.turns_protocol import FoundTimers, TurnStorage
from services.journey.worker.timers import LOOK_S, TimerWatch
from tests.unit.journey.builders import NOW

SECOND = timedelta(seconds=1)
PARTITIONS = (0,)
NOBODY: frozenset[ActorKey] = frozenset()


class _Clock(SteppedClock):
    rate = 1.0


class Timers:
    """A table of timers, and how often it was looked at."""

    def __init__(self, **timers: float) -> None:
        self.clock, self.real = _Clock(NOW), 0.0
        self.at = {key(name): NOW + after_s * SECOND for name, after_s in timers.items()}
        self.looks = 0
        self.watch = TimerWatch(cast("TurnStorage", self), self.clock, lambda: self.real)

    async def look_at_timers(self, partitions: Collection[int], until: object, limit: int) -> FoundTimers:
        """See `TurnStorage`."""
        self.looks += 1
        timers = sorted((at, customer) for customer, at in self.at.items())
        found = [(at, customer) for at, customer in timers if at <= until][:limit]  # type: ignore[operator]
        if len(found) == limit:
            return FoundTimers(found, found[-1][0])
        return FoundTimers(found, next((at for at, _ in timers if at > until), None))  # type: ignore[operator]

    def commit(self, name: str, after_s: float | None) -> None:
        """A turn ends, and leaves this timer."""
        self.at.pop(key(name), None)
        if after_s is not None:
            self.at[key(name)] = self.clock.now() + after_s * SECOND
        self.watch.moved(key(name), self.at.get(key(name)))

    async def due(self, limit: int = 10, busy: str = "") -> str:
        """Whose timers are due."""
        found = await self.watch.due(PARTITIONS, limit, {key(name) for name in busy})
        return "".join(chr(customer.customer_id.int) for customer in found)

    def step(self, seconds: float) -> None:
        self.clock.advance(seconds * SECOND)
        self.real += seconds


def key(name: str) -> ActorKey:
    return ActorKey(0, TEAM, UUID(int=ord(name)))


async def test_what_will_be_due_soon_is_found_by_one_look() -> None:
    timers = Timers(a=0, b=1, c=2, d=60)
    assert (await timers.due(), timers.watch.next_at) == ("a", NOW + SECOND)
    timers.commit("a", None)
    timers.step(1)
    assert (await timers.due(), timers.watch.next_at) == ("b", NOW + 2 * SECOND)
    timers.commit("b", None)
    timers.step(1)
    assert (await timers.due(), timers.watch.next_at) == ("c", NOW + 60 * SECOND)
    assert timers.looks == 1


async def test_timers_that_commits_leave_are_due_without_a_look() -> None:
    timers = Timers(a=3)
    assert await timers.due() == ""
    timers.commit("b", 1)
    timers.commit("a", 2)
    timers.commit("c", 1)
    timers.commit("c", None)
    timers.step(1)
    assert await timers.due() == "b"
    timers.commit("b", 2)
    timers.step(1)
    assert await timers.due() == "a"
    timers.commit("a", 0)
    assert await timers.due() == "a"
    timers.step(1)
    assert await timers.due() == "b"
    assert timers.looks == 1


async def test_timers_far_ahead_are_looked_for_when_they_come() -> None:
    timers = Timers()
    assert (await timers.due(), timers.watch.next_at) == ("", None)
    for name, after_s in (("a", 60), ("b", 30), ("c", 40)):
        timers.commit(name, after_s)
    assert timers.watch.next_at == NOW + 30 * SECOND
    timers.real = -100.0
    timers.clock.advance(30 * SECOND)
    assert (await timers.due(), timers.looks) == ("b", 2)
    assert timers.watch.next_at == NOW + 40 * SECOND


async def test_more_than_can_be_found_are_looked_for_again() -> None:
    timers = Timers(a=0, b=0, c=0, d=0)
    assert await timers.due(2) == "ab"
    assert timers.watch.next_at is None
    for name in "ab":
        timers.commit(name, None)
    assert await timers.due(2) == "cd"
    assert timers.looks == 2


async def test_what_is_over_the_limit_is_kept_for_the_next_batch() -> None:
    timers = Timers(a=0, b=0, c=0)
    assert (await timers.due(0), timers.looks) == ("", 0)
    assert await timers.due(2, busy="c") == "ab"
    for name in "ab":
        timers.commit(name, None)
    assert await timers.due(2) == "c"


async def test_who_was_busy_is_looked_for_again_when_a_batch_ends() -> None:
    timers = Timers(a=0, b=0)
    assert await timers.due(busy="a") == "b"
    assert (await timers.due(busy="b"), timers.looks) == ("", 1)
    timers.watch.batch_ended()
    assert (await timers.due(busy="b"), timers.looks) == ("a", 2)


async def test_what_a_commit_did_during_a_look_counts() -> None:
    timers = Timers(a=0, b=1, c=2)
    look = timers.look_at_timers

    async def slow(partitions: Collection[int], until: object, limit: int) -> FoundTimers:
        found = await look(partitions, until, limit)
        timers.commit("b", 3)
        timers.commit("c", None)
        return found

    timers.look_at_timers = slow  # type: ignore[method-assign]
    assert await timers.due() == "a"
    timers.step(2)
    assert await timers.due() == ""
    timers.step(1)
    assert await timers.due() == "b"
    assert timers.looks == 1


async def test_what_nobody_told_of_is_found_in_the_end() -> None:
    timers = Timers(b=60)
    assert await timers.due() == ""
    timers.at[key("a")] = NOW
    timers.step(LOOK_S - 1)
    assert await timers.due() == ""
    timers.step(1)
    assert await timers.due() == "a"
    timers.at[key("c")] = NOW
    timers.watch.look_again()
    assert await timers.due(busy="a") == "c"


async def test_a_fast_clock_at_the_end_of_time_is_looked_at_as_any_other() -> None:
    timers = Timers(a=0)
    timers.clock.rate = 1_000_000.0
    timers.clock.set(datetime(9999, 12, 31, tzinfo=UTC))
    assert await timers.due() == "a"
