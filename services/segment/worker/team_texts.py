"""What customers wrote goes sooner where their team says so: the history forgets the texts, team by team."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from libs.common.clock import Clock
from libs.common.db.requests import forget_by_batches
from libs.common.retention import Own
from services.segment import metrics
from services.segment.domain.facts import Fact, MessageTaken
from services.segment.domain.views import FactKey

TEXTS_MAX: Final = 1_000
"""Messages of one transaction."""


class TeamsTexts(Protocol):
    """Where texts are."""

    async def place(self, team_id: UUID) -> FactKey | None:
        """The last message of a team whose text is gone; None: none is."""
        ...

    async def messages_of(
        self, team_id: UUID, after: FactKey | None, before: datetime, row_max: int
    ) -> Sequence[Fact]:
        """The next messages of a team that occurred before a time."""
        ...

    async def forget_of(
        self, team_id: UUID, facts: Sequence[Fact], after: FactKey | None, place: FactKey
    ) -> None:
        """Takes the texts of facts of messages of a team out, and moves the place, together. Others between the two
        places are noted as overdue. Nothing happens where the place is another one by now."""
        ...


class TeamTexts:
    """A loop, see `libs.common.tasks`. Several processes may run it: the same text is taken out once."""

    def __init__(self, texts: TeamsTexts, clock: Clock, kept: timedelta, own: Own) -> None:
        """`kept` by the installation; `own` are the teams that say how long."""
        self._texts = texts
        self._clock = clock
        self._kept = kept
        self._own = own

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        await forget_by_batches(self.step, "texts of teams", stopping)

    async def step(self, row_max: int) -> int:
        """Takes out a page of texts of one team, the first that has some; how many: `row_max` if there may be more.
        Raises the driver's errors."""
        most = min(row_max, TEXTS_MAX)
        for team_id, kept in (await self._own()).items():
            if kept < self._kept and await self._work(team_id, self._clock.now() - kept, most) == most:
                return row_max
        return 0

    async def _work(self, team_id: UUID, before: datetime, row_max: int) -> int:
        after = await self._texts.place(team_id)
        due = await self._texts.messages_of(team_id, after, before, row_max)
        if due:
            last = due[-1]
            place = (last.occurred_at, last.partition, last.position)
            await self._texts.forget_of(team_id, due, after, place)
            metrics.TEXTS_FORGOTTEN.inc(
                sum(isinstance(each.body, MessageTaken) and bool(each.body.text) for each in due)
            )
        return len(due)
