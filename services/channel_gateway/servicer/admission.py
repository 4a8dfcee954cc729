"""Bounds the webhooks that are stored and not forwarded: above it nothing more is stored."""

from __future__ import annotations

import time
from typing import Final, Protocol

from libs.common.errors import ResourceExhausted
from services.channel_gateway import metrics

LOOK_EVERY_S: Final = 1.0
"""The table is counted so often while webhooks come; in between this process counts its own."""
RETRY_AFTER_S: Final = 2.0
SETTING: Final = "OMNIJOURNEY_WEBHOOK_EVENTS_MAX"


class EventCounter(Protocol):
    """Counts what waits."""

    async def waiting_events(self, most: int) -> int:
        """Events of webhooks that are not forwarded; counting ends near `most`. Raises Unavailable."""
        ...


class InboxBound:
    """Lets webhooks in while not too many wait. Soft: several processes count each for itself between two looks."""

    def __init__(self, counter: EventCounter, events_max: int) -> None:
        """`events_max` events may wait."""
        self._counter = counter
        self._events_max = events_max
        self._waiting = 0
        self._looked_at_s = float("-inf")

    async def check(self) -> None:
        """Raises ResourceExhausted `OVERLOADED` while too many wait, Unavailable without a database."""
        if time.monotonic() - self._looked_at_s >= LOOK_EVERY_S:
            self._looked_at_s = time.monotonic()
            self._waiting = await self._counter.waiting_events(self._events_max)
            metrics.INBOX_EVENTS.set(self._waiting)
        if self._waiting >= self._events_max:
            raise ResourceExhausted.overloaded(SETTING, RETRY_AFTER_S)

    def stored(self, events: int) -> None:
        """Notes that so many events were stored."""
        self._waiting += events
