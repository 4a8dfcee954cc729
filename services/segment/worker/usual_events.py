"""Writes usual events (`domain/usual.py`): a large batch in parts, each decided while the one before is written.

Events of such a batch do not depend on each other, so parts may be written one by one, each in a transaction of its
own. While the database writes one part, this process decides the next: of two cores both are at work, and no two
transactions wait for each other. A part whose write fails ends the batch, as a batch of one transaction would; events
of parts before it come again as duplicates.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from libs.common import crash
from libs.common.clock import Clock
from libs.common.db.pool import Pool
from libs.common.ids import endless_ids, epoch_ms
from services.segment import metrics
from services.segment.domain.events import record
from services.segment.domain.facts import Fact, fact_partition
from services.segment.domain.known import NO_VIEWS, Views, views_of
from services.segment.domain.model import Event
from services.segment.domain.recorder import EventContext, Recording
from services.segment.domain.results import EventResult, EventStatus
from services.segment.domain.usual import Touch
from services.segment.store.errors import CollisionError, domain_errors
from services.segment.store.usual import UsualEvents, record_touches

PART: Final = 250
"""Events of one part, at most."""

Publish = Callable[[Sequence[Fact], int, Views], None]
"""See `worker.writers.FactPublisher.publish`."""

_COLLIDED: Final = metrics.COLLISIONS.labels("events").inc


class UsualWriter:
    """Writes events as they are decided before anything is read. An event for which things were otherwise has no
    result, and nothing is written of it; nor of any event of a part that met another transaction."""

    def __init__(self, pool: Pool, clock: Clock, publish: Publish, ahead_max: timedelta) -> None:
        """One per process; see `record` for `ahead_max`."""
        self._pool = pool
        self._clock = clock
        self._publish = publish
        self._ahead_max = ahead_max

    async def record(self, events: Sequence[Event], context: EventContext) -> list[EventResult | None]:
        """The results of events of `usual_context`."""
        if len(events) <= PART:
            part = self._decided(events, context)
            await part.write()
            return [*part.end()]
        places = _by_partition(events)
        parts = (self._decided([events[place] for place in own], context) for own in parts_of(places))
        results: list[EventResult | None] = [None] * len(events)
        for place, result in zip(places, await _in_turns(parts), strict=True):
            results[place] = result
        return results

    def _decided(self, events: Sequence[Event], context: EventContext) -> _Part:
        now = self._clock.now()
        recording = record(context, events, now, endless_ids(epoch_ms(now)), self._ahead_max)
        return _Part(self._pool, self._publish, events, recording, now)

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


class _Part:
    """Events that are decided, one fact each."""

    def __init__(
        self, pool: Pool, publish: Publish, events: Sequence[Event], recording: Recording, now: datetime
    ) -> None:
        self._pool = pool
        self._publish = publish
        self._recording = recording
        self._now = now
        self._ready = UsualEvents(events, recording, now)
        self._facts: Sequence[Fact | None] = ()

    async def write(self) -> None:
        """Writes them in a transaction."""
        crash.reach("segment.before_commit")
        try:
            with domain_errors():
                self._facts = await self._ready.write(self._pool)
        except CollisionError:
            _COLLIDED()
            self._facts = [None] * len(self._recording.results)

    def end(self) -> list[EventResult | None]:
        """Tells of what was written, and answers."""
        crash.reach("segment.after_commit")
        written = [fact for fact in self._facts if fact]
        self._publish(written, len(written), views_after(self._recording, self._now, written))
        return [
            result if fact else None
            for fact, result in zip(self._facts, self._recording.results, strict=True)
        ]


def parts_of(places: Sequence[int]) -> Iterator[Sequence[int]]:
    """Parts of a batch, in the order given, as even as may be."""
    count = -(-len(places) // PART)
    ends = [len(places) * number // count for number in range(count + 1)]
    return (places[start:end] for start, end in pairwise(ends))


def _by_partition(events: Sequence[Event]) -> list[int]:
    """The places of events, those of one partition of the history together: it is held for one part then, or two."""
    partitions = [fact_partition(event.team_id, event.selector.customer_id) for event in events]
    return sorted(range(len(events)), key=partitions.__getitem__)


def views_after(recording: Recording, now: datetime, facts: Sequence[Fact]) -> Views:
    """What goes along with the mail that `facts` are, when all that was decided is written."""
    return views_of(facts, recording.created, recording.changed, recording.identities, now)


async def _in_turns(parts: Iterator[_Part]) -> list[EventResult | None]:
    """Writes parts one after the other: the next is decided while one is written, and one is told of when the next is
    on its way."""
    results: list[EventResult | None] = []
    part = next(parts)
    writing = _begun(part)
    try:
        await _sent()
        for following in parts:
            await writing
            before, part = part, following
            writing = _begun(part)
            await _sent()
            results += before.end()
        await writing
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    results += part.end()
    return results


def _begun(part: _Part) -> asyncio.Task[None]:
    return asyncio.create_task(part.write(), name="usual events")


async def _sent() -> None:
    """Returns when a statement has left whose task was just begun: its task has a turn of the loop, then the loop
    writes."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
