"""Writes events and effects in batches, each in one transaction, and passes on what was committed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from enum import Enum
from functools import partial
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from prometheus_client import Counter

from libs.common import crash
from libs.common.batching import Batcher
from libs.common.clock import Clock
from libs.common.db.faults import AWAY
from libs.common.db.pool import Pool, transaction
from libs.common.db.retry import until_alone
from libs.common.feeds.publisher import CommitPublisher, ranges_of
from libs.common.ids import endless_ids, epoch_ms
from libs.common.mailbox.relay import MailRelay
from libs.common.rpc.operations import Lag, Progress
from services.segment import metrics
from services.segment.convert.facts import mails_of
from services.segment.domain.changes import Way, apply_changes, ways_of
from services.segment.domain.events import record
from services.segment.domain.facts import TAGS, Fact
from services.segment.domain.known import NO_VIEWS, Views, views_of
from services.segment.domain.model import Change, Event
from services.segment.domain.plain_orders import plain_orders
from services.segment.domain.results import APPLIED, ChangeResult, EventResult, failed_event
from services.segment.domain.usual import Decided, decided_of, hints_of, touches_of, usual_context
from services.segment.store.changes import load_change_context, move_marketed_times, save_applied
from services.segment.store.errors import CollisionError, domain_errors
from services.segment.store.events import save_recording
from services.segment.store.moves import load_known_context, save_moves
from services.segment.store.usual import find_usual, set_usual
from services.segment.worker.notifier import FactNotifiers
from services.segment.worker.usual_events import UsualWriter

Item = TypeVar("Item", Event, Change)
Result = TypeVar("Result")
T = TypeVar("T")

ATTEMPTS: Final = 6
"""How often a batch is tried before the caller gets an error, because it collided with others."""
ITEMS_MAX: Final = 500
"""Items of one batch; the most that one call may bring."""
HINTS_MAX: Final = 50
"""Customers of one batch who are looked up to see whether all is as usual: in a larger one somebody is new."""
LARGE: Final = 100
"""Facts of a batch that holds up its answer where they are published before it."""
ANSWERED_WITHIN_S: Final = 0.03
"""From the commit of a large batch; small ones are published at once."""
_RETRY_AFTER_S: Final = 0.5
WAITING_MAX: Final = 20_000
"""Events, and changes, that may wait; more are refused, so that callers slow down instead of timing out."""

_COLLIDED: Final = {kind: metrics.COLLISIONS.labels(kind).inc for kind in ("events", "changes", "edits")}
"""What counts a collision, by the kind of work."""


def ids_of(now: datetime) -> Iterator[UUID]:
    """New ids of a moment, without end."""
    return endless_ids(epoch_ms(now))


class _Committed(NamedTuple):
    facts: Sequence[Fact]
    handled: int
    views: Views


class FactPublisher:
    """Publishes facts that were committed: see `CommitPublisher`.

    Those of a large batch wait until whoever brought it is answered, as a rule: to write their mail, and to read them
    for those who follow, takes this process and the database as long as recording them did.
    """

    def __init__(self, relay: MailRelay, notifiers: FactNotifiers, progress: Progress) -> None:
        """One per process."""
        self._publisher = CommitPublisher(
            relay, partial(notifiers.notify, frozenset(TAGS.values())), progress
        )
        self._notifiers = notifiers
        self._waiting: deque[_Committed] = deque()

    @property
    def pending(self) -> int:
        """Facts that were committed and are not published yet."""
        return sum(len(each.facts) for each in self._waiting)

    def publish(self, facts: Sequence[Fact], handled: int = 1, views: Views = NO_VIEWS) -> None:
        """To be called after the commit, in its order as far as one process can tell. `views` travel with the mail."""
        if len(facts) < LARGE and not self._waiting:
            self._publish(facts, handled, views)
            return
        self._waiting.append(_Committed(facts, handled, views))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(ANSWERED_WITHIN_S, self.flush)

    def flush(self) -> None:
        """Publishes what waits. A batch that cannot be published holds up no other: the next are published after it."""
        try:
            while self._waiting:
                self._publish(*self._waiting.popleft())
        finally:
            if self._waiting:
                asyncio.get_running_loop().call_soon(self.flush)

    def _publish(self, facts: Sequence[Fact], handled: int, views: Views) -> None:
        self._publisher.publish(
            list(mails_of(facts, views)),
            ranges_of((fact.partition, fact.position) for fact in facts),
            handled=handled,
            notify=partial(
                self._notifiers.notify, {TAGS[kind] for kind in {type(fact.body) for fact in facts}}
            ),
        )
        metrics.FACTS.inc(len(facts))


class Writer:
    """Records events and applies effects. Callers' batches are joined; see `Batcher`."""

    def __init__(self, pool: Pool, clock: Clock, publisher: FactPublisher, ahead_max: timedelta) -> None:
        """One per process; see `record` for `ahead_max`."""
        self._ahead_max = ahead_max
        self._pool = pool
        self._clock = clock
        self._publisher = publisher
        self._usual = UsualWriter(pool, publisher.publish)
        self.events: Batcher[Event, EventResult] = _batcher("events waiting", self._record, failed_event)
        self.changes: Batcher[Change, ChangeResult] = _batcher("changes waiting", self._apply)

    @property
    def latest(self) -> datetime:
        """The latest time that an event may have now; a later one counts as now."""
        return self._clock.now() + self._ahead_max

    @property
    def pending(self) -> int:
        """Items taken and not answered, and facts that are not published."""
        return self.events.pending + self.changes.pending + self._publisher.pending

    async def drain(self) -> None:
        """Returns when everything that was taken is answered and published."""
        await self.events.drain()
        await self.changes.drain()
        self._publisher.flush()

    async def _record(self, events: list[Event]) -> list[EventResult]:
        results = await self._timed("events", len(events), partial(self._record_whole, events))
        _count(metrics.EVENTS, (result.status for result in results))
        return results

    async def _record_whole(self, events: list[Event]) -> list[EventResult]:
        now = self._clock.now()
        if touches := touches_of(events, now):
            return await _in_two_steps(events, await self._usual.touch(touches, now), self._record_others)
        if orders := plain_orders(events, now, self._ahead_max):
            return await self._record_usual(events, orders, now)
        hints = hints_of(events)
        if hints is None or len(hints) > HINTS_MAX:
            return await self._record_others(events)
        found = await find_usual(self._pool, hints) if hints else {}
        context = usual_context(events, found)
        if context is None:
            nobody = {
                hint.team_id for hint, each in found.items() if not (each.customer_id or each.known_order)
            }
            return await self._record_others(events, nobody)
        decided = decided_of(record(context, events, now, ids_of(now), self._ahead_max))
        return await self._record_usual(events, decided, now)

    async def _record_usual(self, events: list[Event], decided: Decided, now: datetime) -> list[EventResult]:
        done = await self._usual.record(events, decided, now)
        return await _in_two_steps(events, done, self._record_others)

    async def _record_others(
        self, events: list[Event], creating: AbstractSet[UUID] = frozenset()
    ) -> list[EventResult]:
        """The results of events that are decided with everything read; `creating` as in `load_event_context`."""

        async def once() -> list[EventResult]:
            async with transaction(self._pool, {event.team_id for event in events}) as connection:
                context = await load_known_context(connection, events, creating)
                now = self._clock.now()
                recording = record(context, events, now, ids_of(now), self._ahead_max)
                await save_moves(connection, recording.moves, now)
                facts = await save_recording(connection, context, recording, now)
                crash.reach("segment.before_commit")
            crash.reach("segment.after_commit")
            views = views_of(facts, recording.created, recording.changed, recording.identities, now)
            self._publisher.publish(facts, len(events), views)
            return recording.results

        return await self.until_alone("events", once)

    async def _apply(self, changes: list[Change]) -> list[ChangeResult]:
        results = await self._timed("changes", len(changes), partial(self._apply_whole, changes))
        _count(metrics.CHANGES, (result.status for result in results))
        return results

    async def _apply_whole(self, changes: list[Change]) -> list[ChangeResult]:
        ways = ways_of(changes)
        results: list[ChangeResult | None] = [None] * len(changes)
        for way, go in ((Way.MARK, self._mark), (Way.SET, self._set)):
            places = [place for place, own in enumerate(ways) if own is way]
            if places:
                found = await go([changes[place] for place in places])
                for place, result in zip(places, found, strict=True):
                    results[place] = result
        return await _in_two_steps(changes, results, self._apply_others)

    async def _mark(self, changes: list[Change]) -> list[ChangeResult]:
        async def once() -> list[ChangeResult]:
            # A time that was moved stays moved; to do it again, if the others fail, is harmless.
            results = await move_marketed_times(self._pool, changes, self._clock.now())
            self._publisher.publish((), len(changes))
            return results

        return await self.until_alone("changes", once)

    async def _set(self, changes: list[Change]) -> Sequence[ChangeResult | None]:
        """The results of text attributes that were set to another value, written in one statement."""
        try:
            with domain_errors():
                facts = await set_usual(self._pool, changes, self._clock.now())
        except CollisionError:
            _COLLIDED["changes"]()
            return [None] * len(changes)
        written = [fact for fact in facts if fact]
        crash.reach("segment.after_changes")
        self._publisher.publish(written, len(written))
        return [APPLIED if fact else None for fact in facts]

    async def _apply_others(self, changes: list[Change]) -> list[ChangeResult]:
        async def once() -> list[ChangeResult]:
            async with transaction(self._pool, {change.team_id for change in changes}) as connection:
                context = await load_change_context(connection, changes)
                now = self._clock.now()
                applied = apply_changes(
                    context.customers,
                    context.traits,
                    context.effects,
                    changes,
                    now=now,
                    ids=ids_of(now),
                    merged=context.merged,
                )
                facts = await save_applied(connection, applied, context.customers, now)
            crash.reach("segment.after_changes")
            self._publisher.publish(facts, len(changes))
            return applied.results

        return await self.until_alone("changes", once)

    async def _timed(self, kind: str, size: int, work: Callable[[], Awaitable[T]]) -> T:
        began = time.perf_counter()
        result = await work()
        metrics.BATCH_SIZE.labels(kind).observe(size)
        metrics.BATCH_DURATION.labels(kind).observe(time.perf_counter() - began)
        return result

    async def until_alone(self, kind: str, once: Callable[[], Awaitable[T]]) -> T:
        """Does a transaction, again while it collides with others. Raises Aborted `WRITE_CONFLICT` after ATTEMPTS."""

        async def attempt(_number: int) -> T:
            with domain_errors():
                return await once()

        return await until_alone(
            attempt, what=kind, collisions=(CollisionError,), attempts=ATTEMPTS, collided=_COLLIDED[kind]
        )


