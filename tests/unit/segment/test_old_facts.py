"""Old facts are emptied behind every service that reads the history, and never before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from libs.common.rpc.followers import Taken
from services.segment.domain.facts import Fact, TagApplied
from services.segment.domain.views import FactKey
from services.segment.worker.old_facts import OldFactPruning

TEAM, ANN, BO = new_id(), new_id(), new_id()
THEN = datetime(2026, 1, 1, tzinfo=UTC)


def fact(position: int, customer_id: UUID = ANN, *, mail: int | None = None) -> Fact:
    return Fact(3, TEAM, customer_id, new_id(), THEN, THEN, 0, mail, TagApplied("vip"), position)


class World:
    """Four facts, and who reads them."""

    def __init__(self, *followers: Taken) -> None:
        self.facts = [fact(1), fact(2, mail=1), fact(3, BO, mail=1), fact(4)]
        self.followers = followers
        self.emptied: list[int] = []
        self.reached: FactKey | None = None

    async def place(self, team_id: UUID) -> FactKey | None:
        return self.reached

    async def next_facts(
        self, team_id: UUID, after: FactKey | None, before: datetime, row_max: int
    ) -> Sequence[Fact]:
        return [each for each in self.facts if after is None or each.position > after[2]][:row_max]

    async def empty(
        self, team_id: UUID, facts: Sequence[Fact], after: FactKey | None, place: FactKey
    ) -> None:
        assert after == self.reached
        self.emptied += [each.position for each in facts]
        self.reached = place

    async def taken(self, team_id: UUID) -> Sequence[Taken]:
        return self.followers

    async def own(self) -> Mapping[UUID, timedelta]:
        return {TEAM: timedelta(days=30)}

    async def prune(self, row_max: int = 100) -> list[int]:
        await OldFactPruning(self, self, SteppedClock(THEN + timedelta(days=90)), self.own).step(row_max)
        return self.emptied


async def test_the_slowest_reader_holds_what_it_has_not_taken() -> None:
    assert await World(Taken({3: 4}), Taken({3: 2})).prune() == [1, 2]
    assert await World(Taken({3: 4}), Taken({})).prune() == []
    assert await World(Taken({3: 9}), Taken({3: 4})).prune() == [1, 2, 3, 4]


async def test_mail_is_held_until_actors_have_taken_it() -> None:
    assert await World(Taken({3: 4}, {3: 1})).prune() == [1]
    assert await World(Taken({3: 4}, {5: 9})).prune() == [1]


async def test_who_is_set_aside_holds_their_own_mail_only() -> None:
    world = World(Taken({3: 4}, {3: 4}, [BO]))
    assert await world.prune() == [1, 2, 4]
    assert world.reached == (THEN, 3, 4), "theirs is noted when the place moves over it"


async def test_a_step_is_bounded() -> None:
    world = World(Taken({3: 4}))
    assert await world.prune(1) == [1]
    assert await world.prune(2) == [1, 2, 3]
