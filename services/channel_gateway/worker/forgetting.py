"""Removes what is kept for a time only: webhooks that are worked and old, and contents of deliveries."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

from libs.common.clients.retention import RetentionClient
from libs.common.clock import Clock
from libs.common.db.pool import Pool
from libs.common.db.requests import forget_by_batches
from libs.common.retention import Cutoffs, Own, nobody
from services.channel_gateway.config import Settings
from services.channel_gateway.store.limited import LIMITED_DAYS, LimitStore
from services.channel_gateway.store.send_traces import KEPT_DAYS, SendTraceStore


class ForgettingStore(Protocol):
    """Where something is kept for a time."""

    async def forget(self, cutoffs: Cutoffs, row_max: int, /) -> int:
        """Removes up to `row_max` that came before a time; how many."""
        ...


class Forgetting:
    """A loop, see `libs.common.tasks`. Every process may run it: what one removes the others do not find."""

    def __init__(
        self, store: ForgettingStore, clock: Clock, kept_days: int, what: str, own: Own = nobody
    ) -> None:
        """`what`, for people, is kept for `kept_days` of domain time, or for as long as its team says by `own`; and for
        as long as there is work to do for it."""
        self._store = store
        self._clock = clock
        self._kept = timedelta(days=kept_days)
        self._what = what
        self._own = own

    async def step(self, row_max: int) -> int:
        """Removes some that are too old; how many. Raises Unavailable, the driver's errors."""
        own = await self._own()
        return await self._store.forget(Cutoffs.at(self._clock.now(), self._kept, own), row_max)

    async def run(self, stopping: asyncio.Event) -> None:
        """Removes a little at a time, until it is told to stop."""
        await forget_by_batches(self.step, self._what, stopping)


def forgetting_of(
    pool: Pool,
    clock: Clock,
    settings: Settings,
    retention: RetentionClient,
    *,
    webhooks: ForgettingStore,
    contents: ForgettingStore,
    clicks: ForgettingStore,
) -> dict[str, Forgetting]:
    """All that the gateway keeps for a time only, by its name for people."""
    kept: dict[str, tuple[ForgettingStore, int, Own]] = {
        "webhooks": (webhooks, settings.webhook_retention_days, retention.own("webhook_bodies")),
        "contents": (contents, settings.content_retention_days, retention.own("message_contents")),
        "clicks": (clicks, max(settings.click_retention_days, settings.link_days), nobody),
        "limits of people": (LimitStore(pool), LIMITED_DAYS, nobody),
        "traces of sends": (SendTraceStore(pool), KEPT_DAYS, nobody),
    }
    return {what: Forgetting(store, clock, days, what, own) for what, (store, days, own) in kept.items()}
