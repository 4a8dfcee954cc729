"""When timers are due, and whose: looked for now and then, and followed by the worker's own commits in between."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Set
from datetime import UTC, datetime, timedelta
from typing import Final

from libs.common.clock import Clock
from services.journey.domain.model import ActorKey
from services.journey.metrics import TIMER_LATENESS
from services.journey.store.turns_protocol import TurnStorage

LOOK_S: Final = 5.0
"""Longest time without a look, and how far ahead one looks, in real time. Timers that are due become findable without a
call here when a parked customer is tried again through another process, or a row is mended by hand."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class TimerWatch:
    """Finds the customers whose timers are due, and knows the next one.

    A look finds what is due and what will be soon. Nobody but the owner of a partition moves its timers, so until the
    time before which the look found all of them, only the worker's own commits change what is known.
    """

    def __init__(self, store: TurnStorage, clock: Clock, real_time: Callable[[], float]) -> None:
        """Looks at the first chance. `real_time` gives seconds that never run backwards."""
        self._store = store
        self._clock = clock
        self._real_time = real_time
        self._looked_at = real_time()
        self._look = True
        self._asked_at = self._until = self._before = clock.now()
        """Domain times: of the last look, how far it went, and up to when all timers are known."""
        self._timers: dict[ActorKey, datetime] = {}
        self._queue: list[tuple[datetime, ActorKey]] = []
        """Of `_timers`, the earliest first; others were moved."""
        self._moved: dict[ActorKey, datetime | None] | None = None
        """By commits during a look, which may not have seen them."""
        self._passed_over = False
        """Customers with a due timer were in a batch: they are looked for again when one ends."""

    @property
    def next_at(self) -> datetime | None:
        """Domain time at which to ask for what is due; None if there is no timer. More that was due than could be found
        is asked for when a batch ends, or a customer may be tried again."""
        times = [self._before] if self._asked_at < self._before < _NEVER else []
        times += [wake_at for wake_at, _ in self._queue[:1]]
        return min(times, default=None)

    def look_again(self) -> None:
        """Something may have become due without a call of `moved`."""
        self._look = True

    def moved(self, customer: ActorKey, wake_at: datetime | None) -> None:
        """A commit has left a customer with this as the earliest timer, or with none."""
        if self._moved is not None:
            self._moved[customer] = wake_at
        self._note(customer, wake_at)

    def batch_ended(self) -> None:
        """Customers are free again."""
        self._look |= self._passed_over
        self._passed_over = False

    async def due(self, partitions: Collection[int], limit: int, busy: Set[ActorKey]) -> list[ActorKey]:
        """Up to `limit` customers of these partitions whose timer is due and who are not busy. Raises the store's
        errors: then look again."""
        if limit <= 0:
            return []
        now = self._clock.now()
        if self._look or self._before <= now or self._real_time() - self._looked_at >= LOOK_S:
            await self._look_ahead(partitions, now, limit + len(busy))
        return self._take(now, limit, busy)

    async def _look_ahead(self, partitions: Collection[int], now: datetime, limit: int) -> None:
        self._look, self._looked_at, self._asked_at = False, self._real_time(), now
        # A clock that runs fast comes to the end of time, and stands there.
        until = now + min(timedelta(seconds=LOOK_S * self._clock.rate), _NEVER - now)
        moved: dict[ActorKey, datetime | None] = {}
        self._moved = moved
        try:
            found, before = await self._store.look_at_timers(partitions, until, limit)
        finally:
            self._moved = None
        self._until, self._before = until, before or _NEVER
        self._timers = {customer: wake_at for wake_at, customer in found}
        self._queue = list(found)
        heapq.heapify(self._queue)
        for customer, wake_at in moved.items():
            self._note(customer, wake_at)

    def _note(self, customer: ActorKey, wake_at: datetime | None) -> None:
        self._timers.pop(customer, None)
        if wake_at is None or wake_at >= self._before:
            return
        if wake_at > self._until:
            self._before = wake_at  # only what is soon takes memory
            return
        self._timers[customer] = wake_at
        heapq.heappush(self._queue, (wake_at, customer))

    def _take(self, now: datetime, limit: int, busy: Set[ActorKey]) -> list[ActorKey]:
        idle: list[ActorKey] = []
        while self._queue and self._queue[0][0] <= now and len(idle) < limit:
            wake_at, customer = heapq.heappop(self._queue)
            if self._timers.get(customer) != wake_at:
                continue
            del self._timers[customer]
            if customer in busy:
                self._passed_over = True
            else:
                TIMER_LATENESS.observe((now - wake_at).total_seconds())
                idle.append(customer)
        return idle
