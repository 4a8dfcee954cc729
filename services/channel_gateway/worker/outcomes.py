"""Commits what attempts came to, in batches: outcomes with their facts and mail, postponements, troubles."""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeVar
from uuid import UUID

import structlog

from libs.common import crash
from libs.common.backoff import Backoff, retrying
from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.feeds.publisher import CommitPublisher
from libs.common.logging import about
from libs.common.tasks import set_within
from services.channel_gateway import metrics
from services.channel_gateway.domain.model import Channel, DeliveryOutcome, Job, Reason, SendState
from services.channel_gateway.store.deliveries import DeliveryStore, Postponement
from services.channel_gateway.store.facts import Written
from services.channel_gateway.store.outcomes import Settlement
from services.channel_gateway.worker.send_traces import write_outcomes

RECORD_MAX: Final = 500
"""Outcomes recorded in one transaction."""
IDLE_S: Final = 5.0
LINGER_S: Final = 0.005
"""From the first result to its commit where many requests are on the wire, so that those beside it come along."""
LINGER_FROM: Final = 8
"""So many requests on the wire make waiting for others worth while."""
_unrecorded_of: Final = functools.cache(metrics.UNRECORDED_SECONDS.labels)
_RETRIES: Final = Backoff(0.05, 2.0, spread=0.5)

_log = structlog.get_logger(__name__)
T = TypeVar("T")


async def until_taken(call: Callable[[], Awaitable[T]]) -> T:
    """Repeats a write until the database takes it: what the sender has in memory has no other way out."""
    return await retrying(call, backoff=_RETRIES, passing=PASSING, failed=_log_failure)


