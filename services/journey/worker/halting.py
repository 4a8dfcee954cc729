"""Customers of journeys that stop, as the worker halts them.

Each look at who is inside passes over everybody who was inside before, since the index forgets them later: so a look
takes a large page, which is halted batch by batch. A million inside are then not dearer a head than a thousand.
Journeys that stop at the same time share each batch: none waits for another's million.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Set
from typing import Final
from uuid import UUID

from libs.common.backoff import Backoff
from services.journey.domain.model import ActorKey
from services.journey.store.turns_protocol import TurnStorage

PAGE_MAX: Final = 20_000
"""Customers found by one look, 100 bytes each. Journeys that stop at the same time share it, down to `PAGE_MIN`."""
PAGE_MIN: Final = 500
_AGAIN: Final = Backoff(1.0, 8.0)
"""When a journey is looked at again of which all were found, real seconds: some batch may have failed. Who awaits the
outcome of a send is halted by that, without a look."""


class Halting:
    """Those to be halted, by journey."""

    def __init__(self, store: TurnStorage, real_time: Callable[[], float]) -> None:
        """No journey stops. `real_time` gives seconds that never run backwards."""
        self._store = store
        self._real_time = real_time
        self._sweeps: dict[tuple[UUID, UUID], _Sweep] = {}
        """By team and journey; whose customers were taken last is last."""

    def set_stopping(self, journeys: Iterable[tuple[UUID, UUID]]) -> bool:
        """Journeys (team, journey) that are stopping; True if somebody may have to be halted now."""
        stopping = dict.fromkeys(journeys)
        kept = {journey: sweep for journey, sweep in self._sweeps.items() if journey in stopping}
        self._sweeps = kept | {journey: _Sweep() for journey in stopping if journey not in kept}
        now = self._real_time()
        return any(sweep.found or sweep.look_at <= now for sweep in self._sweeps.values())

    async def take(self, limit: int, partitions: Collection[int], busy: Set[ActorKey]) -> list[ActorKey]:
        """Up to `limit` customers of these partitions who are not busy. Raises the store's errors: then call again."""
        taken: list[ActorKey] = []
        share = max(1, limit // max(1, len(self._sweeps)))
        for journey, sweep in list(self._sweeps.items()):
            if len(taken) >= limit:
                break
            await self._look(journey, sweep, partitions)
            if found := sweep.take(share, busy):
                taken += found
                self._served(journey)
        for sweep in self._sweeps.values():
            taken += sweep.take(limit - len(taken), busy)
        return taken

    async def _look(self, journey: tuple[UUID, UUID], sweep: _Sweep, partitions: Collection[int]) -> None:
        """Finds the next page of a journey, if it is time to."""
        now = self._real_time()
        if not sweep.found and sweep.look_at <= now:
            most = max(PAGE_MIN, PAGE_MAX // max(1, len(self._sweeps)))
            page = await self._store.halting_customers(*journey, partitions, most)
            sweep.looked(page, now, more=len(page) >= most)

    def _served(self, journey: tuple[UUID, UUID]) -> None:
        """Puts a journey last, if it is still stopping."""
        sweep = self._sweeps.pop(journey, None)
        if sweep is not None:
            self._sweeps[journey] = sweep


class _Sweep:
    """One journey's."""

    def __init__(self) -> None:
        self.found: deque[ActorKey] = deque()
        self.look_at = 0.0
        self._looks = 0

    def looked(self, page: Iterable[ActorKey], now: float, *, more: bool) -> None:
        self.found.extend(page)
        self._looks = self._looks + 1 if not self.found else 1
        self.look_at = now if more else now + _AGAIN.delay_s(self._looks)

    def take(self, limit: int, busy: Set[ActorKey]) -> list[ActorKey]:
        """The next ones; those who are busy come again."""
        taken: list[ActorKey] = []
        for _ in range(len(self.found)):
            if len(taken) >= limit:
                break
            key = self.found.popleft()
            if key in busy:
                self.found.append(key)
            else:
                taken.append(key)
        return taken
