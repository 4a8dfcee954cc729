"""The posting writer: what comes in together is written together, and nobody suffers for another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import Connection
from libs.common.errors import ResourceExhausted
from libs.common.feeds.notifier import CommitNotifier
from libs.common.ids import new_id, partition_of
from libs.common.rpc.operations import Progress
from services.points.domain.book import Book, accounts_of
from services.points.domain.errors import LedgerChangedError
from services.points.domain.model import Account, AccountKey, Manual, Posted, Posting, PostingAnswer, Status
from services.points.worker import posting as worker
from services.points.worker.posting import BATCH_MAX, LANES, TOGETHER_MAX, AfterPost, PostingWriter

TEAM = new_id()


class FakeLedger:
    """Folds in memory; holds every batch until `free` is set, and fails as told."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.free = asyncio.Event()
        self.free.set()
        self.errors: list[Exception] = []
        self.poison: UUID | None = None
        self.contested: UUID | None = None
        self.accounts: dict[AccountKey, Account] = {}

    async def until_held(self) -> None:
        while not self.batches:
            await asyncio.sleep(0)

    async def post(self, postings: Sequence[Posting], *, pessimistic: bool = False) -> Posted:
        self.batches.append(len(postings))
        await self.free.wait()
        if self.errors:
            raise self.errors.pop(0)
        if any(posting.key == self.poison for posting in postings):
            raise asyncpg.DataError("poison")
        if any(posting.key == self.contested for posting in postings):
            raise LedgerChangedError.write_conflict()
        keys = accounts_of(postings)
        book = Book({key: self.accounts.get(key, Account()) for key in keys}, {}, {}, {}, datetime.now(UTC))
        answers = book.fold(postings)
        self.accounts.update(book.changed_accounts)
        return Posted(answers, len(book.entries))

    async def post_with(self, postings: Sequence[Posting], after_post: AfterPost) -> Posted:
        posted = await self.post(postings, pessimistic=True)
        await after_post(cast("Connection", None), posted.answers)
        return posted


def customer_of_lane(lane: int) -> UUID:
    return next(each for each in iter(new_id, None) if partition_of(TEAM, each) % LANES == lane)


def posting(customer: UUID | None = None, points: int = 1) -> Posting:
    return Posting(new_id(), TEAM, customer or new_id(), None, "test", Manual(points, False, "why"))


def writer_of(ledger: FakeLedger) -> PostingWriter:
    return PostingWriter(ledger, CommitNotifier(), Progress())


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


async def test_answers_come_in_the_order_asked_over_all_lanes(ledger: FakeLedger) -> None:
    writer = writer_of(ledger)
    sent = [posting() for _ in range(50)]
    answers = await writer.post(sent)
    assert [answer.outcome.key for answer in answers] == [each.key for each in sent]


async def test_a_call_that_comes_alone_is_written_at_once(ledger: FakeLedger) -> None:
    writer = writer_of(ledger)
    await writer.post([posting()])
    assert ledger.batches == [1]


async def test_what_gathers_behind_a_batch_is_written_as_one(ledger: FakeLedger) -> None:
    customer = customer_of_lane(0)
    writer = writer_of(ledger)
    ledger.free.clear()
    calls = [asyncio.create_task(writer.post([posting(customer)]))]
    await ledger.until_held()
    calls += [asyncio.create_task(writer.post([posting(customer)])) for _ in range(BATCH_MAX + 100)]
    await asyncio.sleep(0)
    ledger.free.set()
    answers = await asyncio.gather(*calls)
    assert ledger.batches == [1, BATCH_MAX, 100]
    assert [answer.outcome.balance for (answer,) in answers] == list(range(1, BATCH_MAX + 102))


async def test_little_is_one_batch_of_all_lanes_and_much_one_of_each(ledger: FakeLedger) -> None:
    customers = [customer_of_lane(lane) for lane in range(LANES)]
    writer = writer_of(ledger)
    await writer.post([posting(customer) for customer in customers])
    assert ledger.batches == [LANES]
    ledger.batches.clear()
    await writer.post([posting(customer) for customer in customers for _ in range(TOGETHER_MAX)])
    assert ledger.batches == [TOGETHER_MAX] * LANES


async def test_what_is_posted_alone_shares_no_transaction_and_is_tried_again(ledger: FakeLedger) -> None:
    ledger.errors = [LedgerChangedError.write_conflict()]
    noted: list[int] = []

    async def note(connection: Connection, answers: Sequence[PostingAnswer]) -> None:
        noted.extend(answer.outcome.balance for answer in answers)

    writer = writer_of(ledger)
    customer = new_id()
    answers = await asyncio.gather(*(writer.post_alone(posting(customer), note) for _ in range(3)))
    assert ledger.batches == [1] * 4
    assert sorted(answer.outcome.balance for answer in answers) == sorted(noted) == [1, 2, 3]


