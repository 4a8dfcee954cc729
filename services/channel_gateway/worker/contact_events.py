"""Contact events: segment's history becomes webhooks of those who subscribe to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from libs.common.errors import Unavailable
from libs.common.feeds.follower import POISON, CursorMovedError, Follower, History, Page
from libs.common.feeds.rows import FactRow
from services.channel_gateway import metrics
from services.channel_gateway.convert.contact_events import contact_events
from services.channel_gateway.store.webhooks_out import WebhookStore

PAGE_ROWS: Final = 1_000
LINGER_S: Final = 0.5
"""Real seconds between two pages that are not full."""


class ContactProjection:
    """A `Projection` of segment's history."""

    def __init__(self, store: WebhookStore, made: Callable[[], None]) -> None:
        """`made` is called when there are new webhooks."""
        self._store = store
        self._made = made

    async def cursors(self) -> dict[int, int]:
        """See `Projection`."""
        return await self._store.cursors()

    async def apply(self, before: Mapping[int, int], page: Page[FactRow]) -> None:
        """See `Projection`."""
        if await self._store.take(before, page.cursors, contact_events(page.rows)):
            self._made()

    async def set_aside(self, before: Mapping[int, int], page: Page[FactRow], reason: str) -> None:
        """See `Projection`."""
        (row,) = page.rows
        await self._store.set_aside(before, page.cursors, row.place, reason)
        metrics.CONTACT_ROWS_SET_ASIDE.inc()


class ContactFollower:
    """Follows segment's history: a loop, see `libs.common.tasks`."""

    def __init__(self, history: History[FactRow], projection: ContactProjection) -> None:
        """Both of this process; other processes may follow, too."""
        self._history = history
        self._projection = projection
        self._follower = Follower(
            history, projection, rows_max=PAGE_ROWS, few_rows=PAGE_ROWS // 2, linger_s=LINGER_S
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows until told to stop."""
        await self._follower.run(stopping)

    async def catch_up(self) -> None:
        """Returns when all that segment had committed when this was called is taken, whatever is committed meanwhile: a
        subscription that is stored now gets exactly what comes after. Raises Unavailable while segment is away."""
        while True:
            before = await self._projection.cursors()
            page = await self._history.read(before, 0, PAGE_ROWS)
            if page.cursors == before:
                return
            try:
                await self._projection.apply(before, page)
            except CursorMovedError:
                continue
            except POISON as error:
                raise Unavailable.dependency("segment") from error
            if page.is_last:
                return
