"""What happens between reading for a batch and writing it: the batch holds on what was read, or writes nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.clock import SteppedClock
from libs.common.db.faults import COLLIDED
from libs.common.db.pool import connection_of, open_pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.feeds.notifier import CommitNotifier
from libs.common.ids import new_id
from libs.common.rpc.operations import Progress
from omnijourney.points.v1 import posting_pb2
from services.points.convert import ledger as convert
from services.points.domain.model import Posting, Status
from services.points.store.ledger import LedgerStore
from services.points.worker.posting import PostingWriter
from tests.integration.points import build
from tests.integration.points.conftest import Points

UNIT = 1_000_000
CHANGED = (asyncpg.UniqueViolationError, *COLLIDED)


@pytest.fixture
async def stores(points: Points) -> AsyncIterator[tuple[LedgerStore, LedgerStore]]:
    """Two ledgers on one database, as two processes have them."""
    pools = [await open_pool(points.dsn, name=f"ledger {number}") for number in range(2)]
    queries = QueryBook.load("services.points")
    first, second = (LedgerStore(pool, queries, SteppedClock()) for pool in pools)
    yield first, second
    for pool in pools:
        await pool.close()


def batch(*messages: posting_pb2.Posting) -> list[Posting]:
    return convert.postings(messages)


TEAM, ANN, BOB, ORDER, KEY = (new_id() for _ in range(5))
BETWEEN: dict[str, tuple[list[posting_pb2.Posting], posting_pb2.Posting, posting_pb2.Posting]] = {
    "another entry of the account": (
        [build.manual(TEAM, ANN, 100)],
        build.coupon(TEAM, ANN, 80),
        build.coupon(TEAM, ANN, 70),
    ),
    "the account was made": ([], build.manual(TEAM, ANN, 5), build.manual(TEAM, ANN, 7)),
    "the order was made, and earned nothing": (
        [],
        build.refund(TEAM, ANN, 40 * UNIT, order_key=ORDER),
        build.earn(TEAM, ANN, UNIT, order_key=ORDER),
    ),
    "another refund that waits for the order": (
        [build.refund(TEAM, ANN, 10 * UNIT, order_key=ORDER)],
        build.earn(TEAM, ANN, 90 * UNIT, order_key=ORDER),
        build.refund(TEAM, ANN, 20 * UNIT, order_key=ORDER),
    ),
    "the key was recorded for another customer": (
        [],
        build.manual(TEAM, ANN, 5, key=KEY),
        build.manual(TEAM, BOB, 5, key=KEY),
    ),
}


@pytest.mark.parametrize("case", BETWEEN)
@pytest.mark.rule("P-06", "P-07", "P-08")
async def test_a_batch_on_what_has_changed_since_writes_nothing(
    points: Points, stores: tuple[LedgerStore, LedgerStore], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = stores
    before, mine, others = BETWEEN[case]
    points.team_id = TEAM
    await points.set_formula()
    for message in before:
        await first.post(batch(message))
    real = first._load

    async def load_and_wait(*arguments: Any) -> Any:
        known = await real(*arguments)
        await second.post(batch(others))
        return known

    monkeypatch.setattr(first, "_load", load_and_wait)
    with pytest.raises(CHANGED):
        await first.post(batch(mine))
    monkeypatch.undo()
    ours, theirs = UUID(mine.key), UUID(others.key)
    assert ours == theirs or await first.outcome((TEAM, ours)) is None
    (again,) = (await first.post(batch(mine), locking=True)).answers
    (alone,) = (await first.post(batch(mine))).answers
    assert (alone.outcome, alone.replayed) == (again.outcome, again.outcome.status != Status.REFUSED)


async def test_locked_accounts_are_locked_whether_they_were_there_or_not(points: Points) -> None:
    there, new = new_id(), new_id()
    await points.post(build.manual(points.team_id, there, 5))
    pool = await open_pool(points.dsn, name="locks", size_max=2)
    lock = "SELECT points.lock_accounts($1, $2)"
    # The policy lets nobody lock accounts of a team that the transaction is not bound to.
    lock_alone = "SELECT platform.bind($1), points.lock_accounts($1, $2)"
    try:
        async with transaction(pool, [points.team_id]) as holder:
            await holder.execute(lock, [points.team_id], [new, there])
            for wanted in (there, new):
                async with connection_of(pool) as other:
                    await other.execute("SET lock_timeout = '100ms'")
                    with pytest.raises(asyncpg.LockNotAvailableError):
                        await other.fetch(lock_alone, [points.team_id], [wanted])
    finally:
        await pool.close()
    assert await points.balance(there) == (5, 5)


@pytest.mark.rule("P-07", "P-21")
async def test_writers_of_the_same_new_customers_never_wait_in_a_circle(
    points: Points, stores: tuple[LedgerStore, LedgerStore]
) -> None:
    """Four writers of two processes post for the same customers, most of them new, under locks and without."""
    rng, team = random.Random(5), points.team_id
    customers = [new_id() for _ in range(60)]
    deadlocks = 0

    async def writer(store: LedgerStore, *, locking: bool) -> int:
        nonlocal deadlocks
        done = 0
        while done < 20:
            postings = batch(*(build.manual(team, who, 1) for who in rng.sample(customers, 12)))
            try:
                await store.post(postings, locking=locking)
            except asyncpg.DeadlockDetectedError:
                deadlocks += 1
            except CHANGED:
                continue
            done += 1
        return done * 12

    written = await asyncio.gather(
        *(writer(store, locking=locking) for store in stores for locking in (False, True))
    )
    assert deadlocks == 0
    balances = await stores[0].balances([(team, who) for who in customers])
    assert sum(each.balance for each in balances) == sum(written)


async def test_two_processes_get_through_on_one_hot_account(
    points: Points, stores: tuple[LedgerStore, LedgerStore]
) -> None:
    customer = new_id()
    async with (
        PostingWriter.running(stores[0], CommitNotifier(), Progress()) as one,
        PostingWriter.running(stores[1], CommitNotifier(), Progress()) as other,
    ):
        await asyncio.gather(
            *(
                writer.post(batch(build.manual(points.team_id, customer, 1)))
                for _ in range(100)
                for writer in (one, other)
            )
        )
    assert await points.balance(customer) == (200, 200)
