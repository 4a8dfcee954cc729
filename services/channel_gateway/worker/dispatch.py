"""Puts sends on the wire: records them as in flight, starts their attempts, hands on what the attempts came to.

A send is recorded as in flight before its request leaves, so that after a crash every send is known to have been
waiting or possibly sent.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final, Protocol
from uuid import UUID

import structlog

from libs.common import crash
from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.logging import about
from services.channel_gateway import metrics
from services.channel_gateway.clients.channels.base import (
    KEY_AGE_MAX_S,
    RENEWED,
    Adapter,
    Attempt,
    Verdict,
)
from services.channel_gateway.domain.model import (
    Account,
    AccountState,
    ConnectionKind,
    DeliveryOutcome,
    Job,
    Reason,
    SendState,
)
from services.channel_gateway.store.deliveries import Marked, cancelled_outcome
from services.channel_gateway.worker.lanes import Lane
from services.channel_gateway.worker.outcomes import LINGER_FROM, until_taken
from services.channel_gateway.worker.queue import Ready, SendQueue

IN_FLIGHT_MAX: Final = 500
"""Sends recorded as in flight in one transaction."""
IDLE_S: Final = 5.0
"""An idle loop looks again after so long, woken or not."""
LINGER_S: Final = 0.005
"""Between two batches where many requests are on the wire, so that answers that come in meanwhile make room for a
batch and not for one send."""

_log = structlog.get_logger(__name__)
_seconds_of: Final = functools.cache(metrics.ATTEMPT_SECONDS.labels)


class InFlightStore(Protocol):
    """Records what leaves."""

    async def mark_in_flight(self, jobs: Sequence[Job], sender: UUID) -> Marked:
        """Records jobs as in flight, durably, but for those whose customers want no messages by now."""
        ...


class StopFence(Protocol):
    """Knows which sends a stop concerns, and what is on the wire."""

    def stopped(self, job: Job) -> bool:
        """Whether a stop lets no attempt of the send start."""
        ...

    def on_wire(self, job: Job) -> AbstractContextManager[None]:
        """The send's request is on the wire for the time of the block."""
        ...


