"""One account's sends in a process: waiting, on the wire, and how fast they may leave. No I/O."""

import heapq
from typing import Final
from uuid import UUID

from libs.common.token_bucket import TokenBucket
from services.channel_gateway.domain.model import Account, Job
from services.channel_gateway.worker.fair_queue import FairQueue

BUCKET_DEPTH_S: Final = 0.05
"""An idle account saves up so many seconds' worth of its rate."""


class Lane:
    """The sends of one account. Knows what may leave now and when to look again."""

    def __init__(self, account: Account, now_s: float) -> None:
        """Empty, with a full bucket."""
        self.account = account
        self.in_flight = 0
        self._bucket = _bucket_of(account, now_s)
        self._waiting = FairQueue()
        self._later: list[tuple[float, int, Job]] = []
        self._serial = 0
        self._held_until_s = 0.0

    def __len__(self) -> int:
        """Sends that wait, those for a retry included."""
        return len(self._waiting) + len(self._later)

    def update(self, account: Account, now_s: float) -> None:
        """Takes over what the account is now."""
        if account.rate_per_second != self.account.rate_per_second:
            self._bucket = _bucket_of(account, now_s)
        self.account = account

    def add(self, job: Job) -> None:
        """Puts a send at the end of its journey's line."""
        self._waiting.add(job)

    def waiting_of(self, journey_id: UUID) -> int:
        """Sends of a journey that wait, without those for a retry."""
        return self._waiting.count_of(journey_id)

    def add_later(self, job: Job, due_s: float) -> None:
        """Keeps a send until the monotonic time `due_s`."""
        self._serial += 1
        heapq.heappush(self._later, (due_s, self._serial, job))

    def hold(self, until_s: float) -> None:
        """Lets nothing leave before the monotonic time `until_s`."""
        self._held_until_s = max(self._held_until_s, until_s)

    def claim(self, now_s: float, *, at_once: bool) -> bool:
        """Whether a new send may leave now, before it is stored: there is room, and nothing waits ahead of it.

        It counts as in flight from here on. `at_once`: its answer takes no time, so any number may be in flight.
        """
        ahead = self._waiting or (self._later and self._later[0][0] <= now_s)
        full = not at_once and self.in_flight >= self.account.concurrency_max
        if ahead or full or now_s < self._held_until_s or not self._bucket.take(now_s):
            return False
        self.in_flight += 1
        return True

    def give_up(self) -> None:
        """Makes room again for a claim whose send was not stored."""
        self.in_flight -= 1
        self._bucket.put_back()

    def collect(self, now_s: float, most: int) -> list[Job]:
        """Takes up to `most` sends that may leave now; each counts as in flight from here on."""
        while self._later and self._later[0][0] <= now_s:
            self._waiting.add(heapq.heappop(self._later)[2])
        taken: list[Job] = []
        if now_s < self._held_until_s:
            return taken
        free = min(most, self.account.concurrency_max - self.in_flight)
        while self._waiting and len(taken) < free and self._bucket.take(now_s):
            taken.append(self._waiting.take())
        self.in_flight += len(taken)
        return taken

    def next_s(self, now_s: float) -> float | None:
        """Seconds until something may leave by itself; None: nothing before an answer or a new send."""
        due: list[float] = []
        if self._waiting and self.in_flight < self.account.concurrency_max:
            due.append(max(self._held_until_s - now_s, self._bucket.next_s()))
        if self._later:
            due.append(max(0.0, self._later[0][0] - now_s))
        return min(due) if due else None


def _bucket_of(account: Account, now_s: float) -> TokenBucket:
    rate = account.rate_per_second
    return TokenBucket(rate, max(1.0, rate * BUCKET_DEPTH_S), now_s)
