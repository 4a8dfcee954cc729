"""The sends of one process that wait: in which lane each stands, which are on their way, which lie in the table only.

No I/O, and nothing is awaited: what is found here may be acted upon at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple
from uuid import UUID

from services.channel_gateway.domain.model import Account, Channel, Job, SendState
from services.channel_gateway.worker.lanes import Lane
from services.channel_gateway.worker.spill import AccountKey, Refill, Spill

SendKey = tuple[UUID, UUID]
"""Team, effect key."""
Ready = tuple[Lane, Job]
"""A send that may leave, and the lane in which it counts as in flight."""


class Claim(NamedTuple):
    """New sends on their way into the database."""

    states: list[SendState]
    """As which each is to be stored: IN_FLIGHT is recorded by the same commit."""
    ready: list[Ready]
    """Those, with the lane in which they have room."""
    waiting: list[Job]
    """The others."""


class SendQueue:
    """Lanes of accounts, and the sends that this process works on, in whatever stage ("checked out")."""

    def __init__(self, *, lane_max: int, at_once: Callable[[Account], bool], shared: bool = False) -> None:
        """`lane_max` sends of an account may wait in memory; `at_once`: attempts of the account take no time;
        `shared`: other processes send through the same accounts, and nothing leaves without a share of the rate."""
        self._at_once = at_once
        self._shared = shared
        self._lanes: dict[AccountKey, Lane] = {}
        self._spill = Spill(lane_max)
        self._checked_out: dict[SendKey, Job] = {}
        self._reserving: list[Collection[SendKey]] = []
        """Batches whose reservation is under way."""
        self._turn = 0
        """Which lane is looked at first."""
        self._work = asyncio.Event()
        self.closing = False
        """Set when nothing new is to start: from then on all new sends wait."""

    # ---- new sends ----

    @contextlib.contextmanager
    def reserving(self, keys: Collection[SendKey]) -> Iterator[None]:
        """Sends that may be stored and not checked out for the time of the block: nobody is to adopt them."""
        self._reserving.append(keys)
        try:
            yield
        finally:
            self._reserving = [batch for batch in self._reserving if batch is not keys]

    def claim(self, jobs: Sequence[Job], accounts: Sequence[Account]) -> Claim:
        """Claims room for new sends, each with its account; those that find none wait. `confirm` follows when they
        are stored, `give_up` when they are not."""
        claim = Claim([], [], [])
        now_s = time.monotonic()
        for job, account in zip(jobs, accounts, strict=True):
            lane = self._lane_of(account, now_s)
            if not self.closing and lane.claim(now_s, job.recipient, at_once=self._at_once(account)):
                claim.states.append(SendState.IN_FLIGHT)
                claim.ready.append((lane, job))
            else:
                claim.states.append(SendState.ACCEPTED)
                claim.waiting.append(job)
        return claim

    def confirm(self, claim: Claim, accounts: Iterable[Account]) -> None:
        """Takes over sends that were just stored as claimed, and their accounts as they are now."""
        self._learn(accounts)
        for _, job in claim.ready:
            self.check_out(job)
        self._add(claim.waiting)

    def give_up(self, claim: Claim) -> None:
        """Nothing of a claim was stored, as far as this process knows."""
        for lane, _ in claim.ready:
            lane.give_up()
        self.wake()

    def offer(self, jobs: Sequence[Job], accounts: Iterable[Account]) -> None:
        """Takes over sends that were just stored as waiting, and their accounts as they are now."""
        self._learn(accounts)
        self._add(jobs)

    def update_account(self, account: Account) -> None:
        """Takes over a change of an account."""
        now_s = time.monotonic()
        self._lane_of(account, now_s).update(account, now_s)
        self.wake()

    # ---- sends that were stored before ----

    def check_out(self, job: Job) -> None:
        """This process works on the send from here on."""
        self._checked_out[job.team_id, job.effect_key] = job

    def release(self, jobs: Iterable[Job]) -> None:
        """This process has nothing more to do with the sends."""
        for job in jobs:
            if self.works_on(job):
                del self._checked_out[job.team_id, job.effect_key]

    def works_on(self, job: Job) -> bool:
        """Whether this process works on the send as it is here; one that was asked for again is another."""
        return self._checked_out.get((job.team_id, job.effect_key)) is job

    def keeps_out(self, job: Job, account: Account) -> bool:
        """Whether a further send of the account stays in the table: there is no room for it in memory."""
        lane = self._lane_of(account, time.monotonic())
        return self._spill.keeps_out((job.team_id, job.account_id), lane, job.journey_id)

    def add_later(self, job: Job, delay_s: float) -> None:
        """Puts a send that is checked out in line, `delay_s` real seconds from now. Its account must be known."""
        self._lanes[job.team_id, job.account_id].add_later(job, time.monotonic() + delay_s)
        self.wake()

    @property
    def spilled(self) -> Collection[AccountKey]:
        """Accounts with sends that lie in the table only."""
        return self._spill.accounts

    def refills(self) -> list[Refill]:
        """Spilled accounts with room for sends."""
        return self._spill.refills(self._lanes)

    def emptied(self, account: AccountKey) -> None:
        """Nothing of the account lies in the table only."""
        self._spill.emptied(account)

    def checked_out(self, team_id: UUID) -> list[UUID]:
        """Effect keys of a team's sends that this process works on."""
        return [key for team, key in self._checked_out if team == team_id]

    def lost(self, keys: Iterable[SendKey]) -> set[SendKey]:
        """Those of this process's unsettled sends that it does not work on."""
        return set(keys).difference(self._checked_out, *self._reserving)

    # ---- shares of rates ----

    def used_lanes(self) -> list[Lane]:
        """Lanes of accounts that this process uses at present."""
        now_s = time.monotonic()
        return [lane for lane in self._lanes.values() if lane.in_use(now_s)]

    def without_share(self, accounts: Iterable[Account]) -> list[Lane]:
        """Those accounts' lanes of which no share is known; all of them are in use from here on."""
        now_s = time.monotonic()
        lanes = {id(lane): lane for lane in (self._lane_of(account, now_s) for account in accounts)}
        for lane in lanes.values():
            lane.use(now_s)
        return [lane for lane in lanes.values() if not lane.has_share(now_s)]

    # ---- what may leave ----

    def collect(self, most: int) -> list[Ready]:
        """Takes up to `most` sends that may leave now; each counts as in flight in its lane from here on."""
        now_s = time.monotonic()
        ready: list[Ready] = []
        lanes = list(self._lanes.values())
        first = self._turn % len(lanes) if lanes else 0
        for place, lane in enumerate(lanes[first:] + lanes[:first]):
            ready += ((lane, job) for job in lane.collect(now_s, most - len(ready)))
            if len(ready) == most:
                # Whoever was not looked at is first the next time.
                self._turn = first + place + 1
                break
        return ready

    def landed(self, lane: Lane) -> None:
        """A send of the lane is no longer in flight."""
        lane.in_flight -= 1
        if len(lane):
            self.wake()

    def wake(self) -> None:
        """Something may leave: whoever waits looks at once."""
        self._work.set()

    def looking(self) -> None:
        """What comes from here on wakes the next `wait`."""
        self._work.clear()

    async def wait(self, longest_s: float) -> None:
        """Until something may leave, `longest_s` real seconds at most."""
        now_s = time.monotonic()
        waits = [wait_s for lane in self._lanes.values() if (wait_s := lane.next_s(now_s)) is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min([*waits, longest_s])):
                await self._work.wait()

    def waiting_count(self, channel: Channel) -> int:
        """Sends of a channel that wait in memory. Any thread may ask."""
        return sum(map(len, self._lanes_on(channel)))

    def in_flight_count(self, channel: Channel) -> int:
        """Sends of a channel that are in flight. Any thread may ask."""
        return sum(lane.in_flight for lane in self._lanes_on(channel))

    def _lanes_on(self, channel: Channel) -> list[Lane]:
        return [lane for lane in list(self._lanes.values()) if lane.account.channel is channel]

    def _add(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            lane = self._lanes[job.team_id, job.account_id]
            self._checked_out.pop(
                (job.team_id, job.effect_key), None
            )  # it was recalled, and waits here as it was
            if not self._spill.keeps_out((job.team_id, job.account_id), lane, job.journey_id):
                self.check_out(job)
                lane.add(job)
        if jobs:
            self.wake()

    def _lane_of(self, account: Account, now_s: float) -> Lane:
        lane = self._lanes.get((account.team_id, account.account_id))
        if lane is None:
            lane = self._lanes[account.team_id, account.account_id] = Lane(account, now_s)
            if self._shared:
                lane.lose_share()
        return lane

    def _learn(self, accounts: Iterable[Account]) -> None:
        """Takes over what reservations saw of accounts, where it is newer than what is known here."""
        now_s = time.monotonic()
        for account in accounts:
            lane = self._lane_of(account, now_s)
            if account.version > lane.account.version:
                lane.update(account, now_s)
