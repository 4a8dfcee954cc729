"""The sender: takes accepted sends, marks them, puts them on the wire, and says what came of them.

`dispatch` marks what may leave and starts the attempts; the recorder beside it commits what they came to. A send is
marked in the database before its request leaves, so that after a crash every send is known to have been waiting or
possibly sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

import msgspec
import structlog

from libs.common import crash
from libs.common.clock import Clock
from libs.common.errors import Unavailable
from services.channel_gateway import metrics
from services.channel_gateway.adapters.base import AGE_MAX_S, Adapter, Attempt, Backoff, Verdict
from services.channel_gateway.adapters.transport import CONNECT_TIMEOUT_S
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    ConnectionKind,
    Job,
    Outcome,
    Reason,
    SendState,
)
from services.channel_gateway.lanes import Lane
from services.channel_gateway.outbox import Outbox
from services.channel_gateway.recorder import Recorder, count_outcomes, until_taken
from services.channel_gateway.store.deliveries import (
    STOP_PAGE_MAX,
    Adopted,
    DeliveryStore,
    OnWire,
    Postponement,
    cancelled_outcome,
)
from services.channel_gateway.store.facts import Written

MARK_MAX: Final = 500
"""Sends marked in one transaction."""
IDLE_S: Final = 5.0
"""An idle loop looks again after so long, whatever it was told."""
LINGER_S: Final = 0.005
"""Between two marks, so that answers that come in meanwhile make room for a batch and not for one send."""
STOP_WAIT_S: Final = CONNECT_TIMEOUT_S + 0.5
"""After so long every attempt that had begun before a stop has left or failed; what remains waits for an answer."""
STOP_OTHERS_WAIT_S: Final = 16.0
"""Longest wait for the requests of other processes."""

_log = structlog.get_logger(__name__)

JourneyKey = tuple[UUID, UUID]
"""Team, journey."""
SendKey = tuple[UUID, UUID]
"""Team, effect key."""
_STATES: Final = {
    Verdict.SENT: SendState.SENT,
    Verdict.SKIPPED: SendState.SKIPPED,
    Verdict.FAILED: SendState.FAILED,
    Verdict.EXHAUSTED: SendState.EXHAUSTED,
    Verdict.UNKNOWN: SendState.UNKNOWN,
}


class ChannelTrouble(Protocol):
    """Keeps what channels tell of accounts and content while sending."""

    async def account_unusable(self, account: Account, reason: str) -> Written:
        """The channel refuses the account; the facts of it."""
        ...

    async def template_gone(self, team_id: UUID, template_id: UUID) -> Written:
        """The channel has the template no more; the facts of it."""
        ...


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


class Sender:
    """Sends of one process. `offer` after the commit that accepted them; `run` until told to stop."""

    def __init__(self, parts: SenderParts) -> None:
        """Nothing to send yet."""
        self.sender_id = parts.sender_id
        self._parts = parts
        self._clock = parts.clock
        self._recorder = Recorder(parts.sender_id, parts.store, parts.clock, parts.outbox)
        self._lanes: dict[tuple[UUID, UUID], Lane] = {}
        self._stops: dict[JourneyKey, int] = {}
        self._wire: dict[JourneyKey, dict[UUID, int]] = {}
        """Effect key → stop epoch of what is on the wire."""
        self._attempts: set[asyncio.Task[None]] = set()
        self._hand: set[SendKey] = set()
        """What this process works on, in whatever stage."""
        self._work = asyncio.Event()
        self._landed = asyncio.Event()
        self._stopping = False

    # ---- for the rest of the service ----

    def offer(self, jobs: Sequence[Job], accounts: Iterable[Account]) -> None:
        """Hands over sends that were just accepted, and their accounts as they are now."""
        for account in accounts:
            self.update_account(account)
        for job in jobs:
            self._hand.add((job.team_id, job.effect_key))
            self._lanes[job.team_id, job.account_id].add(job)
        if jobs:
            self._work.set()

    def take_up(self, adopted: Adopted, account: Account | None) -> None:
        """Goes on with a send of a process that is gone. One that was marked is repeated where the channel has a key
        for that, and unknown elsewhere (C-04).
        """
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
        return set(keys) - self._hand

    def _release(self, jobs: Iterable[Job]) -> None:
        self._hand.difference_update((job.team_id, job.effect_key) for job in jobs)

    def update_account(self, account: Account) -> None:
        """Takes over a change of an account."""
        key = (account.team_id, account.account_id)
        now_s = time.monotonic()
        if key in self._lanes:
            self._lanes[key].update(account, now_s)
        else:
            self._lanes[key] = Lane(account, now_s)
        self._work.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends; when told to stop, starts nothing new, waits for answers and records them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatch(), name="gateway dispatch")
            group.create_task(self._recorder.run(self._postponed, self._release), name="gateway recorder")
            await stopping.wait()
            self._stopping = True
            self._work.set()

    # ---- stop ----

    async def stop(self, team_id: UUID, journey_id: UUID, epoch: int) -> tuple[int, int]:
        """Cancels the journey's sends of older epochs; returns (cancelled, on the wire) when none of them can start.

        Raises Unavailable when another process had requests on the wire for too long.
        """
        key = (team_id, journey_id)
        self._stops[key] = max(epoch, self._stops.get(key, 0))
        cancelled = 0
        while True:
            page, written = await self._parts.store.stop(
                team_id, journey_id, epoch, self._clock.now(), self.sender_id
            )
            self._parts.outbox.publish(written)
            count_outcomes(page)
            cancelled += len(page)
            if len(page) < STOP_PAGE_MAX:
                break
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_WAIT_S):
                await self._until_older_landed(key, epoch)
        on_wire = await self._until_others_are_done(key, epoch)
        return cancelled, on_wire.ours

    async def _until_older_landed(self, key: JourneyKey, epoch: int) -> None:
        while any(job_epoch < epoch for job_epoch in self._wire.get(key, {}).values()):
            self._landed.clear()
            await self._landed.wait()

    async def _until_others_are_done(self, key: JourneyKey, epoch: int) -> OnWire:
        until_s = time.monotonic() + STOP_OTHERS_WAIT_S
        while True:
            on_wire = await self._parts.store.on_wire(*key, epoch, self.sender_id)
            if not on_wire.others:
                return on_wire
            if time.monotonic() > until_s:
                raise Unavailable.dependency("another sender")
            await asyncio.sleep(0.05)

    # ---- dispatch ----

    async def _dispatch(self) -> None:
        while not self._stopping:
            self._work.clear()
            ready = self._collect()
            if ready:
                await self._launch(ready)
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
        self._show_waiting()
        return ready

    def _refuse(self, lane: Lane, job: Job) -> Outcome | None:
        """Why no attempt may start (C-02, J-03, J-12); None if one may."""
        if job.stop_epoch < self._stops.get((job.team_id, job.journey_id), 0):
            return cancelled_outcome(job)
        if job.not_after is not None and self._clock.now() >= job.not_after:
            state = SendState.UNKNOWN if job.doubtful else SendState.DEFERRED
            return Outcome(state, Reason.DO_NOT_DISTURB)
        if lane.account.state is not AccountState.ACTIVE:
            disabled = lane.account.state is AccountState.DISABLED
            return Outcome(SendState.FAILED, Reason.ACCOUNT_DISABLED if disabled else Reason.ACCOUNT_UNUSABLE)
        return None

    async def _launch(self, ready: Sequence[tuple[Lane, Job]]) -> None:
        jobs = [job for _, job in ready]
        marked = await until_taken(lambda: self._parts.store.mark_sending(jobs, self.sender_id))
        crash.reach("gateway.after_mark")
        for lane, job in ready:
            if job.effect_key in marked:
                task = asyncio.create_task(self._attempt(lane, job))
                self._attempts.add(task)
                task.add_done_callback(self._attempts.discard)
            else:
                # Cancelled by a stop, or another process has it: it settles there.
                lane.in_flight -= 1
                self._release([job])

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

    async def _attempt(self, lane: Lane, job: Job) -> None:
        """One request, from the last check to its meaning."""
        try:
            # Checked again, with nothing awaited between here and the request: marking took a moment.
            refusal = self._refuse(lane, job)
            if refusal is not None:
                self._recorder.settle(job, refusal)
                return
            attempt = await self._request(lane.account, job)
        except Exception:  # noqa: BLE001 - a fault of ours in the middle of a send must not hold up the others
            _log.exception("an attempt failed in an unforeseen way", effect_key=str(job.effect_key))
            attempt = Attempt(Verdict.UNKNOWN, "INTERNAL", doubtful=True)
        finally:
            lane.in_flight -= 1
            self._work.set()
        self._judge(lane, job, attempt)

    async def _request(self, account: Account, job: Job) -> Attempt:
        key = (job.team_id, job.journey_id)
        self._wire.setdefault(key, {})[job.effect_key] = job.stop_epoch
        began_s = time.monotonic()
        job.attempts += 1
        job.began_s = began_s if job.began_s is None else job.began_s
        try:
            return await self._parts.adapters[account.connection.kind].send(account, job, job.parts_sent)
        finally:
            metrics.ATTEMPT_SECONDS.labels(job.channel.name).observe(time.monotonic() - began_s)
            wire = self._wire[key]
            del wire[job.effect_key]
            if not wire:
                del self._wire[key]
            self._landed.set()

    # ---- what an attempt means ----

    def _judge(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        metrics.ATTEMPTS.labels(job.channel.name, attempt.verdict.value).inc()
        self._note_trouble(lane, job, attempt)
        job.doubtful = attempt.doubtful
        if attempt.verdict is Verdict.SENT:
            self._sent(job, attempt)
        elif attempt.verdict is Verdict.RETRY:
            self._retry(lane, job, attempt)
        else:
            if attempt.verdict is Verdict.FAILED:
                metrics.REFUSALS.labels(job.channel.name, attempt.reason).inc()
            self._recorder.settle(job, Outcome(_STATES[attempt.verdict], attempt.reason))

    def _sent(self, job: Job, attempt: Attempt) -> None:
        job.parts_sent += 1
        job.message_ids.append(attempt.message_id)
        if job.parts_sent == len(job.parts):
            self._recorder.settle(job, Outcome(SendState.SENT))
            return
        # The next message of the send goes through the mark again, so that progress is durable.
        job.attempts = 0
        self._recorder.postpone(job, 0.0)

    def _retry(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        backoff = attempt.backoff
        age_s = time.monotonic() - (job.began_s or time.monotonic())
        if job.attempts >= backoff.attempts_max or age_s >= AGE_MAX_S:
            silent = attempt.reason == Reason.NO_ANSWER
            state = SendState.UNKNOWN if silent else SendState.FAILED
            self._recorder.settle(job, Outcome(state, attempt.reason or Reason.RETRIES_EXHAUSTED))
            return
        delay_s = max(attempt.wait_s, delay_of(backoff, job.attempts, self._parts.rng))
        if backoff.holds_account or attempt.wait_s:
            lane.hold(time.monotonic() + delay_s)
        self._recorder.postpone(job, delay_s)

    def _note_trouble(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        account, trouble = lane.account, self._parts.trouble
        if attempt.account_unusable and account.state is AccountState.ACTIVE:
            detail = attempt.detail or attempt.reason
            self._recorder.trouble(account.account_id, lambda: trouble.account_unusable(account, detail))
            # At once, so that what waits behind does not try as well.
            refused = msgspec.structs.replace(account, state=AccountState.UNUSABLE, state_reason=detail)
            lane.update(refused, time.monotonic())
        template_id = job.template_id
        if attempt.template_gone and template_id is not None:
            self._recorder.trouble(template_id, lambda: trouble.template_gone(job.team_id, template_id))

    def _show_waiting(self) -> None:
        waiting: dict[str, int] = {}
        flying: dict[str, int] = {}
        for lane in self._lanes.values():
            name = lane.account.channel.name
            waiting[name] = waiting.get(name, 0) + len(lane)
            flying[name] = flying.get(name, 0) + lane.in_flight
        for name, count in waiting.items():
            metrics.WAITING.labels(name).set(count)
            metrics.ON_WIRE.labels(name).set(flying[name])


def delay_of(backoff: Backoff, attempts: int, rng: random.Random) -> float:
    """Seconds before the next attempt after `attempts` of them: grows by the factor, up to a quarter less by jitter."""
    full_s = min(backoff.most_s, backoff.first_s * backoff.factor ** (attempts - 1))
    return full_s * (1.0 - 0.25 * rng.random())