async def test_a_collision_is_tried_again(ledger: FakeLedger) -> None:
    ledger.errors = [LedgerChangedError.write_conflict(), asyncpg.DeadlockDetectedError("circle")]
    writer = writer_of(ledger)
    (answer,) = await writer.post([posting()])
    assert answer.outcome.balance == 1
    assert ledger.batches == [1, 1, 1]


async def test_a_call_that_cannot_be_written_fails_alone(ledger: FakeLedger) -> None:
    customer = customer_of_lane(1)
    bad = posting(customer)
    ledger.poison = bad.key
    writer = writer_of(ledger)
    ledger.free.clear()
    calls = [asyncio.create_task(writer.post([each])) for each in (posting(customer), bad, posting(customer))]
    await ledger.until_held()
    ledger.free.set()
    first, failed, last = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(failed, asyncpg.DataError)
    assert isinstance(first, list)
    assert isinstance(last, list)
    assert last[0].outcome.balance == 2


async def test_a_posting_that_cannot_be_written_fails_none_of_its_call(ledger: FakeLedger) -> None:
    sent = [posting(points=number) for number in range(1, 21)]
    ledger.poison = sent[7].key
    answers = await writer_of(ledger).post(sent)
    assert [answer.outcome.key for answer in answers] == [each.key for each in sent]
    statuses = [answer.outcome.status for answer in answers]
    assert statuses == [Status.POSTED] * 7 + [Status.FAILED] + [Status.POSTED] * 12
    assert sum(account.balance for account in ledger.accounts.values()) == sum(range(1, 21)) - 8


async def test_one_that_met_others_again_and_again_fails_none_of_its_call(ledger: FakeLedger) -> None:
    customer = customer_of_lane(0)
    sent = [posting(customer) for _ in range(4)]
    ledger.contested = sent[2].key
    answers = await writer_of(ledger).post(sent)
    assert [answer.outcome.status == Status.FAILED for answer in answers] == [False, False, True, False]


async def test_an_error_that_is_no_postings_fails_the_call(ledger: FakeLedger) -> None:
    ledger.errors = [ResourceExhausted.overloaded("database connections", 1.0)]
    customer = customer_of_lane(0)
    with pytest.raises(ResourceExhausted):
        await writer_of(ledger).post([posting(customer), posting(customer)])
    assert ledger.batches == [2]


async def test_where_no_posting_can_be_written_the_call_fails(ledger: FakeLedger) -> None:
    ledger.errors = [asyncpg.DataError("whatever it is") for _ in range(100)]
    with pytest.raises(asyncpg.DataError):
        await writer_of(ledger).post([posting() for _ in range(40)])


async def test_a_database_that_is_away_fails_what_waits_without_trying_each(ledger: FakeLedger) -> None:
    ledger.errors = [ConnectionResetError("gone")]
    writer = writer_of(ledger)
    with pytest.raises(ConnectionResetError):
        await writer.post([posting(customer_of_lane(0))])
    assert ledger.batches == [1]


async def test_more_than_may_wait_is_refused(ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "WAITING_MAX", 3)
    customer = customer_of_lane(0)
    writer = writer_of(ledger)
    ledger.free.clear()
    calls = [asyncio.create_task(writer.post([posting(customer)]))]
    await ledger.until_held()
    calls += [asyncio.create_task(writer.post([posting(customer)])) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(ResourceExhausted):
        await writer.post([posting(customer)])
    ledger.free.set()
    await asyncio.gather(*calls)


async def test_what_waits_at_the_end_is_still_written(ledger: FakeLedger) -> None:
    ledger.free.clear()
    writer = writer_of(ledger)
    calls = [asyncio.create_task(writer.post([posting()])) for _ in range(20)]
    await asyncio.sleep(0)
    ledger.free.set()
    await writer.drain()
    assert all(call.done() and len(call.result()) == 1 for call in calls)


async def test_a_caller_that_gives_up_stops_nobody(ledger: FakeLedger) -> None:
    customer = customer_of_lane(0)
    writer = writer_of(ledger)
    ledger.free.clear()
    calls = [asyncio.create_task(writer.post([posting(customer)])) for _ in range(3)]
    await ledger.until_held()
    calls[0].cancel()
    ledger.free.set()
    assert len(await calls[2]) == 1
    assert ledger.accounts[AccountKey((TEAM, customer))].balance == 3