class Classifier(Protocol):
    """Says what an attempt means for its send."""

    def classify(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        """One attempt that has ended."""
        ...


class Accounts(Protocol):
    """Accounts by their ids."""

    async def accounts(self, keys: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Account]:
        """Accounts by team and id, as they are now; deleted ones are absent."""
        ...


Settle = Callable[[Job, DeliveryOutcome], None]
"""Takes over how a send ended."""


class Dispatcher:
    """A loop, see `libs.common.tasks`. Sends that may not leave at all are settled on the way."""

    def __init__(
        self,
        *,
        sender_id: UUID,
        queue: SendQueue,
        store: InFlightStore,
        accounts: Accounts,
        adapters: Mapping[ConnectionKind, Adapter],
        fence: StopFence,
        clock: Clock,
        classifier: Classifier,
        settle: Settle,
    ) -> None:
        """`sender_id` names this process."""
        self._sender_id = sender_id
        self._queue = queue
        self._store = store
        self._accounts = accounts
        self._adapters = adapters
        self._fence = fence
        self._clock = clock
        self._classifier = classifier
        self._settle = settle
        self._attempts: set[asyncio.Task[None]] = set()

    @property
    def attempt_count(self) -> int:
        """Attempts whose results are still to come."""
        return len(self._attempts)

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends until told to stop; then starts nothing new and waits for the answers."""
        while not stopping.is_set():
            self._queue.looking()
            if not await self.step():
                await self._queue.wait(IDLE_S)
        # With nothing awaited since the last look: no attempt is started that is not waited for.
        self._queue.closing = True
        if self._attempts:
            await asyncio.wait(set(self._attempts))

    async def step(self) -> bool:
        """Sends one batch of what may leave; whether there was any."""
        ready = self._fit(self._queue.collect(IN_FLIGHT_MAX))
        if not ready:
            return False
        await self._mark_and_start(ready)
        if len(self._attempts) >= LINGER_FROM:
            await asyncio.sleep(LINGER_S)
        return True

    def start(self, ready: Iterable[Ready]) -> None:
        """Starts the attempts of sends that are recorded as in flight."""
        for lane, job in ready:
            adapter = self._adapters.get(lane.account.connection.kind)
            if adapter is None:
                self._queue.landed(lane)
                self._settle(job, DeliveryOutcome(SendState.FAILED, Reason.CHANNEL_UNSUPPORTED))
                continue
            if adapter.at_once is not None:
                self._attempt_at_once(lane, job, adapter.at_once)
                continue
            task = asyncio.create_task(self._attempt(lane, job))
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    def _fit(self, collected: Iterable[Ready]) -> list[Ready]:
        """Those that may leave; the others are settled. What was recalled and asked for again is another send."""
        ready: list[Ready] = []
        for lane, job in collected:
            if not self._queue.works_on(job):
                lane.in_flight -= 1
                continue
            refusal = self._refuse(lane, job)
            if refusal is None:
                ready.append((lane, job))
            else:
                lane.in_flight -= 1
                self._settle(job, refusal)
        return ready

    def _refuse(self, lane: Lane, job: Job) -> DeliveryOutcome | None:
        """Why no attempt may start (C-02, J-03, J-12); None if one may."""
        if self._fence.stopped(job):
            return cancelled_outcome(job)
        age_s = time.monotonic() - job.began_s if job.began_s is not None else 0.0
        if job.doubtful and age_s >= KEY_AGE_MAX_S:
            return DeliveryOutcome(SendState.UNKNOWN, Reason.NO_ANSWER)
        if job.not_after is not None and self._clock.now() >= job.not_after:
            # Where it can be asked again under its key whether the channel has it, that waits for the morning as well.
            lost = job.doubtful and not self._repeatable(lane)
            return DeliveryOutcome(SendState.UNKNOWN if lost else SendState.DEFERRED, Reason.DO_NOT_DISTURB)
        if lane.account.state is not AccountState.ACTIVE:
            disabled = lane.account.state is AccountState.DISABLED
            reason = Reason.ACCOUNT_DISABLED if disabled else Reason.ACCOUNT_UNUSABLE
            return DeliveryOutcome(SendState.FAILED, reason)
        return None

    def _repeatable(self, lane: Lane) -> bool:
        adapter = self._adapters.get(lane.account.connection.kind)
        return adapter is not None and adapter.repeatable

    async def _mark_and_start(self, ready: Sequence[Ready]) -> None:
        jobs = [job for _, job in ready]
        marked = await until_taken(lambda: self._store.mark_in_flight(jobs, self._sender_id))
        crash.reach("gateway.after_mark")
        for lane, job in ready:
            if job.effect_key in marked.ours:
                continue
            lane.in_flight -= 1
            if job.effect_key in marked.unwanted:
                self._settle(job, DeliveryOutcome(SendState.SKIPPED, Reason.OPTED_OUT))
            else:  # cancelled by a stop, or another process has it: it settles there
                self._queue.release([job])
        self.start((lane, job) for lane, job in ready if job.effect_key in marked.ours)

    def _attempt_at_once(self, lane: Lane, job: Job, answer: Callable[[Job, int], Attempt]) -> None:
        """An attempt that nobody is waited for: the last check, the answer and its meaning in one go."""
        refusal = self._refuse(lane, job)
        self._queue.landed(lane)
        if refusal is not None:
            self._settle(job, refusal)
            return
        job.attempts += 1
        try:
            attempt = answer(job, job.parts_sent)
        except Exception:  # noqa: BLE001 - see `_attempt`
            attempt = _unforeseen(job)
        self._classify(lane, job, attempt)

    async def _attempt(self, lane: Lane, job: Job) -> None:
        """One request, from the last check to its meaning."""
        try:
            # Checked again, with nothing awaited between here and the request: the commit before took a moment.
            refusal = self._refuse(lane, job)
            if refusal is not None:
                self._settle(job, refusal)
                return
            account = lane.account
            attempt = await self._request(account, job)
            if attempt.account_unusable and await self._was_renewed(lane, account):
                attempt = Attempt(Verdict.RETRY, attempt.reason, backoff=RENEWED, detail=attempt.detail)
        except Exception:  # noqa: BLE001 - a fault of ours in the middle of a send must not hold up the others
            attempt = _unforeseen(job)
        finally:
            self._queue.landed(lane)
        self._classify(lane, job, attempt)

    def _classify(self, lane: Lane, job: Job, attempt: Attempt) -> None:
        try:
            self._classifier.classify(lane, job, attempt)
        except Exception:  # noqa: BLE001 - see `_attempt`
            _log.exception("an answer cannot be read", **about(job))
            self._settle(job, DeliveryOutcome(SendState.UNKNOWN, Reason.INTERNAL))

    async def _was_renewed(self, lane: Lane, refused: Account) -> bool:
        """Whether the account has another token, say, than the one that its channel refused."""
        if lane.account.connection == refused.connection:
            key = (refused.team_id, refused.account_id)
            try:
                found = (await self._accounts.accounts([key])).get(key)
            except PASSING:
                return False
            if found is not None and found.version > lane.account.version:
                self._queue.update_account(found)
        return lane.account.connection != refused.connection

    async def _request(self, account: Account, job: Job) -> Attempt:
        began_s = time.monotonic()
        job.attempts += 1
        job.began_s = began_s if job.began_s is None else job.began_s
        with self._fence.on_wire(job):
            try:
                return await self._adapters[account.connection.kind].send(account, job, job.parts_sent)
            finally:
                _seconds_of(job.channel.name).observe(time.monotonic() - began_s)


def _unforeseen(job: Job) -> Attempt:
    """What an attempt came to that raised what no adapter should; called while that is handled."""
    _log.exception("an attempt failed in an unforeseen way", **about(job))
    return Attempt(Verdict.UNKNOWN, Reason.INTERNAL, doubtful=True)
