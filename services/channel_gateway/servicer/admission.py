"""Bounds the webhooks that are stored and not forwarded: above it a team stores nothing more."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final, Protocol
from uuid import UUID

from libs.common.errors import ResourceExhausted
from services.channel_gateway import metrics

LOOK_EVERY_S: Final = 1.0
"""The table is counted so often while webhooks come; in between this process counts its own."""
LOOK_SHARE: Final = 0.05
"""Counting may take this share of the time: a long count is made less often,"""
LOOK_EVERY_MAX_S: Final = 5.0
"""but at least so often."""
FLOOR_SHARE: Final = 1_000
"""A team may always have this part of the bound waiting, one thousandth, however many wait in all."""
RETRY_AFTER_S: Final = 2.0
SETTING: Final = "OMNIJOURNEY_WEBHOOK_EVENTS_MAX"


class EventCounter(Protocol):
    """Counts what waits."""

    async def waiting_events(self, most: int) -> Mapping[UUID, int]:
        """Events of webhooks that are not forwarded, by team; `most` webhooks are counted. Raises Unavailable."""
        ...


class InboxBound:
    """Lets a team's webhooks in while it has fewer events waiting than there is room for more.

    So a team that is alone takes half of the bound, two take a third each, and whoever comes next always finds as much
    room as the largest backlog has. Soft: several processes count each for itself between two looks.
    """

    def __init__(self, counter: EventCounter, events_max: int) -> None:
        """`events_max` events may wait."""
        self._counter = counter
        self._events_max = events_max
        self._floor = max(1, events_max // FLOOR_SHARE)
        self._waiting: dict[UUID, int] = {}
        self._total = 0
        self._look_at_s = float("-inf")

    async def admit(self, team_id: UUID, events: int) -> None:
        """Counts `events` of a team as waiting. Raises ResourceExhausted `OVERLOADED` while the team has too many,
        Unavailable without a database."""
        if time.monotonic() >= self._look_at_s:
            await self._look()
        own = self._waiting.get(team_id, 0)
        if own >= max(self._events_max - self._total, self._floor):
            raise ResourceExhausted.overloaded(SETTING, RETRY_AFTER_S)
        self._waiting[team_id] = own + events
        self._total += events

    async def _look(self) -> None:
        began_s = time.monotonic()
        # Those who come meanwhile go by what was counted before.
        self._look_at_s = began_s + LOOK_EVERY_MAX_S
        waiting = await self._counter.waiting_events(self._events_max)
        took_s = time.monotonic() - began_s
        self._look_at_s = began_s + min(LOOK_EVERY_MAX_S, max(LOOK_EVERY_S, took_s / LOOK_SHARE))
        self._waiting = dict(waiting)
        self._total = sum(waiting.values())
        metrics.INBOX_EVENTS.set(self._total)
