"""The sender of a process: queue, dispatch and the recorder of outcomes as one.

A send that finds room claims it before it is stored, is recorded as in flight by the commit that stores it, and leaves
at once. The others wait in the queue; the dispatcher records what may leave as in flight and starts the attempts. The
recorder commits what they came to.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from uuid import UUID

from libs.common import crash
from libs.common.clock import Clock
from libs.common.feeds.publisher import CommitPublisher
from services.channel_gateway import metrics
from services.channel_gateway.clients.channels.base import Adapter
from services.channel_gateway.domain.model import (
    Account,
    Channel,
    ConnectionKind,
    DeliveryOutcome,
    Job,
    Reason,
    SendState,
)
from services.channel_gateway.store.deliveries import Adopted, DeliveryStore, Postponement
from services.channel_gateway.worker.attempts import AttemptClassifier, ChannelTrouble
from services.channel_gateway.worker.dispatch import Dispatcher
from services.channel_gateway.worker.fence import Fence
from services.channel_gateway.worker.outcomes import Recorder
from services.channel_gateway.worker.queue import Claim, SendKey, SendQueue
from services.channel_gateway.worker.rate_shares import Accounts, Rates, RateShares
from services.channel_gateway.worker.spill import Refill
from services.channel_gateway.worker.stints import Stints


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDependencies:
    """What a sender is made of."""

    sender_id: UUID
    """Names this process."""
    store: DeliveryStore
    rates: Rates
    accounts: Accounts
    adapters: Mapping[ConnectionKind, Adapter]
    trouble: ChannelTrouble
    clock: Clock
    publisher: CommitPublisher
    rng: random.Random
    """Jitters the waits."""
    lane_max: int
    """Sends of an account that may wait in memory; more stay in the database until there is room."""


class Sender:
    """Sends of one process: a loop, see `libs.common.tasks`."""

    def __init__(self, deps: SenderDependencies) -> None:
        """Nothing to send yet."""
        self.sender_id = deps.sender_id
        self.stints = Stints()
        self.queue = SendQueue(lane_max=deps.lane_max, at_once=self._is_at_once, shared=True)
        self._shares = RateShares(deps.sender_id, deps.rates, deps.accounts, self.queue)
        self._adapters = deps.adapters
        self._fence = Fence(deps.sender_id, deps.store, deps.clock, deps.publisher)
        self._recorder = Recorder(
            *(deps.sender_id, deps.store, deps.clock, deps.publisher),
            lambda: self._dispatcher.attempt_count,
            works_on=self.queue.works_on,
        )
        self._dispatcher = Dispatcher(
            sender_id=deps.sender_id,
            queue=self.queue,
            store=deps.store,
            accounts=deps.accounts,
            adapters=deps.adapters,
            fence=self._fence,
            clock=deps.clock,
            classifier=AttemptClassifier(self._recorder, deps.trouble, deps.rng),
            settle=self._recorder.settle,
        )
        for one in Channel:
            waiting, in_flight = self.queue.waiting_count, self.queue.in_flight_count
            metrics.WAITING.labels(one.name).set_function(functools.partial(waiting, one))
            metrics.ON_WIRE.labels(one.name).set_function(functools.partial(in_flight, one))

    def _is_at_once(self, account: Account) -> bool:
        return self._adapters[account.connection.kind].at_once is not None

    # ---- for reservations ----

    def reserving(self, keys: Collection[SendKey]) -> AbstractContextManager[None]:
        """See `SendQueue.reserving`."""
        return self.queue.reserving(keys)

    async def ready(self, accounts: Collection[Account]) -> None:
        """See `RateShares.ready`; before a claim, so that the first send of an idle account finds room."""
        await self._shares.ready(accounts)

    def claim(self, jobs: Sequence[Job], accounts: Sequence[Account]) -> Claim:
        """See `SendQueue.claim`; `launch` follows when they are stored, `give_up` when they are not."""
        return self.queue.claim(jobs, accounts)

    def launch(self, claim: Claim, accounts: Iterable[Account]) -> None:
        """Takes over sends that were just stored as claimed, and their accounts as they are now."""
        self.queue.confirm(claim, accounts)
        crash.reach("gateway.after_mark")
        self._dispatcher.start(claim.ready)

    def give_up(self, claim: Claim) -> None:
        """See `SendQueue.give_up`."""
        self.queue.give_up(claim)

    def offer(self, jobs: Sequence[Job], accounts: Iterable[Account]) -> None:
        """See `SendQueue.offer`."""
        self.queue.offer(jobs, accounts)

    def update_account(self, account: Account) -> None:
        """See `SendQueue.update_account`."""
        self.queue.update_account(account)

    # ---- for the recovery ----

    def take_up(self, adopted: Adopted, account: Account | None) -> None:
        """Goes on with a send of a process that is gone. One that was in flight is repeated where the channel has a key
        for that, and unknown elsewhere (C-04).
        """
        if account is not None and not adopted.was_in_flight and self.queue.keeps_out(adopted.job, account):
            return
        self._go_on(adopted, account)

    def refill(self, refill: Refill, found: Sequence[Adopted], account: Account | None) -> None:
        """Takes up sends of a spilled account that were read for `refill`; those checked out by now are left out."""
        fresh = self.queue.lost((item.job.team_id, item.job.effect_key) for item in found)
        for item in found:
            if (item.job.team_id, item.job.effect_key) in fresh:
                self._go_on(item, account)
        if len(found) < refill.room:
            self.queue.emptied(refill.account)
        self.queue.wake()

    def _go_on(self, adopted: Adopted, account: Account | None) -> None:
        job = adopted.job
        self.queue.check_out(job)
        job.began_s = time.monotonic() - adopted.age_s if adopted.age_s else None
        if account is None:
            state = SendState.UNKNOWN if job.doubtful else SendState.FAILED
            self._recorder.settle(job, DeliveryOutcome(state, Reason.ACCOUNT_MISSING))
            return
        self.queue.update_account(account)
        if not job.parts:
            state = SendState.UNKNOWN if job.doubtful else SendState.FAILED
            self._recorder.settle(job, DeliveryOutcome(state, Reason.CONTENT_INVALID))
        elif not adopted.was_in_flight:
            self.queue.add_later(job, adopted.delay_s)
        elif self._adapters[account.connection.kind].repeatable:
            job.doubtful = True
            self._recorder.postpone(job, 0.0)
        else:
            self._recorder.settle(job, DeliveryOutcome(SendState.UNKNOWN, Reason.SENDER_LOST))

    # ---- life ----

    async def run(self, stopping: asyncio.Event) -> None:
        """Sends; when told to stop, starts nothing new, waits for answers and records them."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._dispatch(stopping), name="gateway dispatch")
            group.create_task(
                self._recorder.run(self._postponed, self.queue.release), name="gateway recorder"
            )
            group.create_task(self._shares.run(stopping), name="gateway shares of rates")
            await stopping.wait()
            self.queue.wake()

    async def _dispatch(self, stopping: asyncio.Event) -> None:
        await self._dispatcher.run(stopping)
        self._recorder.finish()

    async def stop(self, team_id: UUID, journey_id: UUID, epoch: int) -> tuple[int, int]:
        """Cancels the journey's sends of older epochs; returns (cancelled, on the wire) when none of them can start.

        Raises Unavailable when another process had requests on the wire for too long.
        """
        return await self._fence.stop(team_id, journey_id, epoch)

    async def recall(self, team_id: UUID, journey_id: UUID, epoch: int) -> int:
        """Takes back the journey's sends of older epochs that have not begun to leave; returns how many.

        Raises Unavailable while some are on the wire.
        """
        return await self._fence.recall(team_id, journey_id, epoch)

    async def cancel(self, team_id: UUID, effect_key: UUID) -> bool:
        """Cancels one send; whether it waited. Raises Unavailable while it is on the wire for long."""
        return await self._fence.cancel(team_id, effect_key)

    def _postponed(self, items: Sequence[Postponement]) -> None:
        """Takes back sends whose next attempt is noted in the database."""
        for job, delay_s in items:
            self.queue.add_later(job, delay_s)
