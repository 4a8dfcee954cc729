"""Customers of journeys that stop, as the worker halts them.

Each look at who is inside passes over everybody who was inside before, since the index forgets them later: so a look
takes a large page, which is halted batch by batch. A million inside are then not dearer a head than a thousand.
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
"""Customers found by one look, 100 bytes each."""
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

    def set_stopping(self, journeys: Iterable[tuple[UUID, UUID]]) -> bool:
        """Journeys (team, journey) that are stopping; True if somebody may have to be halted now."""
        self._sweeps = {journey: self._sweeps.get(journey) or _Sweep() for journey in journeys}
        now = self._real_time()
        return any(sweep.found or sweep.look_at <= now for sweep in self._sweeps.values())

    async def take(self, limit: int, partitions: Collection[int], busy: Set[ActorKey]) -> list[ActorKey]:
        """Up to `limit` customers of these partitions who are not busy. Raises the store's errors: then call again."""
        taken: list[ActorKey] = []
        for (team_id, journey_id), sweep in list(self._sweeps.items()):
            if len(taken) >= limit:
                break
            now = self._real_time()
            if not sweep.found and sweep.look_at <= now:
                page = await self._store.halting_customers(team_id, journey_id, partitions, PAGE_MAX)
                sweep.looked(page, now)
            taken += sweep.take(limit - len(taken), busy)
        return taken


class _Sweep:
    """One journey's."""

    def __init__(self) -> None:
        self.found: deque[ActorKey] = deque()
        self.look_at = 0.0
        self._looks = 0

    def looked(self, page: Iterable[ActorKey], now: float) -> None:
        self.found.extend(page)
        self._looks = self._looks + 1 if not self.found else 1
        self.look_at = now if len(self.found) >= PAGE_MAX else now + _AGAIN.delay_s(self._looks)

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
