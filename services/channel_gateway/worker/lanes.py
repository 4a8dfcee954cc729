"""One account's sends in a process: waiting, on the wire, and how fast they may leave. No I/O."""

import heapq
import itertools
import math
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from libs.common.token_bucket import TokenBucket
from services.channel_gateway.domain.model import Account, AccountState, Job
from services.channel_gateway.worker.fair_queue import FairQueue
from services.channel_gateway.worker.pacing import PacedPeople

BUCKET_DEPTH_S: Final = 0.05
"""An idle account saves up so many seconds' worth of its rate."""
USED_S: Final = 5.0
"""An account is in use for so long after its last send."""

EVERYBODY: Final = ""
"""The recipient of a hold of the whole account."""


class Lane:
    """The sends of one account. Knows what may leave now and when to look again."""

    def __init__(self, account: Account, now_s: float) -> None:
        """Empty, with a full bucket. It goes by the account's rate until it is given a share of it."""
        self.account = account
        self.in_flight = 0
        self._bucket: TokenBucket | None = _bucket_of(account.rate_per_second, now_s)
        self._share = float(account.rate_per_second)
        self._share_until_s = math.inf
        self._used_s = now_s
        self._waiting = FairQueue()
        self._paced = PacedPeople()
        self._later: list[tuple[float, int, Job]] = []
        self._serial = 0
        self._held_until_s = 0.0
        self._unshared: dict[str, float] = {}
        """Until when nothing leaves for whom ("": for anybody), of which other processes have not heard."""

    def __len__(self) -> int:
        """Sends that wait, those for a retry included."""
        return len(self._waiting) + len(self._later) + len(self._paced)

    def update(self, account: Account, now_s: float) -> None:
        """Takes over what the account is now."""
        before, self.account = self.account.rate_per_second, account
        if account.rate_per_second == before:
            return
        # Of another rate this process has the part that it had, until it is given its share.
        self._share *= account.rate_per_second / before
        self._bucket = _bucket_of(self._share, now_s) if self._share else None

    # ---- this process's share of the rate ----

    def lose_share(self) -> None:
        """Nothing leaves before there is a share."""
        self._share, self._share_until_s, self._bucket = 0.0, -math.inf, None

    def has_share(self, now_s: float) -> bool:
        """Whether it is known what may leave, be it nothing."""
        return now_s < self._share_until_s

    def share_at(self, now_s: float) -> float:
        """Sends a second that it goes by."""
        return self._share if self.has_share(now_s) else 0.0

    def take_share(self, share: float, until_s: float, now_s: float) -> None:
        """Goes by a share of the rate, in sends a second, until the monotonic time `until_s`."""
        before = self.share_at(now_s)
        self._share, self._share_until_s = share, until_s
        if share == before and self._bucket is not None:
            return
        kept = self._bucket.tokens if self._bucket is not None and before else 0.0
        self._bucket = _bucket_of(share, now_s) if share else None
        # Whoever has an account for itself begins with what an idle one saves up; the others with what they had.
        if self._bucket is not None and not (before == 0.0 and share == self.account.rate_per_second):
            self._bucket.take(now_s, max(0.0, _depth_of(share) - kept))

    def use(self, now_s: float) -> None:
        """Notes that it is in use."""
        self._used_s = now_s

    def in_use(self, now_s: float) -> bool:
        """Whether sends of it are here, or were a moment ago."""
        return bool(self.in_flight or len(self)) or now_s < self._used_s + USED_S

    @property
    def _is_shut(self) -> bool:
        return self.account.state is not AccountState.ACTIVE

    def _may_leave(self, now_s: float) -> bool:
        return self._bucket is not None and self.has_share(now_s) and self._bucket.take(now_s)

    # ---- sends ----

    def add(self, job: Job) -> None:
        """Puts a send at the end of its journey's line."""
        self._waiting.add(job)

    def waiting_of(self, journey_id: UUID) -> int:
        """Sends of a journey that wait, without those for a retry."""
        return self._waiting.count_of(journey_id)

    def add_later(self, job: Job, due_s: float) -> None:
        """Keeps a send until the monotonic time `due_s`."""
        if job.recipient in self._paced:
            self._paced.keep(job, due_s)
            return
        self._serial += 1
        heapq.heappush(self._later, (due_s, self._serial, job))

    def hold(self, until_s: float) -> None:
        """Lets nothing leave before the monotonic time `until_s`."""
        self._held_until_s = max(self._held_until_s, until_s)
        self._unshared[EVERYBODY] = self._held_until_s

    def pace(self, recipient: str, wait_s: float, now_s: float) -> None:
        """Lets nothing leave for one person for `wait_s` seconds, and then one after the other."""
        self._paced.pace(recipient, now_s + wait_s, now_s)
        self._unshared[recipient] = self._paced.until_s(recipient)

    # ---- what the channel asked other processes ----

    def unshared(self, most: int) -> dict[str, float]:
        """Until which monotonic time nothing leaves for whom, of which other processes have not heard; the first `most`
        of it. EVERYBODY is one."""
        return dict(itertools.islice(self._unshared.items(), most))

    def shared(self, holds: Mapping[str, float]) -> None:
        """Other processes hear of these from now on."""
        for recipient, until_s in holds.items():
            if self._unshared.get(recipient) == until_s:
                del self._unshared[recipient]

    def learn_holds(self, until_s: Mapping[str, float], now_s: float) -> None:
        """Takes over what the channel asked any process, as `unshared` has it."""
        people = dict(until_s)
        self._held_until_s = max(self._held_until_s, people.pop(EVERYBODY, 0.0))
        self._paced.learn(people, now_s)

    def claim(self, now_s: float, recipient: str, *, at_once: bool) -> bool:
        """Whether a new send may leave now, before it is stored: there is room, and nothing waits ahead of it.

        It counts as in flight from here on. `at_once`: its answer takes no time, so any number may be in flight.
        """
        ahead = self._waiting or (self._later and self._later[0][0] <= now_s)
        full = not at_once and self.in_flight >= self.account.concurrency_max
        held = now_s < self._held_until_s or self._paced.holds(recipient, now_s)
        if ahead or full or held or not self._may_leave(now_s):
            return False
        self.in_flight += 1
        return True

    def give_up(self) -> None:
        """Makes room again for a claim whose send was not stored."""
        self.in_flight -= 1
        self._put_back()

    def _put_back(self) -> None:
        if self._bucket is not None:
            self._bucket.put_back()

    def collect(self, now_s: float, most: int) -> list[Job]:
        """Takes up to `most` sends that may leave now; each counts as in flight from here on."""
        while self._later and self._later[0][0] <= now_s:
            self._waiting.add(heapq.heappop(self._later)[2])
        taken: list[Job] = []
        if self._is_shut:
            # None of them leaves; that they fail waits for no rate.
            while self._paced and len(taken) < most:
                taken.append(self._paced.take_any())
            while self._waiting and len(taken) < most:
                taken.append(self._waiting.take())
            self.in_flight += len(taken)
            return taken
        if now_s < self._held_until_s:
            return taken
        free = min(most, self.account.concurrency_max - self.in_flight)
        while len(taken) < free and (job := self._take(now_s)) is not None:
            taken.append(job)
        self.in_flight += len(taken)
        return taken

    def _take(self, now_s: float) -> Job | None:
        """The send whose turn it is, if the rate lets one leave. What is to people who are paced stands aside."""
        if self._paced and self._paced.next_at_s() <= now_s:
            return self._take_paced(now_s) if self._may_leave(now_s) else None
        while self._waiting and self._may_leave(now_s):
            job = self._waiting.take()
            if not self._paced.holds(job.recipient, now_s):
                return job
            self._paced.keep(job)
            self._put_back()
        return None

    def _take_paced(self, now_s: float) -> Job | None:
        job = self._paced.take(now_s)
        if job is not None:
            self._unshared[job.recipient] = self._paced.until_s(job.recipient)
        return job

    def next_s(self, now_s: float) -> float | None:
        """Seconds until something may leave by itself; None: nothing before an answer or a new send."""
        if self._is_shut and (self._waiting or self._paced):
            return 0.0
        due: list[float] = []
        ready_s = 0.0 if self._waiting else self._paced.next_at_s() - now_s
        if (
            ready_s < math.inf
            and self._bucket is not None
            and self.in_flight < self.account.concurrency_max
            and self.has_share(now_s)
        ):
            due.append(max(self._held_until_s - now_s, self._bucket.next_s(), ready_s))
        if self._later:
            due.append(max(0.0, self._later[0][0] - now_s))
        return min(due) if due else None


def _bucket_of(rate: float, now_s: float) -> TokenBucket:
    return TokenBucket(rate, _depth_of(rate), now_s)


def _depth_of(rate: float) -> float:
    return max(1.0, rate * BUCKET_DEPTH_S)
