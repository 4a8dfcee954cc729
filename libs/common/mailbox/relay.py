"""From a source's history into the mailboxes: every mail that was committed is delivered, in order, at least
once.

The process that commits hands its mail over with `submit`; one task delivers. The relay trusts a submission
only as far as it follows without a gap on what it has delivered: history positions are allocated in commit
order, so a gap is a transaction that is still to be submitted, or one that committed and whose process never
heard of it (a connection cut at the commit). It then reads from the store instead, which shows everything up
to there. The same reading serves the start, a queue that ran over, and a slow sweep for commits that nobody
heard of.

Mailboxes are bounded. A partition that holds more mail than the high mark is *held*: nothing more is delivered to
it, its mail stays in the store, until it is down to the low mark; then it is read from the store like any other
gap. The marks are soft: the relay looks after so many deliveries, not before each.

Several processes of one source may relay at the same time: each delivers what the other did, too, and the
actor drops doubles.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from libs.common import crash
from libs.common.backoff import Backoff, retrying
from libs.common.db.faults import PASSING
from libs.common.feeds.publisher import Ranges, ranges_of
from libs.common.ids import PARTITIONS
from libs.common.mailbox.api import MailSink
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.mailbox.mail import Mail, MailSource
from libs.common.tasks import set_within

BATCH_MAX: Final = 500
"""Mails in one delivery or one read of the store."""
QUEUE_MAX: Final = 50_000
"""Mails that wait in memory (some 50 MB); what comes on top is read from the store when its turn comes."""
TRACES_MAX: Final = 1_000
"""Traces of mail that are remembered, so that mail which is read from the store goes on with its own; the last ones."""
MAILS_MAX: Final = 200_000
"""Mails in all mailboxes (some 1 kB each in Redis), shared out evenly among the partitions."""
LOOK_EVERY_MAX: Final = 2_000
"""Mails delivered between two looks at the mailboxes, at most; with small mailboxes a hundredth of what they hold."""
HELD_LOOK_S: Final = 0.2
"""How often held partitions are looked at."""
SAVE_INTERVAL_S: Final = 1.0
"""Cursors are saved at most so often; after a crash up to that much mail is delivered again."""
SWEEP_INTERVAL_S: Final = 5.0
"""An idle relay looks into the store so often for commits that nobody heard of."""
_BACKOFF: Final = Backoff(0.05, 2.0)
DRAIN_GRACE_S: Final = 5.0

_PASSING: Final = (MailboxUnavailable, *PASSING)
_log = structlog.get_logger(__name__)


class MailStore(Protocol):
    """What the relay reads and keeps at its source. Its errors of PostgreSQL and of the network are retried."""

    async def fetch_after(self, cursors: Mapping[int, int], limit: int) -> list[Mail]:
        """Read up to `limit` mails of the given partitions that lie after their cursor.

        Of each partition they rise by position and leave none out; fewer than `limit` means there are no
        more.
        """
        ...

    async def load_cursors(self) -> dict[int, int]:
        """Read what was saved: partition → position up to which everything is delivered."""
        ...

    async def save_cursors(self, cursors: Mapping[int, int]) -> None:
        """Keep the cursors of the given partitions, never moving one back."""
        ...


class _Submission(NamedTuple):
    mails: Sequence[Mail]
    ranges: Ranges


class MailRelay:
    """Delivers the mail of one source: a loop (`libs.common.tasks`), to which every commit is submitted."""

    def __init__(
        self,
        source: MailSource,
        mailbox: MailSink,
        store: MailStore,
        *,
        mails_max: int = MAILS_MAX,
        drain_grace_s: float = DRAIN_GRACE_S,
    ) -> None:
        """`mails_max` bounds the mail in the mailboxes of all partitions together, from all sources."""
        self._source = source
        self._mailbox = mailbox
        self._store = store
        self._cursors: dict[int, int] = dict.fromkeys(range(PARTITIONS), 0)
        self._unsaved: set[int] = set()
        self._saved_at = time.monotonic()
        self._seen: dict[int, int] = {}
        """Highest position submitted: all up to there is committed, so a later read of the store shows it."""
        self._gaps: set[int] = set(range(PARTITIONS))
        """Partitions to be read from the store before anything else."""
        self._queue: deque[_Submission] = deque()
        self._queued = 0
        self._traces: dict[tuple[int, int], bytes] = {}
        """By partition and position: the store has none."""
        self._reading = 0
        self._high = max(1, mails_max // PARTITIONS)
        self._look_every = min(LOOK_EVERY_MAX, max(1, mails_max // 100))
        self._unlooked = self._look_every
        """Mails delivered since the last look."""
        self._looked_at = 0.0
        self._held: set[int] = set()
        self._breadth = PARTITIONS
        """Partitions read at once; few while each fills a page of its own."""
        self._outgoing: tuple[list[Mail], dict[int, int]] | None = None
        self._delivered = 0
        self._stirred = asyncio.Event()
        self._drain_grace_s = drain_grace_s
        self._draining = False
        self._task: asyncio.Task[None] | None = None

    # ---- for the service ----

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until `stopping` is set, then what is left; what was left from before comes first.

        What is not delivered within `drain_grace_s` after the stop is delivered by the next start.
        """
        self._task = asyncio.create_task(self._work(), name=f"mail-relay-{self._source.name.lower()}")
        stop = asyncio.create_task(stopping.wait(), name="mail-relay stop")
        try:
            await asyncio.wait({self._task, stop}, return_when=asyncio.FIRST_COMPLETED)
            self._draining = True
            self._stirred.set()
            done, _ = await asyncio.wait({self._task}, timeout=self._drain_grace_s)
            if not done:
                _log.warning("mail_relay_drain_cut", source=self._source.name, pending=self.pending)
        finally:
            stop.cancel()
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def submit(self, mails: Sequence[Mail], ranges: Ranges | None = None) -> None:
        """Hand over the mail of a transaction that has just committed.

        `ranges` are all history positions of the transaction. With them a gap is certain to be one; without
        them, rows that carry no mail look like a gap and cost a read of the store. Submit transactions
        without mail, too, then. Raises RuntimeError if the relay has died of a fault; the mail is safe in the
        store.
        """
        self._raise_if_dead()
        known = ranges_of((mail.partition, mail.position) for mail in mails) if ranges is None else ranges
        for partition, (_, last) in known.items():
            self._seen[partition] = max(last, self._seen.get(partition, 0))
        for mail in mails:
            if mail.trace is not None:
                self._remember(mail, mail.trace)
        if self._queued + len(mails) > QUEUE_MAX:
            self._gaps.update(known)
        else:
            self._queue.append(_Submission(mails, known))
            self._queued += len(mails)
        self._stirred.set()

    def _remember(self, mail: Mail, trace: bytes) -> None:
        if len(self._traces) >= TRACES_MAX:
            del self._traces[next(iter(self._traces))]
        self._traces[mail.partition, mail.position] = trace

    @property
    def pending(self) -> int:
        """Mails that are known and not delivered; a partition that is read from the store counts as one at
        least.
        """
        self._raise_if_dead()
        outgoing = len(self._outgoing[0]) if self._outgoing else 0
        return self._queued + outgoing + self._reading + len(self._gaps)

    @property
    def backlog(self) -> int:
        """History rows that are known to be committed and are not delivered, in PostgreSQL or here.

        After a start a partition's rows are known from its first submission on.
        """
        return sum(max(0, self._seen.get(p, 0) - cursor) for p, cursor in self._cursors.items())

    def is_behind(self, partition: int) -> bool:
        """Whether a partition has mail that is known to be committed and is not delivered, or may have."""
        return partition in self._gaps or self._seen.get(partition, 0) > self._cursors[partition]

    @property
    def held_partitions(self) -> int:
        """Partitions to which nothing is delivered, since their mailboxes are full."""
        return len(self._held)

    @property
    def delivered(self) -> int:
        """Mails delivered by this process, repetitions included; only grows."""
        return self._delivered

    # ---- the task ----

    async def _load(self) -> None:
        self._cursors |= await self._store.load_cursors()

    async def _work(self) -> None:
        await self._persist(self._load)
        swept_at = time.monotonic()
        while True:
            self._stirred.clear()
            await self._empty()
            if self._draining:
                await self._save()
                return
            await set_within(self._stirred, self._pause_s())
            await self._save_when_due()
            await self._look_when_due()
            if time.monotonic() - swept_at >= SWEEP_INTERVAL_S:
                await self._persist(self._sweep)
                swept_at = time.monotonic()

    async def _empty(self) -> None:
        """Deliver until nothing is known to be left."""
        while (open_gaps := self._gaps - self._held) or self._queue or self._outgoing:
            await self._persist(self._read_gaps if open_gaps and not self._outgoing else self._forward)
            await self._save_when_due()
            await self._look_when_due()

    def _pause_s(self) -> float:
        if self._held:
            return HELD_LOOK_S
        return SAVE_INTERVAL_S if self._unsaved else SWEEP_INTERVAL_S

    async def _persist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step until the servers let it succeed."""
        await retrying(step, backoff=_BACKOFF, passing=_PASSING, failed=self._note)

    def _note(self, attempt: int, error: Exception) -> None:
        _log.warning("mail_relay_retries", source=self._source.name, error=str(error), attempt=attempt)

    async def _forward(self) -> None:
        """Deliver one batch of the queue."""
        if not self._outgoing:
            self._outgoing = self._next_batch()
        mails, cursors = self._outgoing
        await self._deliver(mails)
        self._advance(cursors)
        self._outgoing = None

    def _next_batch(self) -> tuple[list[Mail], dict[int, int]]:
        """Mails to deliver, and the cursors once they are."""
        mails: list[Mail] = []
        cursors: dict[int, int] = {}
        size = min(BATCH_MAX, self._look_every)
        while self._queue and (not mails or len(mails) + len(self._queue[0].mails) <= size):
            submission = self._queue.popleft()
            self._queued -= len(submission.mails)
            before = {p: cursors.get(p, self._cursors[p]) for p in submission.ranges}
            gaps = {p for p, (first, _) in submission.ranges.items() if first > before[p] + 1}
            gaps |= self._held & submission.ranges.keys()
            mails += (
                mail
                for mail in submission.mails
                if mail.partition not in gaps and mail.position > before[mail.partition]
            )
            self._gaps |= gaps
            for partition in submission.ranges.keys() - gaps:
                cursors[partition] = max(before[partition], submission.ranges[partition][1])
        return mails, cursors

    async def _read_gaps(self) -> None:
        """Deliver one page from the store of the partitions with a gap."""
        partitions = set(sorted(self._gaps - self._held)[: self._breadth])
        self._gaps -= partitions
        self._reading = len(partitions)
        complete = False
        try:
            complete = await self._read(partitions)
        finally:
            self._reading = 0
            self._breadth = min(PARTITIONS, self._breadth * 4) if complete else max(1, self._breadth // 4)
            if not complete:
                self._gaps |= partitions

    async def _sweep(self) -> None:
        partitions = set(range(PARTITIONS)) - self._held
        if not await self._read(partitions):
            self._gaps |= partitions

    async def _read(self, partitions: Iterable[int]) -> bool:
        """Deliver one page from the store; whether it was the last one."""
        seen = {partition: self._seen.get(partition, 0) for partition in partitions}
        size = min(BATCH_MAX, self._look_every)
        mails = await self._store.fetch_after({p: self._cursors[p] for p in seen}, size)
        await self._deliver([self._traced(mail) for mail in mails] if self._traces else mails)
        self._advance({mail.partition: mail.position for mail in mails})
        if len(mails) >= size:
            return False
        self._advance(seen)  # committed before the read began, so the read has shown all of it
        return True

    def _traced(self, mail: Mail) -> Mail:
        trace = self._traces.get((mail.partition, mail.position))
        return mail if trace is None else msgspec.structs.replace(mail, trace=trace)

    async def _deliver(self, mails: Sequence[Mail]) -> None:
        if mails:
            await self._mailbox.deliver(mails)
            crash.reach("relay.after_deliver")
            self._delivered += len(mails)
            self._unlooked += len(mails)
            if self._unlooked >= self._look_every:
                await self._look()

    async def _look_when_due(self) -> None:
        if self._held and time.monotonic() - self._looked_at >= HELD_LOOK_S:
            await self._persist(self._look)

    async def _look(self) -> None:
        """Holds the partitions whose mailboxes are full, and lets go of those that have room again."""
        counts = await self._mailbox.mail_counts(range(PARTITIONS), self._high)
        full = {partition for partition, count in counts.items() if count >= self._high}
        eased = {partition for partition in self._held if counts[partition] <= self._high // 2}
        held = (self._held | full) - eased
        if bool(held) is not bool(self._held):
            _log.warning("mailboxes are full" if held else "mailboxes have room", source=self._source.name)
        self._held = held
        self._gaps |= eased
        self._unlooked = 0
        self._looked_at = time.monotonic()

    def _advance(self, cursors: Mapping[int, int]) -> None:
        for partition, position in cursors.items():
            if position > self._cursors[partition]:
                self._cursors[partition] = position
                self._unsaved.add(partition)

    async def _save_when_due(self) -> None:
        if time.monotonic() - self._saved_at >= SAVE_INTERVAL_S:
            await self._save()

    async def _save(self) -> None:
        """Save the cursors that moved; a failure costs repetitions after a crash, so the next time will do."""
        self._saved_at = time.monotonic()
        if not self._unsaved:
            return
        try:
            await self._store.save_cursors({p: self._cursors[p] for p in self._unsaved})
        except _PASSING as error:
            _log.warning("mail_relay_cursors_not_saved", source=self._source.name, error=str(error))
        else:
            self._unsaved = set()

    def _raise_if_dead(self) -> None:
        if self._task is not None and self._task.done() and not self._task.cancelled():
            fault = self._task.exception()
            if fault is not None:
                raise RuntimeError(f"mail relay of {self._source.name} died") from fault
