"""Sends outgoing webhooks: endpoints beside each other, each its own one after the other.

A slow or dead endpoint holds its own place of ENDPOINTS_MAX, for TURN_S and a call of 15 s at the most, since its turn
ends with a call that failed; after some failures in a row it is not called for a while, so that it holds none.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Sequence
from typing import Final

import structlog

from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.errors import NotFound
from libs.common.logging import about
from libs.common.tasks import any_set, set_within
from services.channel_gateway import metrics
from services.channel_gateway.clients.webhook_calls import WebhookCalls
from services.channel_gateway.domain.webhooks_out import Called, Due, Subscription, wait_after
from services.channel_gateway.store.webhooks_out import SubscriptionKey, WebhookStore

ENDPOINTS_MAX: Final = 64
"""Endpoints called at once by a process."""
AT_ONCE: Final = 6
"""Webhooks that are claimed together and sent one after the other: within their lease, also where each takes long."""
TURN_S: Final = 1.0
"""For which an endpoint is called again and again; then it waits for its turn, as the others do."""
LOOK_EVERY_S: Final = 1.0
LOOK_APART_S: Final = 0.02
"""Between two looks, which read of all subscriptions whether they have work."""

_log = structlog.get_logger(__name__)


class WebhookSender:
    """A loop, see `libs.common.tasks`."""

    def __init__(self, store: WebhookStore, calls: WebhookCalls, clock: Clock, rng: random.Random) -> None:
        """`clock` says which keys are still in use, `rng` jitters the waits."""
        self._store = store
        self._calls = calls
        self._clock = clock
        self._rng = rng
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._under_way: dict[SubscriptionKey, asyncio.Task[None]] = {}

    def wake(self) -> None:
        """Looks for work at once."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends until told to stop; calls under way end first."""
        self._stopping = stopping
        try:
            while not stopping.is_set():
                self._woken.clear()
                try:
                    await self.step()
                except PASSING:
                    _log.warning("webhooks wait, since the database is away")
                await any_set(stopping, self._woken, timeout_s=LOOK_EVERY_S)
                await set_within(stopping, LOOK_APART_S)
        finally:
            if self._under_way:
                await asyncio.wait(self._under_way.values())

    async def step(self) -> None:
        """Starts with every endpoint that has work, as far as there are places."""
        room = ENDPOINTS_MAX - len(self._under_way)
        if room <= 0:
            return
        for key in await self._store.due(ENDPOINTS_MAX + room):
            if key not in self._under_way and len(self._under_way) < ENDPOINTS_MAX:
                task = asyncio.create_task(self._serve(key), name="webhooks of an endpoint")
                self._under_way[key] = task
                task.add_done_callback(functools.partial(self._ended, key))

    def _ended(self, key: SubscriptionKey, _task: asyncio.Task[None]) -> None:
        self._under_way.pop(key, None)
        self._woken.set()

    async def _serve(self, key: SubscriptionKey) -> None:
        try:
            await self._take_turn(key)
        except NotFound:
            return  # it was deleted meanwhile
        except PASSING:
            _log.warning("a webhook waits, since the database is away", **about(team_id=key[0]))
            await set_within(self._stopping, LOOK_EVERY_S)
        except Exception:  # noqa: BLE001 - one endpoint's fault is not the others'
            _log.exception(
                "webhooks of a subscription could not be sent", id=str(key[1]), **about(team_id=key[0])
            )
            await set_within(self._stopping, LOOK_EVERY_S)

    async def _take_turn(self, key: SubscriptionKey) -> None:
        """Sends until nothing waits, a call fails or TURN_S are over."""
        ends_s = time.monotonic() + TURN_S
        goes_on = True
        while goes_on and (webhooks := await self._store.claim(key, AT_ONCE)):
            goes_on = await self._send(key, await self._store.subscription(*key), webhooks, ends_s)

    async def _send(
        self, key: SubscriptionKey, subscription: Subscription, webhooks: Sequence[Due], ends_s: float
    ) -> bool:
        """Whether all were taken, within the turn, and there may be more."""
        for place, webhook in enumerate(webhooks):
            called = await self.call(subscription, webhook)
            wait_s = wait_after(webhook.attempts + 1, called.wait_s, self._rng.random())
            await self._store.note(key, webhook, called, wait_s)
            if not called.is_taken or self._stopping.is_set() or time.monotonic() >= ends_s:
                await self._store.put_back(key, webhooks[place + 1 :])
                return False
        return len(webhooks) == AT_ONCE

    async def call(self, subscription: Subscription, webhook: Due) -> Called:
        """One call, signed with the keys that are in use."""
        called = await self._calls.call(subscription.url, subscription.secrets(self._clock.now()), webhook)
        outcome = "taken" if called.is_taken else "refused" if called.refused else "failed"
        metrics.WEBHOOKS_OUT.labels(outcome).inc()
        return called
