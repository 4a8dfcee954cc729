"""The sender: takes accepted sends, marks them, puts them on the wire, records what came of them.

Three loops share memory and nothing else: `dispatch` marks what may leave and starts the attempts, `record` commits
outcomes and postponements in batches, `recover` adopts sends of processes that are gone. A send is marked in the database
before its request leaves, so that after a crash every send is known to have been waiting or possibly sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import structlog
import tenacity

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
from services.channel_gateway.store.deliveries import (
    ADOPT_PAGE_MAX,
    STOP_PAGE_MAX,
    Adopted,
    DeliveryStore,
    OnWire,
    Postponement,
    Settlement,
    cancelled_outcome,
)

MARK_MAX: Final = 500
"""Sends marked in one transaction."""
RECORD_MAX: Final = 500
"""Outcomes recorded in one transaction."""
IDLE_S: Final = 5.0
"""An idle loop looks again after so long, whatever it was told."""
RECOVER_INTERVAL_S: Final = 2.0
STORE_RETRY_FIRST_S: Final = 0.05
STORE_RETRY_MAX_S: Final = 2.0
STOP_WAIT_S: Final = CONNECT_TIMEOUT_S + 0.5
"""After so long every attempt that had begun before a stop has left or failed: what remains is waiting for an answer."""
STOP_OTHERS_WAIT_S: Final = 16.0
"""Longest wait for the requests of other processes."""
_STOP_POLL_S: Final = 0.01
_TRANSIENT: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)

_log = structlog.get_logger(__name__)

T = TypeVar("T")
JourneyKey = tuple[UUID, UUID]
_STATES: Final = {
    Verdict.SENT: SendState.SENT,
    Verdict.SKIPPED: SendState.SKIPPED,
    Verdict.FAILED: SendState.FAILED,
    Verdict.EXHAUSTED: SendState.EXHAUSTED,
    Verdict.UNKNOWN: SendState.UNKNOWN,
}


class Liveness(Protocol):
    """Who among the senders is alive."""

    async def is_gone(self, sender: UUID) -> bool:
        """Whether a sender's process has ended."""
        ...


class ChannelTrouble(Protocol):
    """What the channel told of accounts and content while sending; keeps it."""

    async def account_unusable(self, account: Account, reason: str) -> None:
        """The channel refuses the account."""
        ...

    async def template_gone(self, team_id: UUID, template_id: UUID) -> None:
        """The channel has the template no more."""
        ...

    async def accounts(self, keys: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Account]:
        """Accounts by team and id; deleted ones are absent."""
        ...


