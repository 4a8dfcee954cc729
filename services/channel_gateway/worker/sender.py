"""The sender: takes accepted sends, marks them, puts them on the wire, and says what came of them.

A send that finds room claims it before it is stored, is marked by the commit that stores it, and leaves at once. The
others wait: `dispatch` marks what may leave and starts the attempts. The recorder beside it commits what they came to.
A send is marked in the database before its request leaves, so that after a crash every send is known to have been
waiting or possibly sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from libs.common import crash
from libs.common.clock import Clock
from services.channel_gateway import metrics
from services.channel_gateway.clients.channels.base import Adapter, Attempt, Verdict
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    Channel,
    ConnectionKind,
    Job,
    Outcome,
    Reason,
    SendState,
)
from services.channel_gateway.store.deliveries import (
    Adopted,
    DeliveryStore,
    Postponement,
    cancelled_outcome,
)
from services.channel_gateway.worker.attempts import ChannelTrouble, Judge
from services.channel_gateway.worker.fence import Fence
from services.channel_gateway.worker.lanes import Lane
from services.channel_gateway.worker.outcomes import LINGER_FROM, Recorder, until_taken
from services.channel_gateway.worker.publisher import Outbox
from services.channel_gateway.worker.spill import Refill, Spill

MARK_MAX: Final = 500
"""Sends marked in one transaction."""
IDLE_S: Final = 5.0
"""An idle loop looks again after so long, whatever it was told."""
LINGER_S: Final = 0.005
"""Between two marks where many requests are on the wire, so that answers that come in meanwhile make room for a batch
and not for one send."""

_log = structlog.get_logger(__name__)

SendKey = tuple[UUID, UUID]
"""Team, effect key."""
_seconds_of: Final = functools.cache(metrics.ATTEMPT_SECONDS.labels)


class Claim(NamedTuple):
    """New sends on their way into the database."""

    states: list[SendState]
    """As which each is to be stored: SENDING is marked for the wire by the commit."""
    ready: list[tuple[Lane, Job]]
    """Those, with the lane in which they have room."""
    waiting: list[Job]
    """The others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderParts:
    """What a sender is made of."""

    sender_id: UUID
    """Names this process."""
    store: DeliveryStore
    adapters: Mapping[ConnectionKind, Adapter]
    trouble: ChannelTrouble
    clock: Clock
    outbox: Outbox
    rng: random.Random
    """Jitters the waits."""
    lane_max: int
    """Sends of an account that may wait in memory; more stay in the database until there is room."""


