"""What customers wrote is kept for a time only: the history forgets the texts of older messages, little by little."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.tasks import set_within
from services.segment import metrics
from services.segment.domain.facts import Fact, MessageTaken
from services.segment.domain.views import FactPage

ROWS_MAX: Final = 1_000
"""Messages of one transaction."""
_EVERY_S: Final = 600.0
_PAUSE_S: Final = 1.0
"""Between two pages, real seconds: no caller waits for this."""

_log = structlog.get_logger(__name__)


class Texts(Protocol):
    """Where texts are."""

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which texts are gone."""
        ...

    async def messages(self, cursors: Mapping[int, int], row_max: int) -> FactPage:
        """The next facts of messages."""
        ...

    async def forget(self, facts: Sequence[Fact], cursors: Mapping[int, int]) -> None:
        """Takes the texts of facts out, and moves the cursors."""
        ...


class MessageTexts:
    """A loop, see `libs.common.tasks`. Several processes may run it: the same text is taken out once."""

    def __init__(self, texts: Texts, clock: Clock, kept: timedelta) -> None:
        """Nothing happens before `run`."""
        self._texts = texts
        self._clock = clock
        self._kept = kept
        self._left: list[int] = []
        """Partitions of this round that are still to be worked. Each is read by itself: a page of all of them would be
        filled by newer messages of the first ones, for as long as these are kept."""

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set: all partitions, a page after the other, then none for a while."""
        wait_s = 0.0
        while not await set_within(stopping, wait_s):
            try:
                again = await self.step()
            except PASSING as error:
                _log.warning("texts of messages were not taken out", error=repr(error))
                again = False
            wait_s = _PAUSE_S if again else _EVERY_S

    async def step(self) -> bool:
        """Works one page of one partition; whether more may be due in this round. Raises the driver's errors."""
        cursors = await self._texts.cursors()
        if not self._left:
            self._left = sorted(cursors)
        partition = self._left[-1]
        if not await self._work({partition: cursors[partition]}):
            self._left.pop()
        return bool(self._left)

    async def _work(self, before: Mapping[int, int]) -> bool:
        """Works the next page; whether another may be due."""
        page = await self._texts.messages(before, ROWS_MAX)
        due, cursors = _due(page, self._clock.now() - self._kept)
        moved = {each: position for each, position in cursors.items() if position > before[each]}
        if not moved:
            return False
        await self._texts.forget(due, moved)
        metrics.TEXTS_FORGOTTEN.inc(len(due))
        return not page.is_last


def _due(page: FactPage, until: datetime) -> tuple[list[Fact], dict[int, int]]:
    """The facts of a page whose texts are to go, and the cursors after that: before the first that stays."""
    cursors = dict(page.cursors)
    due: list[Fact] = []
    held: set[int] = set()
    for fact in page.facts:
        if fact.partition in held:
            continue
        if fact.record_time > until:
            held.add(fact.partition)
            cursors[fact.partition] = fact.position - 1
        elif isinstance(fact.body, MessageTaken) and fact.body.text:
            due.append(fact)
    return due, cursors
