"""What happens between reading for a batch and writing it: the batch holds on what was read, or writes nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import pytest

from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.clock import SteppedClock
from libs.common.db.faults import COLLIDED
from libs.common.db.pool import connection_of, open_pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.feeds.notifier import CommitNotifier
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from libs.common.rpc.operations import Progress
from omnijourney.internal.v1 import postings_pb2
from services.points.clients.modules import PointsModule
from services.points.convert import ledger as convert
from services.points.domain.errors import LedgerChangedError
from services.points.domain.model import AccountKey, Posting, PostingKey, Status
from services.points.store.ledger import LedgerStore
from services.points.usecases.ledger import Ledger
from services.points.worker.posting import PostingWriter
from tests.integration.points import build
from tests.integration.points.conftest import NOWHERE, Points

UNIT = 1_000_000
CHANGED = (LedgerChangedError, *COLLIDED)


class Side(NamedTuple):
    """A process' ledger."""

    ledger: Ledger
    store: LedgerStore


@pytest.fixture
async def sides(points: Points) -> AsyncIterator[tuple[Side, Side]]:
    """Two ledgers on one database, as two processes have them."""
    pools = [await open_pool(points.dsn, name=f"ledger {number}") for number in range(2)]
    queries = QueryBook.load("services.points")
    stores = [LedgerStore(pool, queries) for pool in pools]
    async with channel(NOWHERE, "token") as to_segment:
        modules = PointsModule(TeamSettingsClient(to_segment))
        first, second = (
            Side(Ledger(pool, store, SteppedClock(), modules), store)
            for pool, store in zip(pools, stores, strict=True)
        )
        yield first, second
    for pool in pools:
        await pool.close()


def batch(*messages: postings_pb2.Posting) -> list[Posting]:
    return [each for each in convert.postings(messages) if isinstance(each, Posting)]


TEAM, ANN, BOB, ORDER, KEY = (new_id() for _ in range(5))
BETWEEN: dict[str, tuple[list[postings_pb2.Posting], postings_pb2.Posting, postings_pb2.Posting]] = {
    "another entry of the account": (
        [build.manual(TEAM, ANN, 100)],
        build.coupon(TEAM, ANN, 80),
        build.coupon(TEAM, ANN, 70),
    ),
    "the account was made": (
        [],
        build.refund(TEAM, ANN, 40 * UNIT, order_key=ORDER),
        build.earn(TEAM, ANN, 90 * UNIT, order_key=ORDER),
    ),
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
        [build.manual(TEAM, ANN, 5)],
        build.coupon(TEAM, ANN, 5, key=KEY),
        build.manual(TEAM, BOB, 5, key=KEY),
    ),
    "the key was recorded as a rejection of another customer": (
        [build.manual(TEAM, ANN, 5)],
        build.coupon(TEAM, ANN, 5, key=KEY),
        build.coupon(TEAM, BOB, 5, key=KEY),
    ),
    "the rejected key was posted for another customer": (
        [],
        build.coupon(TEAM, ANN, 5, key=KEY),
        build.manual(TEAM, BOB, 5, key=KEY),
    ),
}


@pytest.mark.rule("P-21")
@pytest.mark.parametrize("case", BETWEEN)
async def test_a_batch_on_what_has_changed_since_writes_nothing(
    points: Points, sides: tuple[Side, Side], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sides
    before, mine, others = BETWEEN[case]
    points.team_id = TEAM
    await points.set_formula()
    for message in before:
        await first.ledger.post(batch(message))
    real = first.store.load

    async def load_and_wait(*arguments: Any) -> Any:
        loaded = await real(*arguments)
        await second.ledger.post(batch(others))
        return loaded

    monkeypatch.setattr(first.store, "load", load_and_wait)
    with pytest.raises(CHANGED):
        await first.ledger.post(batch(mine))
    monkeypatch.undo()
    ours, theirs = UUID(mine.key), UUID(others.key)
    assert ours == theirs or await first.store.outcome(PostingKey((TEAM, ours))) is None
    (again,) = (await first.ledger.post(batch(mine), pessimistic=True)).answers
    (alone,) = (await first.ledger.post(batch(mine))).answers
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


async def test_writers_of_the_same_new_customers_never_wait_in_a_circle(
    points: Points, sides: tuple[Side, Side]
) -> None:
    """Four writers of two processes post for the same customers, most of them new, under locks and without."""
    rng, team = random.Random(5), points.team_id
    customers = [new_id() for _ in range(60)]
    deadlocks = 0

    async def writer(ledger: Ledger, *, pessimistic: bool) -> int:
        nonlocal deadlocks
        done = 0
        while done < 20:
            postings = batch(*(build.manual(team, who, 1) for who in rng.sample(customers, 12)))
            try:
                await ledger.post(postings, pessimistic=pessimistic)
            except asyncpg.DeadlockDetectedError:
                deadlocks += 1
            except CHANGED:
                continue
            done += 1
        return done * 12

    written = await asyncio.gather(
        *(writer(side.ledger, pessimistic=pessimistic) for side in sides for pessimistic in (False, True))
    )
    assert deadlocks == 0
    balances = await sides[0].store.balances([AccountKey((team, who)) for who in customers])
    assert sum(each.balance for each in balances) == sum(written)


async def test_two_processes_get_through_on_one_hot_account(points: Points, sides: tuple[Side, Side]) -> None:
    customer = new_id()
    writers = [PostingWriter(side.ledger, CommitNotifier(), Progress()) for side in sides]
    await asyncio.gather(
        *(
            writer.post(batch(build.manual(points.team_id, customer, 1)))
            for _ in range(100)
            for writer in writers
        )
    )
    assert await points.balance(customer) == (200, 200)
