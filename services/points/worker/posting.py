"""The posting writer: calls that come in together are written together.

There is no timer. While a batch is being written the next one gathers, and what has gathered is taken as soon as the
writer is free: a call that comes alone is written at once, and a thousand that come together share a few transactions.
A customer always belongs to the same lane: two batches that a process writes at once never meet at an account.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol, cast

import structlog
from prometheus_client import Counter

from libs.common import crash
from libs.common.db import faults
from libs.common.errors import ResourceExhausted
from libs.common.feeds.notifier import CommitNotifier
from libs.common.ids import partition_of
from libs.common.rpc.operations import Progress
from services.points import metrics
from services.points.domain.errors import LedgerChangedError
from services.points.domain.model import Posted, Posting, PostingAnswer, Source, Status

LANES: Final = 2
"""Batches written at once: while PostgreSQL works for one lane, Python works for the other. More brought nothing."""
TOGETHER_MAX: Final = 64
"""Up to so many postings are written as one batch of all lanes: the transaction costs more than they do."""
BATCH_MAX: Final = 500
"""Most postings of one transaction: the knee of cost against the time that others wait for its locks."""
WAITING_MAX: Final = 50_000
"""Most postings waiting; more are refused, so that a caller slows down instead of timing out."""
_ATTEMPTS: Final = 5
_RETRY_AFTER_S: Final = 0.2

_COLLIDED: Final = (LedgerChangedError, *faults.COLLIDED)
"""Another process recorded the same key or order first, or stood in the way."""

_log = structlog.get_logger(__name__)


class Ledger(Protocol):
    """What the writer writes to."""

    async def post(self, postings: Sequence[Posting], *, pessimistic: bool = False) -> Posted:
        """Posts a batch in one transaction; the same batch again is always safe.

        `pessimistic`: under locks, so that no other writer gets in between. Raises LedgerChangedError if one did.
        """
        ...


class _Call:
    """Postings of one call that belong to one lane, and where their answers go."""

    def __init__(self, postings: Sequence[Posting]) -> None:
        self.postings = postings
        self.answers: asyncio.Future[list[PostingAnswer]] = asyncio.get_running_loop().create_future()

    def answer(self, answers: list[PostingAnswer]) -> None:
        # The caller may have given up; the answer is recorded all the same.
        if not self.answers.done():
            self.answers.set_result(answers)

    def fail(self, error: BaseException) -> None:
        if not self.answers.done():
            self.answers.set_exception(error)


class _Lane:
    """Calls that wait, in the order in which they came. `busy`: some of the lane are being written."""

    def __init__(self) -> None:
        self._calls: deque[_Call] = deque()
        self.waiting = 0
        self.busy = False

    def put(self, call: _Call) -> None:
        self._calls.append(call)
        self.waiting += len(call.postings)

    def take(self) -> list[_Call]:
        calls = [self._calls.popleft()]
        size = len(calls[0].postings)
        while self._calls and size + len(self._calls[0].postings) <= BATCH_MAX:
            calls.append(self._calls.popleft())
            size += len(calls[-1].postings)
        self.waiting -= size
        return calls


class _Batches:
    """Writes calls as batches and answers them."""

    def __init__(self, ledger: Ledger, notifier: CommitNotifier, progress: Progress) -> None:
        self._ledger = ledger
        self._notifier = notifier
        self._progress = progress

    async def write(self, calls: list[_Call]) -> None:
        try:
            answers = await self._post([posting for call in calls for posting in call.postings])
        except asyncio.CancelledError:
            for call in calls:
                call.answers.cancel()
            raise
        except faults.AWAY as error:
            for call in calls:
                call.fail(error)
        except Exception as error:  # noqa: BLE001 - a call that fails alone is told so, the others go on
            await self._write_apart(calls, error)
        else:
            start = 0
            for call in calls:
                call.answer(answers[start : start + len(call.postings)])
                start += len(call.postings)

    async def _write_apart(self, calls: list[_Call], error: Exception) -> None:
        if len(calls) == 1:
            calls[0].fail(error)
            return
        _log.warning("batch failed, its calls are written one by one", calls=len(calls), error=str(error))
        for call in calls:
            await self.write([call])

    async def _post(self, postings: list[Posting]) -> list[PostingAnswer]:
        began = time.perf_counter()
        posted = await self._post_until_free(postings)
        crash.reach("points.after_commit")
        metrics.BATCH_SECONDS.observe(time.perf_counter() - began)
        metrics.BATCH_SIZE.observe(len(postings))
        self._progress.add(len(postings))
        if posted.entries:
            self._notifier.notify()
        _count(posted.answers)
        return posted.answers

    async def _post_until_free(self, postings: list[Posting]) -> Posted:
        for attempt in range(1, _ATTEMPTS):
            try:
                return await self._ledger.post(postings, pessimistic=attempt > 1)
            except _COLLIDED as error:
                metrics.BATCH_RETRIES.inc()
                _log.info(
                    "batch collided", attempt=attempt, postings=len(postings), error=type(error).__name__
                )
        return await self._ledger.post(postings, pessimistic=True)


class PostingWriter:
    """Writes postings of all calls; made by `PostingWriter.running`."""

    def __init__(self, ledger: Ledger, notifier: CommitNotifier, progress: Progress) -> None:
        """`notifier` is notified after each commit that wrote entries; `progress` counts what was answered."""
        self._lanes = [_Lane() for _ in range(LANES)]
        self._batches = _Batches(ledger, notifier, progress)
        self._wake = asyncio.Event()
        self._closing = False

    @classmethod
    @asynccontextmanager
    async def running(
        cls, ledger: Ledger, notifier: CommitNotifier, progress: Progress
    ) -> AsyncIterator[PostingWriter]:
        """A writer that writes until the context ends; what waits then is still written."""
        writer = cls(ledger, notifier, progress)
        metrics.WAITING.set_function(lambda: sum(lane.waiting for lane in writer._lanes))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(writer._run(tasks), name="posting lanes")
            try:
                yield writer
            finally:
                writer._closing = True
                writer._wake.set()

    async def _run(self, tasks: asyncio.TaskGroup) -> None:
        while not self._closing or any(lane.waiting for lane in self._lanes):
            for lanes in self._startable():
                for lane in lanes:
                    lane.busy = True
                tasks.create_task(self._write(lanes))
            await self._wake.wait()
            self._wake.clear()

    def _startable(self) -> list[list[_Lane]]:
        """Lanes whose calls are to be written now, those of one batch together."""
        ready = [lane for lane in self._lanes if lane.waiting and not lane.busy]
        if sum(lane.waiting for lane in ready) > TOGETHER_MAX:
            return [[lane] for lane in ready]
        # Little is one batch of all lanes, and gathers until nothing else is being written.
        return [ready] if ready and not any(lane.busy for lane in self._lanes) else []

    async def _write(self, lanes: list[_Lane]) -> None:
        try:
            await self._batches.write([call for lane in lanes for call in lane.take()])
        finally:
            for lane in lanes:
                lane.busy = False
            self._wake.set()

    async def post(self, postings: Sequence[Posting]) -> list[PostingAnswer]:
        """Posts and returns the answers in the order of the postings.

        Raises ResourceExhausted `OVERLOADED` when too much waits, and the driver's errors; some postings may be
        recorded then, and posting all of them again is safe.
        """
        if sum(lane.waiting for lane in self._lanes) + len(postings) > WAITING_MAX:
            raise ResourceExhausted.overloaded("postings_waiting_max", _RETRY_AFTER_S)
        if len(postings) == 1:
            return await self._put(self._lane_of(postings[0]), postings)
        parts: list[list[int]] = [[] for _ in self._lanes]
        for index, posting in enumerate(postings):
            parts[self._lane_of(posting)].append(index)
        calls = [
            (indexes, self._put(lane, [postings[index] for index in indexes]))
            for lane, indexes in enumerate(parts)
            if indexes
        ]
        # All are awaited even if one fails, so that no failure is left unseen.
        parts_answered = await asyncio.gather(*(answers for _, answers in calls), return_exceptions=True)
        answers: list[PostingAnswer | None] = [None] * len(postings)
        for (indexes, _), part in zip(calls, parts_answered, strict=True):
            if isinstance(part, BaseException):
                raise part
            for index, answer in zip(indexes, part, strict=True):
                answers[index] = answer
        return cast("list[PostingAnswer]", answers)

    def _lane_of(self, posting: Posting) -> int:
        return partition_of(posting.team_id, posting.customer_id) % LANES

    def _put(self, lane: int, postings: Sequence[Posting]) -> asyncio.Future[list[PostingAnswer]]:
        call = _Call(postings)
        self._lanes[lane].put(call)
        self._wake.set()
        return call.answers


_POSTED: Final[dict[tuple[Source, Status], Counter]] = {
    (source, status): metrics.POSTINGS.labels(source.name, status.name)
    for source in Source
    for status in Status
    if status != Status.REFUSED
}


def _count(answers: Sequence[PostingAnswer]) -> None:
    fresh = [answer.outcome for answer in answers if not answer.replayed]
    for kind, count in Tally((outcome.source, outcome.status) for outcome in fresh).items():
        _POSTED.get(kind, metrics.REFUSALS).inc(count)
    metrics.REPLAYS.inc(len(answers) - len(fresh))
    metrics.SHORTFALL.inc(sum(outcome.shortfall for outcome in fresh if outcome.source == Source.REFUND))
