"""Plain adds, written by one statement: entry for entry what the fold makes of them, and each key recorded once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.db.pool import Connection, open_pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.ids import new_id
from omnijourney.internal.v1 import postings_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.points.v1 import posting_pb2
from services.points.domain.book import Book
from services.points.domain.earning import Formula
from services.points.domain.model import Entry, PostingAnswer
from services.points.store import rows
from services.points.usecases.ledger import _ADDS_APART_MIN
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Points
from tests.integration.points.test_between import Side, batch, sides

__all__ = ["sides"]

UNIT = 1_000_000
FORMULA = Formula(10 * UNIT, UNIT)
POSTED, REJECTED, SKIPPED, REFUSED = 1, 2, 3, 4


async def entries_of(points: Points) -> list[Entry]:
    pool = await open_pool(points.dsn, name="entries")
    try:
        query = QueryBook.load("services.points").bind(
            "list_entries",
            team_id=points.team_id,
            start_at=datetime(2000, 1, 1, tzinfo=UTC),
            end_at=datetime(2100, 1, 1, tzinfo=UTC),
            sources=None,
            after_posted_at=None,
            after_customer_id=None,
            after_sequence=None,
            row_max=10_000,
        )
        async with transaction(pool, [points.team_id]) as connection:
            found = [rows.entry(row) for row in await connection.fetch(*query)]
        return sorted(found, key=lambda entry: (entry.customer_id, entry.sequence))
    finally:
        await pool.close()


@pytest.mark.rule("P-07a")
@pytest.mark.parametrize("size", [1, 3, 60])
async def test_adds_are_written_as_the_fold_makes_them(points: Points, size: int) -> None:
    """Figures and sequences of every width that a number can have in what is hashed."""
    await points.set_formula("10", "1")
    rng, team = random.Random(size), points.team_id
    few, sent = [new_id() for _ in range(4)], []
    for number in range(180):
        who = few[0] if number % 3 else rng.choice(few)
        amount = rng.choice((1, 90, 200, 300, 70_000, 5_000_000_000))
        made = (build.manual, build.journey, build.import_row)[number % 3](team, who, amount)
        if number % 5 == 0:
            made = build.earn(team, who, amount * 10 * UNIT)
        if number % 7 == 0:
            made.occur_time.FromDatetime(points.clock.now())
        sent.append(made)
    await points.post(build.earn(team, new_id(), 10 * UNIT))  # the formula is known from here
    book_before = await entries_of(points)
    expected = Book({}, {}, {team: FORMULA}, {}, points.clock.now())
    for start in range(0, len(sent), size):
        # A batch of one is posted by itself only while the clock moves.
        expected.now = points.clock.advance(build.HOUR)
        part = sent[start : start + size]
        answers = await points.post(*part)
        folded = expected.fold(batch(*part))
        assert [(int(a.status), a.balance, a.cumulative, a.sequence) for a in answers] == [
            (int(f.outcome.status), f.outcome.balance, f.outcome.cumulative, f.outcome.sequence)
            for f in folded
        ]
    found = [entry for entry in await entries_of(points) if entry not in book_before]
    assert found == sorted(expected.entries, key=lambda entry: (entry.customer_id, entry.sequence))
    connection = await asyncpg.connect(points.admin_dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM points.outcome") == 0
    finally:
        await connection.close()


@pytest.mark.rule("P-08a", "P-08b")
@pytest.mark.parametrize("beside", [0, 2 * _ADDS_APART_MIN])
async def test_repetitions_among_adds_are_answered_and_other_content_refused(
    points: Points, beside: int
) -> None:
    await points.set_formula()
    team, customer, order = points.team_id, new_id(), new_id()
    first = [
        build.manual(team, customer, 5),
        build.earn(team, customer, 90 * UNIT, order_key=order),
        build.journey(team, new_id(), 7, has_phone=False),
        build.coupon(team, new_id(), 1),
    ]
    others = [build.manual(team, new_id(), 1) for _ in range(beside)]
    once = await points.post(*first, *others)
    again = await points.post(*first, *(build.manual(team, new_id(), 1) for _ in range(beside)))
    assert [result.replayed for result in again] == [True] * 4 + [False] * beside
    for result in again:
        result.replayed = False
    assert again[:4] == once[:4]
    assert [result.status for result in once] == [POSTED, POSTED, SKIPPED, REJECTED] + [POSTED] * beside
    reused = [build.manual(team, customer, 6, key=UUID(each.key)) for each in first]
    refused = await points.post(*reused, *(build.manual(team, new_id(), 1) for _ in range(beside)))
    assert [result.status for result in refused] == [REFUSED] * 4 + [POSTED] * beside
    (same_order,) = await points.post(build.earn(team, customer, 90 * UNIT, order_key=order, key=new_id()))
    assert (same_order.status, same_order.reason) == (SKIPPED, posting_pb2.POSTING_REASON_ORDER_POSTED)
    assert await points.balance(customer) == (14, 14)


async def test_no_add_takes_a_figure_beyond_its_range(points: Points) -> None:
    team, customer = points.team_id, new_id()
    most = [build.manual(team, customer, 10**12) for _ in range(500)]
    for _ in range(2):
        points.clock.advance(build.HOUR)
        await points.post(*most)
        most = [build.manual(team, customer, 10**12) for _ in range(500)]
    points.clock.advance(build.HOUR)
    for more in (1, 3):
        results = await points.post(*(build.manual(team, customer, 1) for _ in range(more)))
        assert {(result.status, result.reason) for result in results} == {
            (REJECTED, posting_pb2.POSTING_REASON_OUT_OF_RANGE)
        }
    assert await points.balance(customer) == (10**15, 10**15)


KEY = new_id()
Make = Callable[..., postings_pb2.Posting]
AT_ONCE: dict[str, tuple[Make, list[Make]]] = {
    "a rejection, then an add": (build.coupon, [build.manual]),
    "a rejection, then several adds": (build.coupon, [build.manual, build.manual]),
    "a rejection, then another": (build.coupon, [build.coupon]),
    "an entry, then a rejection": (build.manual, [build.coupon]),
    "an entry, then an add": (build.manual, [build.manual]),
    "an entry, then several adds": (build.manual, [build.manual, build.manual]),
}


@pytest.mark.rule("P-08b")
@pytest.mark.parametrize("case", AT_ONCE)
async def test_a_key_that_is_being_recorded_elsewhere_is_waited_for(
    points: Points, sides: tuple[Side, Side], case: str
) -> None:
    """Of two customers, so that nothing but the key is common to the two transactions."""
    first, second = sides
    one, others = AT_ONCE[case]
    team, reached, go_on = points.team_id, asyncio.Event(), asyncio.Event()

    async def hold(connection: Connection, answers: Sequence[PostingAnswer]) -> None:
        reached.set()
        await go_on.wait()

    mine = one(team, new_id(), 5, key=KEY)
    theirs = [other(team, new_id(), 5, key=None if place else KEY) for place, other in enumerate(others)]
    early = asyncio.create_task(first.ledger.post_with(batch(mine), hold))
    await reached.wait()
    late = asyncio.create_task(_until_posted(second, theirs))
    try:
        await _waits(points)
        assert not late.done()
    finally:
        go_on.set()
    (recorded,) = (await early).answers
    answers = await late
    assert recorded.outcome.status.value == (POSTED if one is build.manual else REJECTED)
    assert [answer.outcome.status.value for answer in answers] == [REFUSED] + [POSTED] * (len(others) - 1)
    request = pb.GetPostingOutcomeRequest(team_id=str(team), key=str(KEY))
    found = await points.stub.GetPostingOutcome(request, timeout=TIMEOUT_S)
    assert int(found.result.status) == int(recorded.outcome.status)


async def _until_posted(side: Side, postings: Sequence[postings_pb2.Posting]) -> list[PostingAnswer]:
    try:
        return (await side.ledger.post(batch(*postings))).answers
    except Exception:  # noqa: BLE001 - as the posting writer does: once more, under locks
        return (await side.ledger.post(batch(*postings), pessimistic=True)).answers


async def _waits(points: Points) -> None:
    """Returns once a statement waits for a lock of another."""
    connection = await asyncpg.connect(points.admin_dsn)
    try:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(TIMEOUT_S):
            while not await connection.fetchval(waiting):
                await asyncio.sleep(0.01)
    finally:
        await connection.close()


@pytest.mark.rule("P-08a")
async def test_the_release_before_finds_what_entries_tell(points: Points) -> None:
    """Its functions: it reads a key that has an entry, and cannot record it again."""
    team, customer = points.team_id, new_id()
    posting = build.manual(team, customer, 5)
    (result,) = await points.post(posting)
    key = UUID(posting.key)
    load = (
        "SELECT kind, id, customer_id, balance, sequence, others"
        " FROM points.load_batch($1, $1, $2, $1, $3, NULL, NULL, NULL)"
    )
    write = (
        "SELECT points.write_batch(recorded_at => now(), teams => $1, told_teams => $1, told_keys => $2,"
        " told_fingerprints => '{a}', told_customers => $3, told_sources => '{6}', told_statuses => '{2}',"
        " told_reasons => '{1}', told_requests => '{-9}', told_shortfalls => '{0}', told_balances => '{5}',"
        " told_cumulatives => '{5}', told_sequences => '{1}', "
    )
    connection = await asyncpg.connect(points.dsn)
    try:
        found = await connection.fetch(load, [team], [customer], [key])
        outcome = [tuple(row)[1:] for row in found if row["kind"] == 2]
        assert outcome == [(key, customer, 5, 1, [6, POSTED, 0, 5, 5, 5, 0])]
        assert result.sequence == 1
        write += ", ".join(f"{name} => NULL" for name in await _others(connection, write)) + ")"
        with pytest.raises(asyncpg.SerializationError, match="a key is recorded"):
            await connection.execute(write, [team], [key], [customer])
        await connection.execute(write, [team], [new_id()], [customer])
    finally:
        await connection.close()


async def _others(connection: asyncpg.Connection[Any], call: str) -> list[str]:
    """The parameters of write_batch that a call does not name."""
    names: list[str] = await connection.fetchval(
        "SELECT proargnames FROM pg_proc WHERE oid = 'points.write_batch'::regproc"
    )
    return [name for name in names if f" {name} =>" not in call and f"({name} =>" not in call]
