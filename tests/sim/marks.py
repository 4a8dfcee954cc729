"""Segment's follower of the gateway's history in memory: processes that take it page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from services.channel_gateway.domain.model import SendState
from tests.sim.chance import Chance
from tests.sim.gateway import Settled
from tests.sim.segment import Segment

PAGE_MAX: Final = 12
LOOK_EVERY_S: Final = 2.0


class Marks:
    """The cursor, and the processes that move it together with the times."""

    def __init__(self, history: Sequence[Settled], segment: Segment, chance: Chance) -> None:
        """`history` is only ever appended to."""
        self._history = history
        self._segment = segment
        self._chance = chance
        self._cursor = 0

    @property
    def behind(self) -> int:
        """Rows that are not taken."""
        return len(self._history) - self._cursor

    async def run(self) -> None:
        """One process, for ever."""
        while True:
            await asyncio.sleep(self._chance.some(LOOK_EVERY_S))
            before = self._cursor
            page = self._history[before : before + self._chance.random.randint(1, PAGE_MAX)]
            await asyncio.sleep(self._chance.some(0.2))
            if self._cursor != before or not page:
                continue
            if self._chance.strikes("segment killed before it took a page", 0.02):
                continue
            self._cursor += len(page)
            for row in page:
                if row.state is SendState.SENT:
                    self._segment.mark(row.delivery.send.customer_id, row.at)