class Sender:
    """Sends of one process. `offer` after the commit that accepted them; `run` until told to stop."""

    def __init__(self, parts: SenderParts) -> None:
        """Nothing to send yet."""
        self.sender_id = parts.sender_id
        self._parts = parts
        self._clock = parts.clock
        self._attempts: set[asyncio.Task[None]] = set()
        self._recorder = Recorder(
            parts.sender_id, parts.store, parts.clock, parts.outbox, lambda: len(self._attempts)
        )
        self._judge = Judge(self._recorder, parts.trouble, parts.rng)
        self._lanes: dict[tuple[UUID, UUID], Lane] = {}
        self._fence = Fence(parts.sender_id, parts.store, parts.clock, parts.outbox)
        self._spill = Spill(parts.lane_max)
        self._hand: set[SendKey] = set()
        """What this process works on, in whatever stage."""
        self._reserving: list[Collection[SendKey]] = []
        """Batches whose reservation is under way."""
        self._work = asyncio.Event()
        self._stopping = False
        for one in Channel:
            metrics.WAITING.labels(one.name).set_function(functools.partial(self._count, one, len))
            metrics.ON_WIRE.labels(one.name).set_function(functools.partial(self._count, one, _in_flight))

    # ---- for the rest of the service ----

    @contextlib.contextmanager
    def reserving(self, keys: Collection[SendKey]) -> Iterator[None]:
        """Sends that may be in the database and not in hand for the time of the block: nobody is to adopt them."""
        self._reserving.append(keys)
        try:
            yield
        finally:
            self._reserving = [batch for batch in self._reserving if batch is not keys]

    def claim(self, jobs: Sequence[Job], accounts: Sequence[Account]) -> Claim:
        """Claims room for new sends, each with its account; those that find none wait. `launch` follows when they
        are stored, `give_up` when they are not."""
        claim = Claim([], [], [])
        now_s = time.monotonic()
        for job, account in zip(jobs, accounts, strict=True):
            lane = self._lane_of(account, now_s)
            at_once = self._parts.adapters[account.connection.kind].at_once is not None
            if not self._stopping and lane.claim(now_s, at_once=at_once):
                claim.states.append(SendState.SENDING)
                claim.ready.append((lane, job))
            else:
                claim.states.append(SendState.ACCEPTED)
                claim.waiting.append(job)
        return claim

    def launch(self, claim: Claim, accounts: Iterable[Account]) -> None:
        """Takes over sends that were just stored as claimed, and their accounts as they are now."""
        self._learn(accounts)
        self._hand.update((job.team_id, job.effect_key) for _, job in claim.ready)
        crash.reach("gateway.after_mark")
        self._start(claim.ready)
        self._queue(claim.waiting)

    def give_up(self, claim: Claim) -> None:
        """Nothing of a claim was stored, as far as this process knows."""
        for lane, _ in claim.ready:
            lane.give_up()
        self._work.set()

    def offer(self, jobs: Sequence[Job], accounts: Iterable[Account]) -> None:
        """Takes over sends that were just stored as waiting, and their accounts as they are now."""
        self._learn(accounts)
        self._queue(jobs)

    def _queue(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            lane = self._lanes[job.team_id, job.account_id]
            if self._spill.keeps_out((job.team_id, job.account_id), lane):
                continue
            self._hand.add((job.team_id, job.effect_key))
            lane.add(job)
        if jobs:
            self._work.set()

    def _lane_of(self, account: Account, now_s: float) -> Lane:
        lane = self._lanes.get((account.team_id, account.account_id))
        if lane is None:
            lane = self._lanes[account.team_id, account.account_id] = Lane(account, now_s)
        return lane

    def _learn(self, accounts: Iterable[Account]) -> None:
        """Takes over what reservations saw of accounts, where it is newer than what is known here."""
        now_s = time.monotonic()
        for account in accounts:
            lane = self._lane_of(account, now_s)
            if account.version > lane.account.version:
                lane.update(account, now_s)

    def take_up(self, adopted: Adopted, account: Account | None) -> None:
        """Goes on with a send of a process that is gone. One that was marked is repeated where the channel has a key
        for that, and unknown elsewhere (C-04).
        """
        job = adopted.job
        if account is not None and not adopted.was_sending:
            lane = self._lane_of(account, time.monotonic())
            if self._spill.keeps_out((job.team_id, job.account_id), lane):
                return
        self._go_on(adopted, account)

    @property
    def spilled(self) -> Collection[tuple[UUID, UUID]]:
        """Accounts (team, account) with sends that lie in the database only."""
        return self._spill.accounts

    def refills(self) -> list[Refill]:
        """Spilled accounts with room for sends."""
        return self._spill.refills(self._lanes)

    def in_hand(self, team_id: UUID) -> list[UUID]:
        """Effect keys of a team's sends that this process works on."""
        return [key for team, key in self._hand if team == team_id]

    def refill(self, refill: Refill, found: Sequence[Adopted], account: Account | None) -> None:
        """Takes up sends of a spilled account that were read for `refill`; those in hand by now are left out."""
        fresh = self.lost((item.job.team_id, item.job.effect_key) for item in found)
        for item in found:
            if (item.job.team_id, item.job.effect_key) in fresh:
                self._go_on(item, account)
        if len(found) < refill.room:
            self._spill.emptied(refill.account)
        self._work.set()

    def _go_on(self, adopted: Adopted, account: Account | None) -> None:
        job = adopted.job
        self._hand.add((job.team_id, job.effect_key))
        now_s = time.monotonic()
        job.began_s = now_s - adopted.age_s if adopted.age_s else None
        if account is None:
            state = SendState.UNKNOWN if job.doubtful else SendState.FAILED
            self._recorder.settle(job, Outcome(state, Reason.ACCOUNT_MISSING))
            return
        self.update_account(account)
        if not adopted.was_sending:
            self._lanes[job.team_id, job.account_id].add_later(job, now_s + adopted.delay_s)
        elif self._parts.adapters[account.connection.kind].repeatable:
            self._recorder.postpone(job, 0.0)
        else:
            self._recorder.settle(job, Outcome(SendState.UNKNOWN, Reason.SENDER_LOST))

    def lost(self, keys: Iterable[SendKey]) -> set[SendKey]:
        """Those of this process's unsettled sends that it does not have in hand."""
        return set(keys).difference(self._hand, *self._reserving)

    def _release(self, jobs: Iterable[Job]) -> None:
        self._hand.difference_update((job.team_id, job.effect_key) for job in jobs)

    def update_account(self, account: Account) -> None:
        """Takes over a change of an account."""
        now_s = time.monotonic()
        self._lane_of(account, now_s).update(account, now_s)
        self._work.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends; when told to stop, starts nothing new, waits for answers and records them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatch(), name="gateway dispatch")
            group.create_task(self._recorder.run(self._postponed, self._release), name="gateway recorder")
            await stopping.wait()
            self._stopping = True
            self._work.set()

    async def stop(self, team_id: UUID, journey_id: UUID, epoch: int) -> tuple[int, int]:
        """Cancels the journey's sends of older epochs; returns (cancelled, on the wire) when none of them can start.

        Raises Unavailable when another process had requests on the wire for too long.
        """
        return await self._fence.stop(team_id, journey_id, epoch)

    # ---- dispatch ----

    async def _dispatch(self) -> None:
        while not self._stopping:
            self._work.clear()
            ready = self._collect()
            if ready:
                await self._mark_and_start(ready)
                if len(self._attempts) >= LINGER_FROM:
                    await asyncio.sleep(LINGER_S)
            else:
                await self._wait_for_work()
        if self._attempts:
            await asyncio.wait(set(self._attempts))
        self._recorder.finish()

    def _collect(self) -> list[tuple[Lane, Job]]:
        """What may leave now; sends that may not leave at all are settled on the way."""
        now_s = time.monotonic()
        ready: list[tuple[Lane, Job]] = []
        for lane in self._lanes.values():
            for job in lane.collect(now_s, MARK_MAX - len(ready)):
                refusal = self._refuse(lane, job)
                if refusal is None:
                    ready.append((lane, job))
                else:
                    lane.in_flight -= 1
                    self._recorder.settle(job, refusal)
        return ready

    def _refuse(self, lane: Lane, job: Job) -> Outcome | None:
        """Why no attempt may start (C-02, J-03, J-12); None if one may."""
        if self._fence.stopped(job):
            return cancelled_outcome(job)
        if job.not_after is not None and self._clock.now() >= job.not_after:
            state = SendState.UNKNOWN if job.doubtful else SendState.DEFERRED
            return Outcome(state, Reason.DO_NOT_DISTURB)
        if lane.account.state is not AccountState.ACTIVE:
            disabled = lane.account.state is AccountState.DISABLED
            return Outcome(SendState.FAILED, Reason.ACCOUNT_DISABLED if disabled else Reason.ACCOUNT_UNUSABLE)
        return None

    async def _mark_and_start(self, ready: Sequence[tuple[Lane, Job]]) -> None:
        jobs = [job for _, job in ready]
        marked = await until_taken(lambda: self._parts.store.mark_sending(jobs, self.sender_id))
        crash.reach("gateway.after_mark")
        for lane, job in ready:
            if job.effect_key not in marked:
                # Cancelled by a stop, or another process has it: it settles there.
                lane.in_flight -= 1
                self._release([job])
        self._start([(lane, job) for lane, job in ready if job.effect_key in marked])

    def _start(self, ready: Iterable[tuple[Lane, Job]]) -> None:
        """Starts the attempts of sends that are marked."""
        for lane, job in ready:
            at_once = self._parts.adapters[lane.account.connection.kind].at_once
            if at_once is not None:
                self._attempt_at_once(lane, job, at_once)
                continue
            task = asyncio.create_task(self._attempt(lane, job))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    async def _wait_for_work(self) -> None:
        now_s = time.monotonic()
        waits = [wait for lane in self._lanes.values() if (wait := lane.next_s(now_s)) is not None]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min([*waits, IDLE_S])):
                await self._work.wait()

    def _postponed(self, items: Sequence[Postponement]) -> None:
        """Takes back sends whose next attempt is noted in the database."""
        now_s = time.monotonic()
        for job, delay_s in items:
            self._lanes[job.team_id, job.account_id].add_later(job, now_s + delay_s)
        self._work.set()

    def _attempt_at_once(self, lane: Lane, job: Job, answer: Callable[[Job, int], Attempt]) -> None:
        """An attempt that nobody is waited for: the last check, the answer and its meaning in one go."""
        refusal = self._refuse(lane, job)
        self._landed_in(lane)
        if refusal is not None:
            self._recorder.settle(job, refusal)
            return
        job.attempts += 1
        self._judge.judge(lane, job, answer(job, job.parts_sent))

    async def _attempt(self, lane: Lane, job: Job) -> None:
        """One request, from the last check to its meaning."""
        try:
            # Checked again, with nothing awaited between here and the request: the commit before took a moment.
            refusal = self._refuse(lane, job)
            if refusal is not None:
                self._recorder.settle(job, refusal)
                return
            attempt = await self._request(lane.account, job)
        except Exception:  # noqa: BLE001 - a fault of ours in the middle of a send must not hold up the others
            _log.exception("an attempt failed in an unforeseen way", effect_key=str(job.effect_key))
            attempt = Attempt(Verdict.UNKNOWN, "INTERNAL", doubtful=True)
        finally:
            self._landed_in(lane)
        self._judge.judge(lane, job, attempt)

    def _landed_in(self, lane: Lane) -> None:
        lane.in_flight -= 1
        if len(lane):
            self._work.set()

    async def _request(self, account: Account, job: Job) -> Attempt:
        began_s = time.monotonic()
        job.attempts += 1
        job.began_s = began_s if job.began_s is None else job.began_s
        with self._fence.on_wire(job):
            try:
                return await self._parts.adapters[account.connection.kind].send(account, job, job.parts_sent)
            finally:
                _seconds_of(job.channel.name).observe(time.monotonic() - began_s)

    def _count(self, channel: Channel, figure: Callable[[Lane], int]) -> float:
        """A figure of all lanes of a channel; called by the thread that serves the metrics."""
        return sum(figure(lane) for lane in list(self._lanes.values()) if lane.account.channel is channel)


def _in_flight(lane: Lane) -> int:
    return lane.in_flight