class SegmentLag:
    """What is not settled: items being written, and mail that is not delivered."""

    def __init__(self, writer: Writer, relay: MailRelay, progress: Progress) -> None:
        """One per process."""
        self._writer = writer
        self._relay = relay
        self.progress = progress

    async def lag(self) -> Lag:
        """The lag now."""
        mail = self._relay.pending
        metrics.MAIL_PENDING.set(mail)
        return Lag(pending=self._writer.pending + mail, progress=f"{self.progress}:{self._relay.delivered}")


async def _in_two_steps(
    items: list[Item], done: Sequence[Result | None], others: Callable[[list[Item]], Awaitable[list[Result]]]
) -> list[Result]:
    """The results of all items: those `done`, and those that `others` gives of what is left, together and in order."""
    if all(done):
        return list(done)  # type: ignore[arg-type]  # none is None
    left = [item for item, result in zip(items, done, strict=True) if result is None]
    rest = iter(await others(left) if left else ())
    return [next(rest) if result is None else result for result in done]


def _count(counter: Counter, statuses: Iterable[Enum]) -> None:
    for status, number in Tally(statuses).items():
        counter.labels(status.name).inc(number)


def _batcher(
    name: str,
    work: Callable[[list[Item]], Awaitable[Sequence[Result]]],
    failed: Callable[[Exception], Result | None] | None = None,
) -> Batcher[Item, Result]:
    return Batcher(
        name,
        work,
        size_max=ITEMS_MAX,
        waiting_max=WAITING_MAX,
        retry_after_s=_RETRY_AFTER_S,
        away=AWAY,
        team_of=lambda item: item.team_id,
        failed=failed,
    )
