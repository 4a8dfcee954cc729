"""Customers whose turn failed: when they are tried again, and when they are set aside."""

from __future__ import annotations

import heapq
from typing import Final

from libs.common.backoff import Backoff
from services.journey.domain.model import ActorKey

RETRY_FIRST_S: Final = 0.1
RETRY_MAX_S: Final = 30.0
PARK_FAULTS: Final = 8
"""Faults of a customer's own turn before it is parked: about 13 s of trying."""

_BACKOFF: Final = Backoff(first_s=RETRY_FIRST_S, max_s=RETRY_MAX_S)

WAITING_MAX: Final = 5_000
"""Customers who wait for another try before no more mail is taken: in an outage everybody would end here."""


class Retries:
    """Waits grow with each failure in a row. An outage is nobody's fault: it delays, and never parks."""

    def __init__(self) -> None:
        """Nobody has failed."""
        self._failures: dict[ActorKey, int] = {}
        self._faults: dict[ActorKey, int] = {}
        self._until: dict[ActorKey, float] = {}
        self._order: list[tuple[float, ActorKey]] = []

    def __contains__(self, key: ActorKey) -> bool:
        """True while the customer waits for another try."""
        return key in self._until

    @property
    def full(self) -> bool:
        """Whether so many wait that nobody else should be taken."""
        return len(self._until) >= WAITING_MAX

    @property
    def next_at(self) -> float | None:
        """Real time of the next try, or None."""
        return self._order[0][0] if self._order else None

    def faults_after(self, key: ActorKey) -> int:
        """Notes a fault of the customer's own turn; returns how many there are in a row."""
        self._faults[key] = self._faults.get(key, 0) + 1
        return self._faults[key]

    def postpone(self, key: ActorKey, now: float) -> None:
        """Has the customer tried again later."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._until[key] = now + _BACKOFF.delay_s(failures)
        heapq.heappush(self._order, (self._until[key], key))

    def release(self, now: float) -> bool:
        """Ends the waits that are over at `now`; True if there were any."""
        released = False
        while self._order and self._order[0][0] <= now:
            _, key = heapq.heappop(self._order)
            self._until.pop(key, None)
            released = True
        return released

    def forget(self, key: ActorKey) -> None:
        """The customer's turn went well, or they were parked: failures do not count any more."""
        self._failures.pop(key, None)
        self._faults.pop(key, None)

    def drop(self, partition: int) -> None:
        """Forgets everybody of a partition."""
        for held in (self._failures, self._faults, self._until):
            for key in [key for key in held if key.partition == partition]:
                del held[key]
        self._order = [entry for entry in self._order if entry[1].partition != partition]
        heapq.heapify(self._order)
