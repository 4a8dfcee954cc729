"""The posting writer: calls that come in together are written together.

A customer always belongs to the same lane of the batcher: two batches that a process writes at once never meet at an
account.
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol
from uuid import UUID

from prometheus_client import Counter

from libs.common import crash
from libs.common.backoff import Backoff
from libs.common.batching import Batcher, Lanes
from libs.common.db import faults
from libs.common.db.pool import Connection
from libs.common.db.retry import until_alone
from libs.common.errors import Aborted, DomainError
from libs.common.feeds.notifier import CommitNotifier
from libs.common.ids import partition_of
from libs.common.rpc.operations import Progress
from services.points import metrics
from services.points.domain.book import not_stored
from services.points.domain.errors import LedgerChangedError
from services.points.domain.model import Manual, Posted, Posting, PostingAnswer, Source, Status

LANES: Final = 2
"""Batches written at once: while PostgreSQL works for one lane, Python works for the other. More brought nothing."""
TOGETHER_MAX: Final = 64
"""Up to so many postings are written as one batch of all lanes: the transaction costs more than they do."""
BATCH_MAX: Final = 500
"""Most postings of one transaction: the knee of cost against the time that others wait for its locks."""
WAITING_MAX: Final = 50_000
"""Most postings waiting or being written; more are refused, so that a caller slows down instead of timing out."""
_RETRY_AFTER_S: Final = 0.2
_ATTEMPTS: Final = 5
_AT_ONCE: Final = Backoff(0.0, 0.0)
"""Between attempts: all but the first wait for locks."""
AfterPost = Callable[[Connection, Sequence[PostingAnswer]], Awaitable[None]]
"""Writes what belongs to postings in the transaction that posts."""
_COLLISIONS: Final = (LedgerChangedError, *faults.COLLIDED)


class Ledger(Protocol):
    """What the writer writes to."""

    async def post(self, postings: Sequence[Posting], *, pessimistic: bool = False) -> Posted:
        """Posts a batch in one transaction; the same batch again is always safe.

        `pessimistic`: under locks, so that no other writer gets in between. Raises LedgerChangedError if one did.
        """
        ...

    async def post_with(self, postings: Sequence[Posting], after_post: AfterPost) -> Posted:
        """Posts a batch and lets `after_post` write with it, all in one transaction whose accounts are locked first."""
        ...


class PostingWriter:
    """Writes postings of all calls."""

    def __init__(self, ledger: Ledger, notifier: CommitNotifier, progress: Progress) -> None:
        """`notifier` is notified after each commit that wrote entries; `progress` counts what was answered."""
        self._ledger = ledger
        self._notifier = notifier
        self._progress = progress
        self._batcher: Batcher[Posting, PostingAnswer] = Batcher(
            "postings_waiting_max",
            self._write,
            size_max=BATCH_MAX,
            waiting_max=WAITING_MAX,
            retry_after_s=_RETRY_AFTER_S,
            away=faults.AWAY,
            lanes=Lanes(LANES, _lane_of, TOGETHER_MAX),
            team_of=lambda posting: posting.team_id,
            failed=_failed,
        )
        metrics.WAITING.set_function(lambda: self._batcher.waiting)

    async def post(self, postings: Sequence[Posting]) -> list[PostingAnswer]:
        """Posts up to BATCH_MAX postings and returns the answers in their order.

        Raises ResourceExhausted `OVERLOADED` when too much waits, Aborted `WRITE_CONFLICT` when others stood in the way
        again and again, and the driver's errors; some postings may be recorded then, and posting all of them again is
        safe. A posting of several that cannot be written, whereas others can, is FAILED by itself.
        """
        answers = await self._batcher.submit(postings)
        return answers if len(answers) == 1 else list(map(_own_answer, postings, answers))

    async def post_alone(self, posting: Posting, after_post: AfterPost) -> PostingAnswer:
        """Posts in a transaction of its own, in which `after_post` writes as well: for people, who do it seldom.

        Raises Aborted `WRITE_CONFLICT`, the driver's errors, and what `after_post` raises; nothing is recorded then.
        """
        posted = await until_alone(
            lambda _: self._ledger.post_with([posting], after_post),
            what="posting by hand",
            collisions=_COLLISIONS,
            attempts=_ATTEMPTS,
            backoff=_AT_ONCE,
            collided=metrics.BATCH_RETRIES.inc,
        )
        (answer,) = self._committed(posted)
        return answer

    async def drain(self) -> None:
        """Returns when nothing waits and nothing is being written."""
        await self._batcher.drain()

    async def _write(self, postings: list[Posting]) -> list[PostingAnswer]:
        began = time.perf_counter()
        posted = await until_alone(
            lambda attempt: self._ledger.post(postings, pessimistic=attempt > 1),
            what="batch of postings",
            collisions=_COLLISIONS,
            attempts=_ATTEMPTS,
            backoff=_AT_ONCE,
            collided=metrics.BATCH_RETRIES.inc,
        )
        answers = self._committed(posted)
        metrics.BATCH_SECONDS.observe(time.perf_counter() - began)
        metrics.BATCH_SIZE.observe(len(postings))
        return answers

    def _committed(self, posted: Posted) -> list[PostingAnswer]:
        crash.reach("points.after_commit")
        self._progress.add(len(posted.answers))
        if posted.entries:
            self._notifier.notify()
        _count(posted.answers)
        return posted.answers


_NO_POSTING: Final = Posting(UUID(int=0), UUID(int=0), UUID(int=0), None, "", Manual(0, False, ""))
_NOT_STORED: Final = not_stored(_NO_POSTING)


def _failed(error: Exception) -> PostingAnswer | None:
    """What a posting that fails alone is answered; None for an error that says nothing of the posting."""
    return _NOT_STORED if isinstance(error, Aborted) or not isinstance(error, DomainError) else None


def _own_answer(posting: Posting, answer: PostingAnswer) -> PostingAnswer:
    return not_stored(posting) if answer is _NOT_STORED else answer


def _lane_of(posting: Posting) -> int:
    return partition_of(posting.team_id, posting.customer_id) % LANES


_POSTED: Final[dict[tuple[Source, Status], Counter]] = {
    (source, status): metrics.POSTINGS.labels(source.name, status.name)
    for source in Source
    for status in Status
    if status not in {Status.REFUSED, Status.FAILED}
}


def _count(answers: Sequence[PostingAnswer]) -> None:
    fresh = [answer.outcome for answer in answers if not answer.replayed]
    for kind, count in Tally((outcome.source, outcome.status) for outcome in fresh).items():
        _POSTED.get(kind, metrics.REFUSALS).inc(count)
    metrics.REPLAYS.inc(len(answers) - len(fresh))
    metrics.SHORTFALL.inc(sum(outcome.shortfall for outcome in fresh if outcome.source == Source.REFUND))