class Recorder:
    """Collects results in memory and commits them; `run` until `finish` was called and everything is committed."""

    def __init__(
        self,
        sender_id: UUID,
        store: DeliveryStore,
        clock: Clock,
        publisher: CommitPublisher,
        on_wire: Callable[[], int],
        *,
        works_on: Callable[[Job], bool],
    ) -> None:
        """For the sender of that id; `on_wire` counts its requests whose results are still to come, `works_on` says
        whether a send is still what the process works on under its key."""
        self._sender_id = sender_id
        self._store = store
        self._clock = clock
        self._publisher = publisher
        self._on_wire = on_wire
        self._works_on = works_on
        self._settlements: list[Settlement] = []
        self._postponements: list[Postponement] = []
        self._troubles: dict[UUID, Callable[[], Awaitable[Written]]] = {}
        self._woken = asyncio.Event()
        self._finishing = False

    def settle(self, job: Job, outcome: DeliveryOutcome) -> None:
        """Notes how a send ended."""
        self._settlements.append(Settlement(job, outcome))
        self._woken.set()

    def postpone(self, job: Job, delay_s: float) -> None:
        """Notes that a send gets another attempt."""
        self._postponements.append(Postponement(job, delay_s))
        self._woken.set()

    def trouble(self, key: UUID, record: Callable[[], Awaitable[Written]]) -> None:
        """Notes what a channel says of an account or of content; once for each `key` in a batch."""
        self._troubles[key] = record
        self._woken.set()

    def finish(self) -> None:
        """No more results will come."""
        self._finishing = True
        self._woken.set()

    async def run(
        self,
        postponed: Callable[[Sequence[Postponement]], None],
        released: Callable[[Iterable[Job]], None],
    ) -> None:
        """Commits until finished; `postponed` gets the sends whose next attempt is noted, `released` those that this
        process has nothing more to do with."""
        while True:
            self._woken.clear()
            while self._settlements or self._postponements or self._troubles:
                if self._on_wire() >= LINGER_FROM and len(self._settlements) < RECORD_MAX:
                    await asyncio.sleep(LINGER_S)
                # Before the outcomes that brought them, so that nobody who reads one is offered what is gone.
                await self._record_troubles()
                await self._record_settlements(released)
                await self._record_postponements(postponed, released)
            if self._finishing:
                return
            await set_within(self._woken, IDLE_S)

    async def _record_settlements(self, released: Callable[[Iterable[Job]], None]) -> None:
        batch = self._settlements[:RECORD_MAX]
        if not batch:
            return
        crash.reach("gateway.before_record")
        settled = await self._settled(batch)
        del self._settlements[: len(batch)]
        released(item.job for item in settled)
        count_outcomes(settled)
        write_outcomes(settled)
        measure_windows(settled, time.monotonic())

    async def _settled(self, batch: Sequence[Settlement]) -> list[Settlement]:
        """Records outcomes; where the database refuses them together, one by one, and the one that it refuses without
        what the channel said. Those that are recorded."""
        try:
            await self._settle(batch)
        except Exception:  # noqa: BLE001 - one send's fault is not the others'
            _log.exception("outcomes cannot be recorded together, and go one by one", count=len(batch))
            if len(batch) == 1:
                return await self._settled_bare(batch[0])
            return [settled for item in batch for settled in await self._settled([item])]
        return list(batch)

    async def _settled_bare(self, item: Settlement) -> list[Settlement]:
        item.job.message_ids = []
        reason = Reason.INTERNAL if item.outcome.reason else ""
        bare = Settlement(item.job, DeliveryOutcome(item.outcome.state, reason))
        try:
            await self._settle([bare])
        except Exception:  # noqa: BLE001 - it stays as it is, until the next start of this process at least
            _log.exception("an outcome cannot be recorded", **about(item.job))
            return []
        return [bare]

    async def _settle(self, batch: Sequence[Settlement]) -> None:
        """What was recalled and asked for again meanwhile is another send, of which the outcome says nothing."""

        def settle() -> Awaitable[Written]:
            ours = [item for item in batch if self._works_on(item.job)]
            return self._store.settle(ours, self._clock.now(), self._sender_id)

        self._publisher.publish(*await until_taken(settle))

    async def _record_postponements(
        self,
        postponed: Callable[[Sequence[Postponement]], None],
        released: Callable[[Iterable[Job]], None],
    ) -> None:
        batch = self._postponements[:RECORD_MAX]
        if not batch:
            return
        noted, kept = await self._noted(batch)
        del self._postponements[: len(batch)]
        released(item.job for item in noted if item.job.effect_key not in kept)
        postponed([item for item in noted if item.job.effect_key in kept])

    async def _noted(self, batch: Sequence[Postponement]) -> tuple[list[Postponement], set[UUID]]:
        """Those that the database has noted, and the keys of those that are still ours. One that it refuses alone ends
        there."""
        try:
            return list(batch), await until_taken(lambda: self._store.postpone(batch, self._sender_id))
        except Exception:  # noqa: BLE001 - one send's fault is not the others'
            _log.exception("postponements cannot be noted together, and go one by one", count=len(batch))
        if len(batch) == 1:
            job = batch[0].job
            sure = not (job.doubtful or job.parts_sent)
            state = SendState.FAILED if sure else SendState.UNKNOWN
            self.settle(job, DeliveryOutcome(state, Reason.INTERNAL))
            return [], set()
        parts = [await self._noted([item]) for item in batch]
        return [item for noted, _ in parts for item in noted], {key for _, kept in parts for key in kept}

    async def _record_troubles(self) -> None:
        while self._troubles:
            thing, record = self._troubles.popitem()
            try:
                self._publisher.publish(*await until_taken(record))
            except Exception:  # noqa: BLE001 - the sends go on without it
                _log.exception("what a channel said of an account cannot be recorded", id=str(thing))


def count_outcomes(settled: Sequence[Settlement]) -> None:
    """Shows outcomes in the metrics."""
    counts = Counter((job.channel, outcome.state, outcome.reason) for job, outcome in settled)
    for (channel, state, reason), count in counts.items():
        metrics.OUTCOMES.labels(channel.name, state.name, metrics.reason_word(reason)).inc(count)


def measure_windows(settled: Sequence[Settlement], now_s: float) -> None:
    """Shows for how long a crash would have left messages unknown, of those that took one request on a channel without
    a key."""
    for job, _ in settled:
        if (
            job.channel is not Channel.LINE
            and job.began_s is not None
            and job.attempts == len(job.parts) == 1
        ):
            _unrecorded_of(job.channel.name).observe(now_s - job.began_s)


def _log_failure(attempt: int, error: Exception) -> None:
    _log.warning("the database does not take the sender's writes", error=str(error), attempt=attempt)
