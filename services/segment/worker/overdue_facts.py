"""Facts that were passed over when their team's history was emptied: recorded late, or their customer was set aside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, Protocol
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.requests import forget_by_batches
from libs.common.retention import Own
from services.segment.domain.facts import Fact
from services.segment.worker.old_facts import FACTS_MAX, Followers, Reach

_FIRST: Final = (-1, 0)


class OverdueFacts(Protocol):
    """Where they are noted."""

    async def note(self, row_max: int) -> int:
        """Looks at the next facts as they were recorded, `row_max` at most, and notes those that are overdue; `row_max`
        if there may be more to look at."""
        ...

    async def page(
        self, team_id: UUID, after: tuple[int, int], row_max: int, *, text_only: bool
    ) -> Sequence[Fact]:
        """The next that are noted, by partition and position; `text_only`: of those whose text alone is to go."""
        ...

    async def empty(self, team_id: UUID, facts: Sequence[Fact], *, text_only: bool) -> None:
        """Takes out of facts what they say of customers, or their texts alone, and the notes of them with it."""
        ...


class OverduePruning:
    """A loop, see `libs.common.tasks`. Several processes may run it: a fact that is emptied twice is as empty."""

    def __init__(
        self, facts: OverdueFacts, followers: Followers, clock: Clock, *, histories: Own, texts: Own
    ) -> None:
        """The teams that say how long they keep their history, and what customers wrote."""
        self._facts = facts
        self._followers = followers
        self._clock = clock
        self._kinds = ((False, histories), (True, texts))

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        await forget_by_batches(self.step, "overdue facts", stopping)

    async def step(self, row_max: int) -> int:
        """Looks at a page of what was recorded, then empties whatever is noted, due and taken by all; `row_max` if
        there may be more to look at. Raises Unavailable, the driver's errors."""
        looked = await self._facts.note(row_max)
        for text_only, own in self._kinds:
            await self._empty_of(await own(), text_only=text_only)
        return looked

    async def _empty_of(self, own: Mapping[UUID, timedelta], *, text_only: bool) -> None:
        for team_id, kept in own.items():
            before, after, full = self._clock.now() - kept, _FIRST, True
            while full:
                page = await self._facts.page(team_id, after, FACTS_MAX, text_only=text_only)
                if due := [fact for fact in page if fact.occurred_at < before]:
                    reach = Reach(await self._followers.taken(team_id))
                    ready = [fact for fact in due if reach.has_read(fact) and not reach.awaits(fact)]
                    await self._facts.empty(team_id, ready, text_only=text_only)
                full = len(page) == FACTS_MAX
                after = (page[-1].partition, page[-1].position) if page else after
