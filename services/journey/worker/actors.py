"""The worker: hosts the actors of its partitions.

It takes whatever waits (mail, due timers, journeys that stop), runs the turns of all these customers as one batch,
commits and trims. While one batch waits for its answers the next is taken and begun; a customer is in one of them only.
With nothing to do it sleeps until a partition is woken, the next timer or a change of the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog

from libs.common.clock import Clock
from libs.common.mailbox.api import Mailbox, PutBack, Trim
from libs.common.mailbox.errors import Fenced, MailboxUnavailable
from libs.common.rpc.operations import Progress
from services.journey import metrics
from services.journey.domain.model import ActorKey
from services.journey.domain.turn import TurnResult
from services.journey.store.turns_protocol import TurnStorage
from services.journey.worker.batches import Batches, Checkpoints
from services.journey.worker.faults import OUTAGES, is_outage
from services.journey.worker.retries import PARK_FAULTS, RETRY_FIRST_S, Retries
from services.journey.worker.takeover import MailboxRepair
from services.journey.worker.timers import TimerWatch
from services.journey.worker.turns import BatchOutcome, TurnRunner, Waiting

CUSTOMERS_MAX: Final = 500
"""Customers of one batch: more gain little, and make everybody in it wait longer."""
MAIL_MAX: Final = 100
"""Mail of one customer in one batch."""
LINGER_S: Final = 0.01
"""Batches begin at least so far apart, real seconds: a batch of one customer costs every service that it asks nearly
what one of ten does. What comes when nothing was done for so long is begun at once."""
IDLE_WAIT_S: Final = 1.0
"""Longest sleep, real seconds: the bound on how late a missed wake-up is noticed."""
OUTAGE_WAIT_MAX_S: Final = 2.0
"""Longest wait between looks while a server or service does not answer."""

NOTHING_WAITS: Final = Waiting()
"""No mail: a timer is due, or a journey stops."""

_log = structlog.get_logger(__name__)


class Worker:
    """Owns partitions by lease and works on their customers, one batch at a time."""

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
    ) -> None:
        """Nothing happens before `run`. `real_time` gives seconds that never run backwards."""
        self._mailbox = mailbox
        self._store = store
        self._runner = runner
        self._repair = repair
        self._clock = clock
        self._progress = progress
        self._real_time = real_time
        self._leased: dict[int, int] = {}
        self._owned: dict[int, int] = {}
        self._taken: dict[ActorKey, bytes] = {}
        self._retries = Retries()
        self._stopping_journeys: tuple[tuple[UUID, UUID], ...] = ()
        self._checkpoints = Checkpoints(store)
        self._woken: set[int] = set()
        self._timers = TimerWatch(store, clock)
        self._nudge = asyncio.Event()
        self._batches = Batches()
        self._stop_told = asyncio.Event()
        self._outages = 0
        self._begun_at = -LINGER_S
        self._again: set[ActorKey] = set()
        self._leaving: set[int] = set()
        self._left = asyncio.Event()

    # -- what the rest of the service tells the worker ----------------------------------------------------------

    def set_leases(self, leases: Mapping[int, int]) -> None:
        """The partitions (with epochs) that the worker holds now; called by the lease keeper at each change."""
        self._leased = dict(leases)
        self._leaving.clear()
        for partition, epoch in list(self._owned.items()):
            if self._leased.get(partition) != epoch:
                self._drop(partition)
        self.nudge()

    def set_stopping(self, journeys: Iterable[tuple[UUID, UUID]]) -> None:
        """Journeys (team, journey) whose customers have to be halted."""
        self._stopping_journeys = tuple(journeys)
        if self._stopping_journeys:
            self.nudge()

    def nudge(self) -> None:
        """Makes the worker look at everything now."""
        self._timers.look_again()
        self._nudge.set()

    def ask_again(self, customers: Iterable[ActorKey]) -> None:
        """Has enrolments of these customers ask again what they asked last. Once: whoever wants it tells again."""
        self._again.update(customers)
        if self._again:
            self.nudge()

    async def hand_over(self, partitions: Iterable[int]) -> None:
        """Returns when nothing of these partitions is in hand: the running batch is done, what was taken is back."""
        self._leaving.update(partitions)
        self._left.clear()
        self.nudge()
        await self._left.wait()

    def stop(self) -> None:
        """Lets the running batch finish and ends `run`."""
        self._stop_told.set()
        self._nudge.set()

    @property
    def in_hand(self) -> int:
        """Customers that are being worked on or wait here for another try."""
        return len(self._batches.customers | self._taken.keys())

    @property
    def owned(self) -> Mapping[int, int]:
        """Partitions that are claimed and repaired, with their epochs."""
        return self._owned

    # -- the loop -----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Works until `stop`; then hands back what it took and did not work on."""
        wake: asyncio.Future[set[int]] = asyncio.ensure_future(self._mailbox.wait_woken(IDLE_WAIT_S))
        try:
            while not self._stop_told.is_set():
                wake = await self._turn_of_the_loop(wake)
        finally:
            wake.cancel()
            with contextlib.suppress(asyncio.CancelledError, MailboxUnavailable):
                await wake
            await self._hand_back()

    async def _turn_of_the_loop(self, wake: asyncio.Future[set[int]]) -> asyncio.Future[set[int]]:
        self._nudge.clear()
        try:
            self._batches.reap()
            await self._leave()
            await self._take_over_new()
            if not self._batches.full:
                await self._linger()
                batch = await self._gather()
                if batch:
                    self._begun_at = self._real_time()
                    self._batches.start(batch, self._work(batch))
                    return wake
                self._outages = 0
                await self._checkpoints.save(self._real_time(), dict(self._owned))
        except OUTAGES as error:
            await self._sit_out(error)
        except Fenced as error:
            _log.warning("partitions were lost to another worker", error=str(error))
            self._drop_fenced(error)
        return await self._sleep(wake)

    async def _linger(self) -> None:
        """Lets a batch gather for as long as the last one is that young."""
        left_s = self._begun_at + LINGER_S - self._real_time()
        if left_s > 0:
            await asyncio.sleep(left_s)

    async def _sit_out(self, error: Exception) -> None:
        """Waits a little longer each time that a server or service does not answer."""
        if self._outages == 0:
            _log.warning("a server or service does not answer", error=repr(error))
        self._outages += 1
        # Those that were found due may have been in the batch that failed, and a trim may have told nothing.
        self._timers.look_again()
        self._woken.update(self._owned)
        delay = min(OUTAGE_WAIT_MAX_S, RETRY_FIRST_S * 2 ** min(self._outages, 10))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stop_told.wait()

    async def _sleep(self, wake: asyncio.Future[set[int]]) -> asyncio.Future[set[int]]:
        """Until a partition is woken, a nudge, the next timer or the next retry."""
        nudge = asyncio.ensure_future(self._nudge.wait())
        # While the maximum number of batches runs, only the end of one of them makes room.
        full = self._batches.full
        wakers: set[asyncio.Future[Any]] = {*self._batches.tasks}
        wakers |= set() if full else {wake, nudge}
        await asyncio.wait(
            wakers, timeout=None if full else self._sleep_s(), return_when=asyncio.FIRST_COMPLETED
        )
        nudge.cancel()
        if not wake.done():
            return wake
        if wake.exception() is not None:
            await asyncio.sleep(RETRY_FIRST_S)
        # Nothing for a while, or nobody can tell: look everywhere.
        self._woken.update((not wake.exception() and wake.result()) or self._owned)
        return asyncio.ensure_future(self._mailbox.wait_woken(IDLE_WAIT_S))

    def _sleep_s(self) -> float:
        waits = [IDLE_WAIT_S]
        if self._retries.next_at is not None:
            waits.append(self._retries.next_at - self._real_time())
        if self._timers.next_at is not None and self._owned:
            timer_s = self._clock.real_seconds_until(self._timers.next_at)
            if timer_s is not None:
                waits.append(timer_s)
        return max(0.0, min(waits))

    # -- partitions ---------------------------------------------------------------------------------------------

    async def _take_over_new(self) -> None:
        new = {p: epoch for p, epoch in self._leased.items() if self._owned.get(p) != epoch}
        if not new:
            return
        # A claim makes everybody who is taken ready again, those in a batch under way as well.
        await self._batches.finish()
        await self._repair.take_over(new)
        self._owned.update({p: epoch for p, epoch in new.items() if self._leased.get(p) == epoch})
        self._woken.update(self._owned)
        self._timers.look_again()
        metrics.PARTITIONS.set(len(self._owned))

    async def _leave(self) -> None:
        """Hands over the partitions that another worker is to have."""
        if not self._leaving:
            return
        await self._batches.finish()
        await self._put_back([key for key in self._taken if key.partition in self._leaving])
        await self._checkpoints.save(self._real_time(), dict(self._owned), force=True)
        for partition in self._leaving:
            self._leased.pop(partition, None)
            self._drop(partition)
        self._leaving.clear()
        self._left.set()

    def _drop(self, partition: int) -> None:
        """Forgets a partition and everything taken from it: its next owner gets it from the mailbox."""
        self._owned.pop(partition, None)
        self._woken.discard(partition)
        self._taken = {key: entry for key, entry in self._taken.items() if key.partition != partition}
        self._retries.drop(partition)
        self._checkpoints.forget(partition)
        metrics.PARTITIONS.set(len(self._owned))

    def _drop_fenced(self, error: Fenced) -> None:
        """Lets go of partitions whose epoch is over; a newer lease that came meanwhile stays."""
        for partition in error.partitions:
            if partition in self._owned:
                self._leased.pop(partition, None)
            self._drop(partition)
        self._timers.look_again()

    async def _hand_back(self) -> None:
        """Ends the batches under way; what else was taken becomes ready again for the next owner."""
        try:
            await self._batches.finish()
            await self._put_back(list(self._taken))
            await self._checkpoints.save(self._real_time(), dict(self._owned), force=True)
        except (*OUTAGES, Fenced) as error:
            _log.warning("what was taken is not handed back; its next owner finds it", error=repr(error))

    async def _put_back(self, keys: Iterable[ActorKey]) -> None:
        items = [
            PutBack(key.partition, self._owned[key.partition], key.team_id, key.customer_id)
            for key in keys
            if key in self._taken and key.partition in self._owned
        ]
        for item in items:
            self._taken.pop(ActorKey(item.partition, item.team_id, item.customer_id), None)
        if items:
            await self._mailbox.put_back(items)
            self._woken.update(item.partition for item in items)

    # -- taking -------------------------------------------------------------------------------------------------

    async def _gather(self) -> dict[ActorKey, Waiting]:
        """Customers with mail, then those with due timers, then those to be halted; each once."""
        await self._let_go()
        batch: dict[ActorKey, Waiting] = {}
        if not self._owned:
            return batch
        mailboxes_are_empty = await self._take(batch)
        room = CUSTOMERS_MAX - len(batch) if mailboxes_are_empty else CUSTOMERS_MAX // 5
        due = await self._timers.due(self._owned.keys(), room, self._batches.customers)
        due += await self._halting(room - len(due))
        if due and not mailboxes_are_empty:
            # Their mail comes first: they are looked at for both in one turn.
            waiting = await self._mailbox.waiting([(key.team_id, key.customer_id) for key in due])
            due = [key for key in due if (key.team_id, key.customer_id) not in waiting]
        for key in due:
            batch.setdefault(key, NOTHING_WAITS)
        await self._add_stuck(batch)
        # A lease may have been lost while this was gathered.
        return {
            key: waits
            for key, waits in batch.items()
            if key not in self._retries and key.partition in self._owned
        }

    async def _take(self, batch: dict[ActorKey, Waiting]) -> bool:
        """Takes from the partitions that were woken; False if there may be more mail than fits into the batch."""
        looked_at = sorted((p, self._owned[p]) for p in self._woken & self._owned.keys())
        if not looked_at or self._retries.full:
            return True
        # Before the call: a batch that ends meanwhile may wake partitions again.
        self._woken.clear()
        result = await self._mailbox.take(looked_at, CUSTOMERS_MAX, MAIL_MAX)
        for taken in result.taken:
            key = ActorKey(taken.partition, taken.team_id, taken.customer_id)
            self._taken[key] = taken.last_entry_id
            # Else a timer of theirs is worked on: the mail goes back, and comes again.
            if key not in self._batches.customers:
                mail_left = len(taken.mails) + taken.undecodable >= MAIL_MAX
                batch[key] = Waiting(taken.mails, mail_left, taken.last_entry_id)
        metrics.MAILS.inc(sum(len(taken.mails) for taken in result.taken))
        if len(result.taken) >= CUSTOMERS_MAX:
            self._woken.update(partition for partition, _ in looked_at)
        for partition in {*result.fenced, *result.lost}:
            self._drop(partition)
        return len(result.taken) < CUSTOMERS_MAX

    async def _halting(self, limit: int) -> list[ActorKey]:
        """Customers of journeys that stop."""
        halting: list[ActorKey] = []
        for team_id, journey_id in self._stopping_journeys:
            if len(halting) < limit:
                room = limit - len(halting) + len(self._batches.customers)
                found = await self._store.halting_customers(team_id, journey_id, self._owned, room)
                halting += [key for key in found if key not in self._batches.customers]
        return halting[: max(0, limit)]

    async def _add_stuck(self, batch: dict[ActorKey, Waiting]) -> None:
        """Adds those who are to ask again. Mail that waits comes first: it may be what they wait for."""
        stuck = self._again - self._batches.customers
        if not stuck:
            return
        self._again -= stuck
        waiting = await self._mailbox.waiting([(key.team_id, key.customer_id) for key in stuck])
        for key in stuck:
            if key in batch or (key.team_id, key.customer_id) not in waiting:
                batch[key] = msgspec.structs.replace(batch.get(key, NOTHING_WAITS), again=True)

    # -- working ------------------------------------------------------------------------------------------------

    async def _work(self, batch: Mapping[ActorKey, Waiting]) -> None:
        started = self._real_time()
        try:
            outcome = await self._runner.run_all(batch, dict(self._owned))
            metrics.BATCH_SIZE.observe(len(batch))
            metrics.BATCH_SECONDS.observe(self._real_time() - started)
            await self._settle(batch, outcome)
        finally:
            self._batches.ended(batch)
            self._timers.batch_ended()
        self._progress.add(len(batch))

    async def _settle(self, batch: Mapping[ActorKey, Waiting], outcome: BatchOutcome) -> None:
        for key, error in outcome.failed.items():
            await self._failed(batch, key, error)
        self._note(outcome.committed.values())
        # Timers behind the last mail were left to the next turn, which comes only if there is more mail.
        if outcome.failed or any(waiting.mail_left for waiting in batch.values()):
            self._timers.look_again()
        for key in outcome.committed:
            self._retries.forget(key)
        await self._trim(batch, [*outcome.committed, *outcome.parked])

    def _note(self, results: Collection[TurnResult]) -> None:
        run_segments = [run_segment for result in results for run_segment in result.run_segments]
        metrics.TURNS.inc(len(results))
        metrics.ENROLMENTS.inc(sum(run_segment.enrolled for run_segment in run_segments))
        metrics.NODES.inc(sum(step.entered for run_segment in run_segments for step in run_segment.steps))
        self._timers.expect(
            min((result.wake_at for result in results if result.wake_at is not None), default=None)
        )

    async def _trim(self, batch: Mapping[ActorKey, Waiting], keys: Iterable[ActorKey]) -> None:
        """Removes what these customers of a batch are done with."""
        items = []
        for key in keys:
            entry = batch[key].last_entry_id
            if entry is not None and self._taken.get(key) == entry:
                del self._taken[key]
                items.append(
                    Trim(key.partition, self._owned[key.partition], key.team_id, key.customer_id, entry)
                )
        if not items:
            return
        quiet = await self._mailbox.trim(items)
        for partition in quiet.keys() & self._owned.keys():
            self._checkpoints.note(partition, quiet[partition])
        # Customers of the others may have more mail: a trim makes them ready and tells nobody else.
        self._woken |= ({item.partition for item in items} - quiet.keys()) & self._owned.keys()

    # -- failures -----------------------------------------------------------------------------------------------

    async def _failed(self, batch: Mapping[ActorKey, Waiting], key: ActorKey, error: Exception) -> None:
        """Tries again later; parks a customer whose own turn keeps failing. An outage is nobody's fault."""
        metrics.TURNS_FAILED.inc()
        if key.partition not in self._owned:
            return
        faults = 0 if is_outage(error) else self._retries.faults_after(key)
        if faults < PARK_FAULTS:
            self._retries.postpone(key, self._real_time())
            return
        _log.error("customer parked", customer_id=str(key.customer_id), error=repr(error))
        await self._store.park(key, repr(error), faults, dict(self._owned))
        metrics.PARKED.inc()
        self._retries.forget(key)
        await self._trim(batch, [key])

    async def _let_go(self) -> None:
        """Puts back those whose time for another try has come, and those whom a failed batch left here."""
        if self._retries.release(self._real_time()):
            self._timers.look_again()
        idle = [key for key in self._taken if key not in self._retries and key not in self._batches.customers]
        await self._put_back(idle)
