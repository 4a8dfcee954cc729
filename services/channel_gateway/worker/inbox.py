"""Forwards stored webhooks to segment, in order of receipt, and marks them when they are recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from libs.common import crash
from libs.common.backoff import Backoff, retrying
from libs.common.db.faults import PASSING
from libs.common.errors import Unavailable
from libs.common.rpc.operations import Progress
from libs.common.tasks import any_set
from services.channel_gateway import metrics
from services.channel_gateway.clients.services import EventRecorder, EventsRefusedError, Recorded
from services.channel_gateway.convert.events import ConvertedWebhook
from services.channel_gateway.domain.inbox import Refusal, StoredWebhook, Worked
from services.channel_gateway.store.inbox import InboxStore
from services.channel_gateway.worker.presence import Presence

EVENTS_MAX: Final = 500
"""Events of one call to segment."""
IDLE_S: Final = 5.0
"""An idle worker looks again after so long, woken or not."""
_RETRIES: Final = Backoff(0.05, 2.0, spread=0.5)
_TRANSIENT: Final = (Unavailable, *PASSING)

_log = structlog.get_logger(__name__)


class InboxWorker:
    """One process of the gateway forwards at a time (`Presence.is_forwarder`); all may run this."""

    def __init__(
        self,
        store: InboxStore,
        recorder: EventRecorder,
        presence: Presence,
        progress: Progress,
        convert: Callable[[StoredWebhook], ConvertedWebhook],
    ) -> None:
        """`convert` gives a webhook's events as segment takes them."""
        self._store = store
        self._recorder = recorder
        self._presence = presence
        self._progress = progress
        self._convert = convert

    def wake(self) -> None:
        """Looks at once: webhooks were stored in this process."""
        self._presence.inbox_woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Forwards until told to stop; what is left is found by the next start."""
        while not stopping.is_set():
            self._presence.inbox_woken.clear()
            if not self._presence.is_forwarder or not await self._forward_some(stopping):
                await any_set(self._presence.inbox_woken, stopping, timeout_s=IDLE_S)

    async def _forward_some(self, stopping: asyncio.Event) -> bool:
        """Works one batch of the table, repeating it while servers are away; whether there was one."""
        with contextlib.suppress(*_TRANSIENT):
            return await retrying(
                self.step,
                backoff=_RETRIES,
                passing=_TRANSIENT,
                give_up=stopping.is_set,
                failed=_log_failure,
            )
        return False

    async def step(self) -> bool:
        """Works one batch of the table; whether there was one. Raises what the servers raise, having marked nothing."""
        webhooks = await self._store.next(EVENTS_MAX)
        if not webhooks:
            return False
        converted = [self._convert(webhook) for webhook in webhooks]
        worked = await self._record(converted)
        crash.reach("gateway.after_forward")
        await self._store.finish(worked)
        self._progress.add(len(worked))
        return True

    async def _record(self, converted: Sequence[ConvertedWebhook]) -> list[Worked]:
        events = [event for item in converted for event in item.events]
        try:
            results = await self._recorder.record(events) if events else []
        except EventsRefusedError as error:
            if len(converted) > 1:
                # One of them spoils the call: each goes alone, in order.
                return [worked for item in converted for worked in await self._record([item])]
            return await self._record_one_by_one(converted[0], str(error))
        return _worked(converted, results)

    async def _record_one_by_one(self, item: ConvertedWebhook, reason: str) -> list[Worked]:
        results: list[Recorded] = []
        for event in item.events:
            try:
                results += await self._recorder.record([event])
            except EventsRefusedError as error:
                results.append(Recorded(False, str(error) or reason or "REFUSED"))
        return _worked([item], results)


def _worked(converted: Sequence[ConvertedWebhook], results: Sequence[Recorded]) -> list[Worked]:
    worked: list[Worked] = []
    place = 0
    for item in converted:
        own = results[place : place + len(item.events)]
        place += len(item.events)
        refusals = [Refusal(index, result.reason) for index, result in enumerate(own) if result.reason]
        if item.fault:
            refusals = [Refusal(0, item.fault)]
        worked.append(Worked(item.webhook, refusals))
    _count(results)
    return worked


def _count(results: Sequence[Recorded]) -> None:
    refused = sum(1 for result in results if result.reason)
    duplicate = sum(1 for result in results if result.duplicate)
    metrics.EVENTS.labels("refused").inc(refused)
    metrics.EVENTS.labels("duplicate").inc(duplicate)
    metrics.EVENTS.labels("recorded").inc(len(results) - refused - duplicate)
    if refused:
        _log.warning("segment refused events; they are kept with their reasons", count=refused)


def _log_failure(attempt: int, error: Exception) -> None:
    if attempt > 1:
        _log.warning("webhooks wait to be forwarded", error=str(error), attempt=attempt)