class Sender:
    """Sends of one process. `offer` after the commit that accepted them; `run` until told to stop."""

    def __init__(
        self,
        sender_id: UUID,
        store: DeliveryStore,
        adapters: Mapping[ConnectionKind, Adapter],
        trouble: ChannelTrouble,
        liveness: Liveness,
        clock: Clock,
        outbox: Outbox,
        rng: random.Random,
    ) -> None:
        """`sender_id` names this process; `rng` jitters the waits."""
        self.sender_id = sender_id
        self._store = store
        self._adapters = adapters
        self._trouble = trouble
        self._liveness = liveness
        self._clock = clock
        self._outbox = outbox
        self._rng = rng
        self._lanes: dict[tuple[UUID, UUID], Lane] = {}
        self._stops: dict[JourneyKey, int] = {}
        self._wire: dict[JourneyKey, dict[UUID, int]] = {}
        self._attempts: set[asyncio.Task[None]] = set()
        self._settlements: list[Settlement] = []
        self._postponements: list[Postponement] = []
        self._troubles: dict[tuple[UUID, UUID], Callable[[], Awaitable[None]]] = {}
        self._work = asyncio.Event()
        self._results = asyncio.Event()
        self._stopping = False
        self._dispatched = False

    # ---- for the rest of the service ----

    def offer(self, jobs: Sequence[Job], accounts: Iterable[Account]) -> None:
        """Hands over sends that were just accepted, and their accounts as they are now."""
        for account in accounts:
            self.update_account(account)
        for job in jobs:
            self._lanes[job.team_id, job.account_id].add(job)
        if jobs:
            self._work.set()

    def update_account(self, account: Account) -> None:
        """Takes over a change of an account."""
        key = (account.team_id, account.account_id)
        now_s = time.monotonic()
        if key in self._lanes:
            self._lanes[key].update(account, now_s)
        else:
            self._lanes[key] = Lane(account, now_s)
        self._work.set()

    async def stop(self, team_id: UUID, journey_id: UUID, epoch: int) -> tuple[int, int]:
        """Cancels the journey's sends of older epochs; returns (cancelled, on the wire) when no attempt of them can start.

        Raises Unavailable when another process had requests on the wire for too long.
        """
        key = (team_id, journey_id)
        self._stops[key] = max(epoch, self._stops.get(key, 0))
        cancelled = 0
        while True:
            page, written = await self._store.stop(
                team_id, journey_id, epoch, self._clock.now(), self.sender_id
            )
            self._outbox.publish(written)
            self._count(page)
            cancelled += len(page)
            if len(page) < STOP_PAGE_MAX:
                break
        await self._until_begun_attempts_left(key, epoch)
        on_wire = await self._until_others_are_done(team_id, journey_id, epoch)
        return cancelled, on_wire.ours

    async def run(self, stopping: asyncio.Event) -> None:
        """Runs the loops; when told to stop, starts nothing new, waits for answers and records them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatch(), name="gateway dispatch")
            group.create_task(self._record(), name="gateway record")
            recovery = group.create_task(self._recover(), name="gateway recover")
            await stopping.wait()
            self._stopping = True
            self._work.set()
            self._results.set()
            recovery.cancel()

    # ---- stop ----

    async def _until_begun_attempts_left(self, key: JourneyKey, epoch: int) -> None:
        until_s = time.monotonic() + STOP_WAIT_S
        while self._has_older_on_wire(key, epoch) and time.monotonic() < until_s:
            await asyncio.sleep(_STOP_POLL_S)

    def _has_older_on_wire(self, key: JourneyKey, epoch: int) -> bool:
        return any(job_epoch < epoch for job_epoch in self._wire.get(key, {}).values())

    async def _until_others_are_done(self, team_id: UUID, journey_id: UUID, epoch: int) -> OnWire:
        until_s = time.monotonic() + STOP_OTHERS_WAIT_S
        while True:
            on_wire = await self._store.on_wire(team_id, journey_id, epoch, self.sender_id)
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
            else:
                await self._wait_for_work()
        if self._attempts:
            await asyncio.wait(set(self._attempts))
        self._dispatched = True
        self._results.set()

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
                    self._settle(job, refusal)
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
        marked = await self._with_store(
            lambda: self._store.mark_sending([job for _, job in ready], self.sender_id)
        )
        for lane, job in ready:
            if job.effect_key in marked:
                task = asyncio.create_task(self._attempt(lane, job))
                self._attempts.add(task)
                task.add_done_callback(self._attempts.discard)
            else:
                # Cancelled by a stop, or another process has it: it settles there.
                lane.in_flight -= 1

    async def _wait_for_work(self) -> None:
        now_s = time.monotonic()
        waits = [wait for lane in self._lanes.values() if (wait := lane.next_s(now_s)) is not None]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._work.wait(), min([*waits, IDLE_S]))

    async def _attempt(self, lane: Lane, job: Job) -> None:
        """One request, from the last check to its meaning."""
        try:
            # Checked again, with nothing awaited between here and the request: marking took a moment.
            refusal = self._refuse(lane, job)
            if refusal is not None:
                self._settle(job, refusal)
                return
            attempt = await self._request(lane.account, job)
        except Exception:
            # A fault of ours, in the middle of a send: nobody knows whether it left, and the others must go on.
            _log.exception("an attempt failed in an unforeseen way", effect_key=str(job.effect_key))
            attempt = Attempt(Verdict.UNKNOWN, "INTERNAL", doubtful=True)
        finally:
            lane.in_flight -= 1
            self._work.set()
        self._judge(lane, job, attempt)

    async def _request(self, account: Account, job: Job) -> Attempt:
        wire = self._wire.setdefault((job.team_id, job.journey_id), {})
        wire[job.effect_key] = job.stop_epoch
        began_s = time.monotonic()
        job.attempts += 1
        job.began_s = began_s if job.began_s is None else job.began_s
        try:
            return await self._adapters[account.connection.kind].send(account, job, job.parts_sent)
        finally:
            metrics.ATTEMPT_SECONDS.labels(job.channel.name).observe(time.monotonic() - began_s)
            wire.pop(job.effect_key, None)
            if not wire:
                self._wire.pop((job.team_id, job.journey_id), None)

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
                metrics.UNLISTED_CODES.labels(job.channel.name, attempt.reason).inc()
            self._settle(job, Outcome(_STATES[attempt.verdict], attempt.reason))

    def _sent(self, job: Job, attempt: Attempt) -> None:
        job.parts_sent += 1
        job.message_ids.append(attempt.message_id)
        if job.parts_sent == len(job.parts):
            self._settle(job, Outcome(SendState.SENT))
            return
        # The next message of the send goes through the mark again, so that progress is durable.
        job.attempts = 0
        self._postpone(job, 0.0)

    def _retry(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        backoff = attempt.backoff
        age_s = time.monotonic() - (job.began_s or time.monotonic())
        if job.attempts >= backoff.attempts_max or age_s >= AGE_MAX_S:
            silent = attempt.reason == Reason.NO_ANSWER
            self._settle(job, Outcome(SendState.UNKNOWN if silent else SendState.FAILED, attempt.reason))
            return
        delay_s = max(attempt.wait_s, delay_of(backoff, job.attempts, self._rng))
        if backoff.holds_account or attempt.wait_s:
            lane.hold(time.monotonic() + delay_s)
        self._postpone(job, delay_s)

    def _note_trouble(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        account = lane.account
        if attempt.account_unusable and account.state is AccountState.ACTIVE:
            detail = attempt.detail or attempt.reason
            self._troubles[account.team_id, account.account_id] = lambda: self._trouble.account_unusable(
                account, detail
            )
            # At once, so that what waits behind does not try as well.
            refused = msgspec.structs.replace(account, state=AccountState.UNUSABLE, state_reason=detail)
            lane.update(refused, time.monotonic())
        template_id = job.template_id
        if attempt.template_gone and template_id is not None:
            self._troubles[job.team_id, template_id] = lambda: self._trouble.template_gone(
                job.team_id, template_id
            )

    def _settle(self, job: Job, outcome: Outcome) -> None:
        self._settlements.append(Settlement(job, outcome))
        self._results.set()

    def _postpone(self, job: Job, delay_s: float) -> None:
        self._postponements.append(Postponement(job, delay_s))
        self._results.set()

    # ---- record ----

    async def _record(self) -> None:
        while True:
            self._results.clear()
            while self._settlements or self._postponements or self._troubles:
                await self._record_settlements()
                await self._record_postponements()
                await self._record_troubles()
            if self._dispatched:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._results.wait(), IDLE_S)

    async def _record_settlements(self) -> None:
        batch = self._settlements[:RECORD_MAX]
        if not batch:
            return
        written = await self._with_store(lambda: self._store.settle(batch, self._clock.now(), self.sender_id))
        del self._settlements[: len(batch)]
        self._outbox.publish(written)
        self._count(batch)

    async def _record_postponements(self) -> None:
        batch = self._postponements[:RECORD_MAX]
        if not batch:
            return
        kept = await self._with_store(lambda: self._store.postpone(batch, self.sender_id))
        del self._postponements[: len(batch)]
        now_s = time.monotonic()
        for job, delay_s in batch:
            if job.effect_key in kept:
                self._lanes[job.team_id, job.account_id].add_later(job, now_s + delay_s)
        self._work.set()

    async def _record_troubles(self) -> None:
        while self._troubles:
            _, record = self._troubles.popitem()
            await self._with_store(record)

    async def _with_store(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats a write of the sender until the database takes it: what is in memory has no other way out."""
        policy = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_TRANSIENT),
            wait=tenacity.wait_exponential_jitter(STORE_RETRY_FIRST_S, STORE_RETRY_MAX_S),
            before_sleep=_tell,
        )
        return await policy(call)

    # ---- recover ----

    async def _recover(self) -> None:
        while True:
            try:
                await self._adopt_all()
            except _TRANSIENT as error:
                _log.warning("sends of other processes cannot be looked for", error=str(error))
            await asyncio.sleep(RECOVER_INTERVAL_S)

    async def _adopt_all(self) -> None:
        senders = await self._store.unsettled_senders()
        for sender, teams in senders.items():
            if sender == self.sender_id or not await self._liveness.is_gone(sender):
                continue
            while adopted := await self._store.adopt(sender, teams, self.sender_id):
                await self._take_up(adopted)
                if len(adopted) < ADOPT_PAGE_MAX:
                    break

    async def _take_up(self, adopted: Sequence[Adopted]) -> None:
        """Takes up sends of a process that is gone: marked ones are repeated where the channel has a key, else unknown."""
        accounts = await self._trouble.accounts(list({(a.job.team_id, a.job.account_id) for a in adopted}))
        for account in accounts.values():
            self.update_account(account)
        now_s = time.monotonic()
        for item in adopted:
            job = item.job
            job.began_s = now_s - item.age_s if item.age_s else None
            account_here = accounts.get((job.team_id, job.account_id))
            metrics.ADOPTED.labels(job.channel.name).inc()
            if account_here is None:
                state = SendState.UNKNOWN if job.doubtful else SendState.FAILED
                self._settle(job, Outcome(state, Reason.ACCOUNT_MISSING))
            elif not item.was_sending:
                self._lanes[job.team_id, job.account_id].add_later(job, now_s + item.delay_s)
            elif self._adapters[account_here.connection.kind].repeatable:
                self._postpone(job, 0.0)
            else:
                self._settle(job, Outcome(SendState.UNKNOWN, Reason.SENDER_LOST))
        _log.warning("adopted sends of a process that is gone", count=len(adopted))
        self._work.set()

    # ---- figures ----

    def _count(self, settled: Sequence[Settlement]) -> None:
        for job, outcome in settled:
            metrics.OUTCOMES.labels(job.channel.name, outcome.state.name).inc()

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


def _tell(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.warning(
        "the database does not take the sender's writes", error=str(error), attempt=state.attempt_number
    )


def delay_of(backoff: Backoff, attempts: int, rng: random.Random) -> float:
    """Seconds before the next attempt after `attempts` of them: grows by the factor, up to a quarter less by jitter."""
    full_s = min(backoff.most_s, backoff.first_s * backoff.factor ** (attempts - 1))
    return full_s * (1.0 - 0.25 * rng.random())
