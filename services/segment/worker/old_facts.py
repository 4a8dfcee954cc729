"""What the history says of customers goes when their team says so, behind every service that reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import takewhile
from typing import Final, Protocol
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.requests import forget_by_batches
from libs.common.retention import Own
from libs.common.rpc.followers import Taken
from services.segment.domain.facts import Fact
from services.segment.domain.views import FactKey

FACTS_MAX: Final = 1_000
"""Facts of one transaction."""


class OldFacts(Protocol):
    """Where facts are."""

    async def place(self, team_id: UUID) -> FactKey | None:
        """The last fact up to which a team's were emptied; None: none is."""
        ...

    async def next_facts(
        self, team_id: UUID, after: FactKey | None, before: datetime, row_max: int
    ) -> Sequence[Fact]:
        """The next facts of a team that occurred before a time."""
        ...

    async def empty(
        self, team_id: UUID, facts: Sequence[Fact], after: FactKey | None, place: FactKey
    ) -> None:
        """Takes out of facts what they say of customers, and moves the place, together. Others between the two places
        are noted as overdue. Nothing happens where the place is another one by now."""
        ...


class Followers(Protocol):
    """Who reads the history."""

    async def taken(self, team_id: UUID) -> Sequence[Taken]:
        """How far each is. Raises Unavailable."""
        ...


class OldFactPruning:
    """A loop, see `libs.common.tasks`. Several processes may run it: a fact that is emptied twice is as empty."""

    def __init__(self, facts: OldFacts, followers: Followers, clock: Clock, own: Own) -> None:
        """`own` are the teams that say how long."""
        self._facts = facts
        self._followers = followers
        self._clock = clock
        self._own = own

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        await forget_by_batches(self.step, "old facts", stopping)

    async def step(self, row_max: int) -> int:
        """Empties a page of facts of one team, the first that has some; `row_max` if there may be more to do, else 0.
        Raises Unavailable, the driver's errors."""
        most = min(row_max, FACTS_MAX)
        for team_id, kept in (await self._own()).items():
            after = await self._facts.place(team_id)
            due = await self._facts.next_facts(team_id, after, self._clock.now() - kept, most)
            if not due:
                continue
            reach = Reach(await self._followers.taken(team_id))
            passed = list(takewhile(reach.has_read, due))
            if passed:
                last = passed[-1]
                ready = [fact for fact in passed if not reach.awaits(fact)]
                place = (last.occurred_at, last.partition, last.position)
                await self._facts.empty(team_id, ready, after, place)
            if len(passed) == most:
                return row_max
        return 0


class Reach:
    """How far all who read the history of a team have taken it."""

    def __init__(self, followers: Sequence[Taken]) -> None:
        """As each says."""
        self._followers = followers
        self._waiting = {customer for each in followers for customer in each.waiting}

    def has_read(self, fact: Fact) -> bool:
        """Whether all are behind a fact, whatever it is to its customer."""
        return all(fact.position <= _position(each, fact) for each in self._followers)

    def awaits(self, fact: Fact) -> bool:
        """Whether a fact is mail to a customer who is set aside: it waits for them, and holds nobody else's."""
        return fact.mail_number is not None and fact.customer_id in self._waiting


def _position(taken: Taken, fact: Fact) -> int:
    position = taken.positions.get(fact.partition, 0)
    if fact.mail_number is None or not taken.mail_positions:
        return position
    return min(position, taken.mail_positions.get(fact.partition, 0))
