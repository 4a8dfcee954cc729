"""The worker: hosts the actors of its partitions.

It gathers the customers who have something to do (`candidates`), runs their turns as one batch (`turns`), and trims
their mailboxes. While one batch waits for its answers the next is gathered and begun; a customer is in one of them
only. With nothing to do it sleeps until a partition is woken, the next timer or a change of the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import structlog

from libs.common.clock import Clock
from libs.common.logging import about
from libs.common.mailbox.api import Mailbox
from libs.common.mailbox.errors import Fenced, MailboxUnavailable
from libs.common.rpc.operations import Progress
from libs.common.tasks import set_within
from services.journey import metrics
from services.journey.domain.matching import DEPTH_MAX
from services.journey.domain.model import ActorKey
from services.journey.domain.turn import Refusal, RefusalReason, TurnResult
from services.journey.store.turns_protocol import TurnStorage
from services.journey.worker.batches import Batches
from services.journey.worker.candidates import Batch, Candidates
from services.journey.worker.checkouts import LIMITS, BatchLimits, Checkouts
from services.journey.worker.checkpoints import Checkpoints
from services.journey.worker.halting import Halting
from services.journey.worker.outages import OUTAGES, is_outage
from services.journey.worker.pacing import IDLE_WAIT_S, Pacing
from services.journey.worker.partitions import Partitions
from services.journey.worker.retries import PARK_FAULTS, RETRY_FIRST_S, Retries
from services.journey.worker.takeover import MailboxRepair
from services.journey.worker.timers import TimerWatch
from services.journey.worker.turns import BatchOutcome, TurnRunner

Woken = asyncio.Future[set[int]]
"""Ends with the partitions in which mail may wait."""

_log = structlog.get_logger(__name__)


class Worker:
    """Works on the customers of its partitions, in batches. A `Loop`; leases come from outside, by `set_leases`."""

    def __init__(
        self,
        *,
        mailbox: Mailbox,
        store: TurnStorage,
        runner: TurnRunner,
        repair: MailboxRepair,
        clock: Clock,
        progress: Progress,
        real_time: Callable[[], float] = time.monotonic,
        cpu_wait: Callable[[], float | None] = lambda: None,
        limits: BatchLimits = LIMITS,
    ) -> None:
        """Nothing happens before `run`. `real_time` gives seconds that never run backwards, `cpu_wait` what
        `CpuWait.share` does."""
        self._mailbox = mailbox
        self._store = store
        self._runner = runner
        self._repair = repair
        self._clock = clock
        self._progress = progress
        self._real_time = real_time
        self._partitions = Partitions(self._forget)
        self._checkouts = Checkouts(mailbox, self._partitions.owned, limits)
        self._retries = Retries()
        self._checkpoints = Checkpoints(store)
        self._timers = TimerWatch(store, clock, real_time)
        self._batches = Batches()
        self._pacing = Pacing(real_time, cpu_wait)
        self._wake = asyncio.Event()
        self._candidates = Candidates(
            mailbox=mailbox,
            partitions=self._partitions,
            checkouts=self._checkouts,
            timers=self._timers,
            retries=self._retries,
            halting=Halting(store, real_time),
        )

    # -- what the rest of the service asks ----------------------------------------------------------------------

    def set_leases(self, leases: Mapping[int, int]) -> None:
        """The partitions (with epochs) that the worker holds now; called by the lease keeper at each change."""
        self._partitions.set_leases(leases)
        self.wake()

    def set_stopping(self, journeys: Iterable[tuple[UUID, UUID]]) -> None:
        """Journeys (team, journey) whose customers have to be halted."""
        if self._candidates.set_stopping(journeys):
            self.wake()

    def wake(self) -> None:
        """Makes the worker look at everything now."""
        self._timers.look_again()
        self._wake.set()

    def ask_again(self, customers: Iterable[ActorKey]) -> None:
        """Has enrolments of these customers ask once more what they asked last, in their next turn only."""
        if self._candidates.ask_again(customers):
            self.wake()

    async def hand_over(self, partitions: Iterable[int]) -> None:
        """Returns when nothing of these partitions is checked out: running batches are done, the rest is put back."""
        self.wake()
        await self._partitions.hand_over(partitions)

    @property
    def checked_out(self) -> int:
        """Customers that are being worked on or wait here for another try."""
        return len(self._batches.customers | self._checkouts.customers)

    @property
    def owned(self) -> Mapping[int, int]:
        """Partitions that are claimed and repaired, with their epochs."""
        return self._partitions.owned

    # -- the loop -----------------------------------------------------------------------------------------------

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set; then ends its batches and puts back what it did not work on."""
        woken: Woken = asyncio.ensure_future(self._mailbox.wait_woken(IDLE_WAIT_S))
        stop = asyncio.ensure_future(stopping.wait())
        try:
            while not stopping.is_set():
                self._wake.clear()
                if not await self._look(stopping):
                    woken = await self._sleep(woken, stop)
        finally:
            stop.cancel()
            woken.cancel()
            with contextlib.suppress(asyncio.CancelledError, MailboxUnavailable):
                await woken
            await self._hand_back()

    async def _look(self, stopping: asyncio.Event) -> bool:
        """Sees to partitions and begins a batch; False if there was none, or no room for one."""
        try:
            self._batches.reap()
            await self._leave()
            await self._take_over_unclaimed()
            return not self._batches.full and await self._begin_batch()
        except OUTAGES as error:
            await self._sit_out(error, stopping)
        except Fenced as error:
            _log.warning("partitions were lost to another worker", error=str(error))
            self._partitions.drop_fenced(error.partitions)
            self._timers.look_again()
        return False

    async def _begin_batch(self) -> bool:
        """Gathers a batch and has it worked on; False if nobody has anything to do."""
        linger_s = self._pacing.linger_s()
        if linger_s > 0:
            await asyncio.sleep(linger_s)
        await self._put_back_idle()
        batch = await self._candidates.gather(self._batches.customers)
        if batch:
            self._pacing.batch_begins(len(batch))
            self._batches.start(batch, self._work(batch))
            return True
        self._pacing.calm()
        self._runner.residents.expire()
        await self._checkpoints.save(self._real_time(), dict(self.owned))
        return False

    async def _sit_out(self, error: Exception, stopping: asyncio.Event) -> None:
        """Waits a little longer each time that a server or service does not answer."""
        if self._pacing.outages == 0:
            _log.warning("a server or service does not answer", error=repr(error))
        # Those that were found due may have been in the batch that failed, and a trim that failed woke nobody.
        self._timers.look_again()
        self._checkouts.wake_all()
        await set_within(stopping, self._pacing.outage())

    async def _sleep(self, woken: Woken, stop: asyncio.Future[Any]) -> Woken:
        """Until a partition is woken, `wake`, the next timer or the next retry; returns what to wait for next."""
        wake = asyncio.ensure_future(self._wake.wait())
        # While the maximum number of batches runs, only the end of one of them makes room.
        full = self._batches.full
        wakers: set[asyncio.Future[Any]] = {stop, *self._batches.tasks}
        wakers |= set() if full else {woken, wake}
        await asyncio.wait(
            wakers, timeout=None if full else self._sleep_s(), return_when=asyncio.FIRST_COMPLETED
        )
        wake.cancel()
        if not woken.done():
            return woken
        if woken.exception() is not None:
            await asyncio.sleep(RETRY_FIRST_S)
            self._checkouts.wake_all()
        elif woken.result():
            self._checkouts.wake(woken.result())
        else:
            # Nothing for a while: a wake may have been missed.
            self._checkouts.wake_all()
        return asyncio.ensure_future(self._mailbox.wait_woken(IDLE_WAIT_S))

    def _sleep_s(self) -> float:
        timer_s = None
        if self._timers.next_at is not None and self.owned:
            timer_s = self._clock.real_seconds_until(self._timers.next_at)
        looks = [at for at in (self._retries.next_at, self._checkpoints.due_at) if at is not None]
        return self._pacing.sleep_s(look_at=min(looks, default=None), timer_s=timer_s)

    # -- partitions that come and go ----------------------------------------------------------------------------

    async def _take_over_unclaimed(self) -> None:
        unclaimed = self._partitions.unclaimed()
        if not unclaimed:
            return
        # Claiming a partition makes all checked-out mailboxes ready again, those in running batches as well.
        await self._batches.finish()
        await self._repair.take_over(unclaimed)
        self._partitions.own(unclaimed)
        self._checkouts.wake_all()
        self._timers.look_again()

    async def _leave(self) -> None:
        """Hands over the partitions that another worker is to have."""
        leaving = self._partitions.leaving
        if not leaving:
            return
        await self._batches.finish()
        await self._checkouts.put_back([key for key in self._checkouts.customers if key.partition in leaving])
        await self._checkpoints.save(self._real_time(), dict(self.owned), force=True)
        self._partitions.left()

    def _forget(self, partition: int) -> None:
        """Nothing of a partition that was dropped is of use any more."""
        self._checkouts.drop(partition)
        self._retries.drop(partition)
        self._checkpoints.forget(partition)
        self._runner.residents.drop(partition)

    async def _hand_back(self) -> None:
        """Ends the batches under way; what else is checked out becomes ready again for the next owner."""
        try:
            await self._batches.finish()
            await self._checkouts.put_back(list(self._checkouts.customers))
            await self._checkpoints.save(self._real_time(), dict(self.owned), force=True)
        except (*OUTAGES, Fenced) as error:
            _log.warning("mailboxes are not put back; their next owner finds them", error=repr(error))

    async def _put_back_idle(self) -> None:
        """Puts back those whose time for another try has come, and those whom a failed batch left checked out."""
        if self._retries.release(self._real_time()):
            self._timers.look_again()
        busy = self._batches.customers
        idle = [key for key in self._checkouts.customers if key not in self._retries and key not in busy]
        await self._checkouts.put_back(idle)

    # -- working ------------------------------------------------------------------------------------------------

    async def _work(self, batch: Batch) -> None:
        started = self._real_time()
        try:
            outcome = await self._runner.run_all(batch, dict(self.owned))
            metrics.BATCH_SIZE.observe(len(batch))
            metrics.BATCH_SECONDS.observe(self._real_time() - started)
            await self._settle(batch, outcome)
        finally:
            self._batches.ended(batch)
            self._timers.batch_ended()
        self._progress.add(len(batch))

    async def _settle(self, batch: Batch, outcome: BatchOutcome) -> None:
        for key, error in outcome.failed.items():
            await self._failed(batch, key, error)
        self._note(outcome.committed)
        # Timers behind the last mail were left to the next turn, which comes only if there is more mail.
        if outcome.failed or any(waiting.mail_left for waiting in batch.values()):
            self._timers.look_again()
        for key in outcome.committed:
            self._retries.forget(key)
        # Who is partial stays checked out and is put back as others who are idle, with all mail: the next turn goes on.
        done = [key for key in outcome.committed if key not in outcome.partial]
        await self._trim(batch, [*done, *outcome.parked])

    def _note(self, committed: Mapping[ActorKey, TurnResult]) -> None:
        results = committed.values()
        segments = [segment for result in results for segment in result.run_segments]
        metrics.TURNS.inc(len(results))
        metrics.ENROLMENTS.inc(sum(segment.enrolled for segment in segments))
        metrics.NODES.inc(sum(step.entered for segment in segments for step in segment.steps))
        for customer, result in committed.items():
            self._timers.moved(customer, result.wake_at)
            if result.refusals:
                self._note_refusals(customer, result.refusals)

    def _note_refusals(self, customer: ActorKey, refusals: Iterable[Refusal]) -> None:
        for refusal in refusals:
            metrics.REFUSALS.labels(refusal.reason.name).inc()
            if refusal.reason is RefusalReason.CAUSATION_DEPTH:
                # Journeys set each other off in a circle: somebody has to look at them.
                _log.warning(
                    "a chain of journeys was cut",
                    depth_max=DEPTH_MAX,
                    **about(customer, refusal),
                )

    async def _trim(self, batch: Batch, keys: Iterable[ActorKey]) -> None:
        """Removes the mail that these customers of a batch are done with."""
        quiet = await self._checkouts.trim({key: batch[key].last_entry_id for key in keys})
        for partition in quiet.keys() & self.owned.keys():
            self._checkpoints.note(partition, quiet[partition])

    async def _failed(self, batch: Batch, key: ActorKey, error: Exception) -> None:
        """Tries again later; parks a customer whose own turn keeps failing. An outage is nobody's fault."""
        metrics.TURNS_FAILED.inc()
        if key.partition not in self.owned:
            return
        faults = 0 if is_outage(error) else self._retries.faults_after(key)
        if faults < PARK_FAULTS:
            self._retries.postpone(key, self._real_time())
            return
        _log.error("customer parked", error=repr(error), **about(key))
        await self._store.park(key, repr(error), faults, dict(self.owned))
        metrics.PARKED.inc()
        self._retries.forget(key)
        await self._trim(batch, [key])
