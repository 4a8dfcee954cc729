"""Those to be halted are found a large page at a time, each once, and nobody is looked for in vain without end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import pytest

from services.journey.domain.model import ActorKey
from services.journey.worker import halting

TEAM, JOURNEY, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def key(number: int) -> ActorKey:
    return ActorKey(0, TEAM, UUID(int=number))


class Inside:
    """Who is inside which journey, and how often that was asked."""

    def __init__(self, inside: dict[UUID, list[ActorKey]]) -> None:
        self.inside = inside
        self.asked: list[UUID] = []

    async def halting_customers(
        self, team_id: UUID, journey_id: UUID, partitions: Iterable[int], limit: int
    ) -> list[ActorKey]:
        self.asked.append(journey_id)
        return self.inside[journey_id][:limit]


class World:
    """The sweep of some journeys, and its time."""

    def __init__(self, inside: dict[UUID, list[ActorKey]]) -> None:
        self.inside = Inside(inside)
        self.now = 0.0
        store: Any = self.inside
        self.halting = halting.Halting(store, lambda: self.now)
        self.journeys = [(TEAM, journey_id) for journey_id in inside]

    async def take(self, limit: int, *busy: ActorKey) -> list[ActorKey]:
        return await self.halting.take(limit, {0}, set(busy))


async def test_a_page_serves_many_batches_with_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halting, "PAGE_MAX", 100)
    monkeypatch.setattr(halting, "PAGE_MIN", 100)
    crowd = [key(n) for n in range(250)]
    world = World({JOURNEY: crowd})
    assert world.halting.set_stopping(world.journeys)
    halted: list[ActorKey] = []
    while batch := await world.take(10):
        halted += batch
        world.inside.inside[JOURNEY] = crowd[len(halted) :]
    assert halted == crowd
    assert len(world.inside.asked) == 3


async def test_who_is_busy_comes_again_and_costs_no_look() -> None:
    world = World({JOURNEY: [key(1), key(2)]})
    world.halting.set_stopping(world.journeys)
    assert await world.take(10, key(1)) == [key(2)]
    assert world.halting.set_stopping(world.journeys)
    assert await world.take(10) == [key(1)]
    assert world.inside.asked == [JOURNEY]


async def test_a_journey_in_which_nobody_is_to_be_halted_is_looked_at_ever_more_rarely() -> None:
    world = World({JOURNEY: []})
    looks = []
    for second in range(60):
        world.now = float(second)
        for _ in range(50):  # the scheduler names it far more often
            if world.halting.set_stopping(world.journeys):
                looks.append(second)
                assert await world.take(10) == []
    assert looks == [0, 1, 3, 7, 15, 23, 31, 39, 47, 55]
    assert len(world.inside.asked) == len(looks)


async def test_what_was_found_and_not_halted_is_found_again_by_a_later_look() -> None:
    world = World({JOURNEY: [key(1)], OTHER: [key(2)]})
    world.halting.set_stopping(world.journeys)
    assert await world.take(10) == [key(1), key(2)]
    # Their batch failed.
    assert await world.take(10) == []
    world.now = 1.0
    assert world.halting.set_stopping(world.journeys)
    assert await world.take(10) == [key(1), key(2)]
    assert not world.halting.set_stopping([])


@pytest.mark.parametrize("first", [JOURNEY, OTHER])
async def test_a_stop_does_not_wait_for_the_customers_of_another(first: UUID) -> None:
    crowds = {JOURNEY: [key(n) for n in range(100, 1_000)], OTHER: [key(1), key(2), key(3)]}
    world = World({each: crowds[each] for each in sorted(crowds, key=lambda each: each != first)})
    world.halting.set_stopping(world.journeys)
    batch = await world.take(10)
    assert set(crowds[OTHER]) <= set(batch)
    assert len(batch) == 10, "the rest of the batch is the other's"


async def test_each_of_more_journeys_than_a_batch_has_room_for_has_its_turn() -> None:
    world = World({UUID(int=n): [key(100 * n + place) for place in range(9)] for n in range(1, 8)})
    halted: set[UUID] = set()
    for _ in range(3):
        world.halting.set_stopping(world.journeys)
        halted |= {UUID(int=each.customer_id.int // 100) for each in await world.take(3)}
    assert halted == set(world.inside.inside)
