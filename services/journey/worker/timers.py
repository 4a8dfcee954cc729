"""When a timer may be due, so that timers are looked for only then."""

from __future__ import annotations

from collections.abc import Callable, Collection, Set
from datetime import datetime
from typing import Final

from libs.common.clock import Clock
from services.journey.domain.model import ActorKey
from services.journey.store.turns_protocol import TurnStorage

LOOK_S: Final = 5.0
"""Longest time without a look. Timers that are due become findable without a call here when a parked customer is tried
again through another process, or a row is mended by hand."""


class TimerWatch:
    """Finds the customers whose timers are due, and knows the next one."""

    def __init__(self, store: TurnStorage, clock: Clock, real_time: Callable[[], float]) -> None:
        """Looks at the first chance. `real_time` gives seconds that never run backwards."""
        self._store = store
        self._clock = clock
        self._real_time = real_time
        self._looked_at = real_time()
        self._look = True
        self._next: datetime | None = None
        self._passed_over = False
        """Customers with a due timer were in a batch: they are looked for again when one ends."""

    @property
    def next_at(self) -> datetime | None:
        """Domain time of the next timer, as far as is known."""
        return self._next

    def look_again(self) -> None:
        """Something may have become due without a call of `expect`."""
        self._look = True

    def expect(self, wake_at: datetime | None) -> None:
        """A timer was armed, or found, that is due then."""
        if wake_at is None:
            return
        if self._next is None or wake_at < self._next:
            self._next = wake_at
        self._look |= wake_at <= self._clock.now()

    def batch_ended(self) -> None:
        """Customers are free again."""
        self._look |= self._passed_over
        self._passed_over = False

    async def due(self, partitions: Collection[int], limit: int, busy: Set[ActorKey]) -> list[ActorKey]:
        """Up to `limit` customers of these partitions whose timer is due and who are not busy. Raises the store's
        errors: then look again."""
        now = self._clock.now()
        if limit <= 0 or not self._worth_while(now):
            return []
        # Set before the look: a batch that ends meanwhile may arm a timer that the look does not see.
        self._look, self._next, self._looked_at = False, None, self._real_time()
        timers = await self._store.look_at_timers(partitions, now, limit + len(busy))
        self.expect(timers.following)
        idle = [key for key in timers.due if key not in busy]
        self._passed_over |= len(idle) < len(timers.due)
        self._look |= timers.more or len(idle) > limit
        return idle[:limit]

    def _worth_while(self, now: datetime) -> bool:
        if self._look or (self._next is not None and self._next <= now):
            return True
        return self._real_time() - self._looked_at >= LOOK_S
