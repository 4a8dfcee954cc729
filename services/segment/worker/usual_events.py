"""Writes usual events (`domain/usual.py`, `domain/plain_orders.py`), decided before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from libs.common import crash
from libs.common.db.pool import Pool
from services.segment import metrics
from services.segment.domain.facts import Fact
from services.segment.domain.known import NO_VIEWS, Views, views_of
from services.segment.domain.model import Event
from services.segment.domain.results import EventResult, EventStatus
from services.segment.domain.usual import Decided, Touch
from services.segment.store.errors import CollisionError, domain_errors
from services.segment.store.usual import record_touches, record_usual

Publish = Callable[[Sequence[Fact], int, Views], None]
"""See `worker.writers.FactPublisher.publish`."""

_COLLIDED: Final = metrics.COLLISIONS.labels("events").inc


class UsualWriter:
    """Writes events as they are decided before anything is read, in one transaction. An event for which things were
    otherwise has no result, and nothing is written of it; nor of any event of a batch that met another transaction."""

    def __init__(self, pool: Pool, publish: Publish) -> None:
        """One per process."""
        self._pool = pool
        self._publish = publish

    async def record(
        self, events: Sequence[Event], decided: Decided, now: datetime
    ) -> list[EventResult | None]:
        """The results of events for which is `decided` what follows, if it does."""
        crash.reach("segment.before_commit")
        try:
            with domain_errors():
                facts = await record_usual(self._pool, events, decided, now)
        except CollisionError:
            _COLLIDED()
            return [None] * len(events)
        crash.reach("segment.after_commit")
        written = [fact for fact in facts if fact]
        self._publish(
            written, len(written), views_of(written, (), decided.customers, decided.identities, now)
        )
        return [result if fact else None for fact, result in zip(facts, decided.results, strict=True)]

    async def touch(self, touches: Sequence[Touch], now: datetime) -> list[EventResult | None]:
        """The results of events of `touches_of`, of which little has to be decided."""
        crash.reach("segment.before_commit")
        try:
            with domain_errors():
                written = await record_touches(self._pool, touches, now)
        except CollisionError:
            _COLLIDED()
            return [None] * len(touches)
        crash.reach("segment.after_commit")
        self._publish((), sum(written), NO_VIEWS)
        return [
            EventResult(EventStatus.ACCEPTED, touch.customer_id) if is_written else None
            for touch, is_written in zip(touches, written, strict=True)
        ]
