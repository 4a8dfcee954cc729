"""Posting through the real service, into PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, timedelta

import asyncpg
import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.internal.v1 import postings_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from omnijourney.points.v1 import posting_pb2
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Points

UNIT = 1_000_000
POSTED, REJECTED, SKIPPED, REFUSED = 1, 2, 3, 4


@pytest.mark.rule("P-01a", "P-01b")
async def test_a_formula_is_set_once_and_never_changes(points: Points) -> None:
    async def put(amount: str, earns: str) -> pb.SetEarningFormulaResponse:
        request = pb.SetEarningFormulaRequest(
            request_id=str(new_id()), team_id=str(points.team_id), amount=amount, points=earns
        )
        return await points.stub.SetEarningFormula(request, timeout=TIMEOUT_S)

    first = await put("100.0", "1.50")
    assert (first.formula.amount, first.formula.points) == ("100", "1.5")
    assert await put("100", "1.5") == first
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await put("100", "2")
    error = remote_error(caught.value)
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "FORMULA_ALREADY_SET")
    assert error.metadata == {"amount": "100", "points": "1.5"}
    request = pb.GetEarningFormulaRequest(team_id=str(points.team_id))
    assert (await points.stub.GetEarningFormula(request, timeout=TIMEOUT_S)).formula == first.formula


@pytest.mark.rule("X-01d")
async def test_a_formulas_request_id_stands_for_one_content(points: Points) -> None:
    async def put(request_id: str, earns: str) -> pb.SetEarningFormulaResponse:
        request = pb.SetEarningFormulaRequest(
            request_id=request_id, team_id=str(points.team_id), amount="100", points=earns
        )
        return await points.stub.SetEarningFormula(request, timeout=TIMEOUT_S)

    async def reason(request_id: str, earns: str) -> str:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await put(request_id, earns)
        return remote_error(caught.value).reason

    first = await put("once", "1")
    assert await put("once", "1") == first
    assert await reason("once", "2") == "REQUEST_ID_REUSED"
    assert await reason("another", "2") == "FORMULA_ALREADY_SET"
    assert await put("another", "1") == first, "a request that was refused leaves its id free"


@pytest.mark.parametrize(
    "amount", ["", "0", "-1", "1e3", "1,000", "NaN", "0.0000001", "10000000000000", " 1"]
)
async def test_a_formula_of_bad_numbers_is_refused(points: Points, amount: str) -> None:
    request = pb.SetEarningFormulaRequest(
        request_id=str(new_id()), team_id=str(points.team_id), amount=amount, points=amount
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await points.stub.SetEarningFormula(request, timeout=TIMEOUT_S)
    assert [fault.field for fault in remote_error(caught.value).violations] == ["amount", "points"]


@pytest.mark.rule("P-01c", "P-02")
async def test_an_order_earns_half_up_into_both_figures(points: Points) -> None:
    await points.set_formula("100", "1")
    customer = new_id()
    (result,) = await points.post(build.earn(points.team_id, customer, 150 * UNIT))
    assert (result.status, result.delta_balance, result.delta_cumulative) == (POSTED, 2, 2)
    assert await points.balance(customer) == (2, 2)
    in_yen = build.earn(points.team_id, customer, 150 * UNIT)
    in_yen.earn.amount.currency_code = "JPY"
    (as_it_comes,) = await points.post(in_yen)
    assert as_it_comes.delta_balance == 2
    assert await points.balance(customer) == (4, 4)


@pytest.mark.rule("P-03a")
async def test_without_a_phone_an_order_earns_nothing_and_is_not_paid_later(points: Points) -> None:
    await points.set_formula()
    customer, order = new_id(), new_id()
    (skipped,) = await points.post(
        build.earn(points.team_id, customer, 500 * UNIT, order_key=order, has_phone=False)
    )
    assert (skipped.status, skipped.reason) == (SKIPPED, posting_pb2.POSTING_REASON_NO_PHONE)
    again = build.earn(points.team_id, customer, 500 * UNIT, order_key=order, has_phone=True)
    (replayed,) = await points.post(again)
    assert replayed.replayed
    assert replayed.status == SKIPPED
    (refunded,) = await points.post(build.refund(points.team_id, customer, 500 * UNIT, order_key=order))
    assert refunded.status == SKIPPED
    assert await points.balance(customer) == (0, 0)


async def test_without_a_formula_nothing_is_earned(points: Points) -> None:
    customer = new_id()
    (result,) = await points.post(build.earn(points.team_id, customer, 500 * UNIT))
    assert (result.status, result.reason) == (SKIPPED, posting_pb2.POSTING_REASON_NO_FORMULA)


@pytest.mark.rule("P-04b", "P-05", "P-06d", "P-07a")
async def test_every_source_changes_the_figures_by_its_own_rule(points: Points) -> None:
    await points.set_formula()
    team, customer, survivor = points.team_id, new_id(), new_id()
    postings = (
        build.earn(team, customer, 1_000 * UNIT),
        build.journey(team, customer, 50),
        build.journey(team, customer, -30),
        build.coupon(team, customer, 20),
        build.import_row(team, customer, 5),
        build.import_row(team, customer, -10, deduct_cumulative=True),
        build.manual(team, customer, 7),
        build.manual(team, customer, -2),
        build.refund(team, customer, 100 * UNIT),
        build.merge(team, customer, survivor),
    )
    results = await points.post(*postings)
    assert [(result.delta_balance, result.delta_cumulative) for result in results] == [
        (100, 100), (50, 50), (-30, 0), (-20, 0), (5, 5), (-10, -10), (7, 7), (-2, 0), (-10, 0), (-90, -152),
    ]  # fmt: skip
    assert {result.status for result in results} == {POSTED}
    assert await points.balance(customer) == (0, 0)
    assert await points.balance(survivor) == (90, 152)
    request = pb.ListEntriesRequest(team_id=str(team), filter=pb.EntryFilter(customer_id=str(customer)))
    lines = (await points.stub.ListEntries(request, timeout=TIMEOUT_S)).lines
    entries = sorted((line.entry for line in lines), key=lambda entry: entry.sequence)
    assert [entry.sequence for entry in entries] == list(range(1, 11))
    assert [entry.source for entry in entries] == [1, 3, 3, 2, 4, 4, 6, 6, 5, 7]
    assert [(e.key, e.delta_balance, e.delta_cumulative, e.balance, e.cumulative) for e in entries] == [
        (r.key, r.delta_balance, r.delta_cumulative, r.balance, r.cumulative) for r in results
    ]
    times = [entry.post_time.ToDatetime(UTC) - points.clock.now() for entry in entries]
    assert times == [timedelta(microseconds=number) for number in range(10)]
    assert {entry.actor for entry in entries} == {"test"}
    order, coupon = postings[0].earn, postings[3].coupon
    assert (entries[0].source_id, entries[3].source_id) == (order.order_id, coupon.coupon_id)


@pytest.mark.rule("P-04a", "P-06a", "J-35c")
async def test_more_than_the_balance_is_rejected_whole(points: Points) -> None:
    team, customer = points.team_id, new_id()
    await points.post(build.manual(team, customer, 80))
    key = new_id()
    taken = build.coupon(team, customer, 81, key=key)
    for posting in (taken, build.journey(team, customer, -81), build.manual(team, customer, -81)):
        (result,) = await points.post(posting)
        assert (result.status, result.reason) == (REJECTED, posting_pb2.POSTING_REASON_INSUFFICIENT)
        assert (result.delta_balance, result.balance) == (0, 80)
    (spent,) = await points.post(build.coupon(team, customer, 80))
    assert (spent.status, spent.balance) == (POSTED, 0)
    await points.post(build.manual(team, customer, 1_000))
    (frozen,) = await points.post(taken)
    assert (frozen.status, frozen.replayed) == (REJECTED, True)


@pytest.mark.rule("P-06e")
async def test_a_refund_takes_what_is_there_and_records_the_shortfall(points: Points) -> None:
    await points.set_formula()
    team, customer, order = points.team_id, new_id(), new_id()
    await points.post(
        build.earn(team, customer, 250 * UNIT, order_key=order), build.coupon(team, customer, 20)
    )
    (result,) = await points.post(build.refund(team, customer, 250 * UNIT, order_key=order))
    assert (result.status, result.reason) == (POSTED, posting_pb2.POSTING_REASON_CUT)
    assert (result.delta_balance, result.delta_cumulative, result.shortfall) == (-5, 0, 20)
    (nothing,) = await points.post(build.refund(team, customer, 100 * UNIT))
    assert (nothing.status, nothing.shortfall) == (SKIPPED, 10)
    request = pb.GetLedgerSummaryRequest(team_id=str(team))
    summary = (await points.stub.GetLedgerSummary(request, timeout=TIMEOUT_S)).summary
    assert (summary.entries, summary.earned, summary.refunded, summary.refund_shortfall) == (3, 25, 5, 30)
    assert (summary.balance, summary.cumulative, summary.redeemed, summary.skipped) == (0, 25, 20, 1)


@pytest.mark.rule("P-06c")
async def test_a_refund_may_come_before_its_order(points: Points) -> None:
    await points.set_formula("100", "1")
    team, customer, order = points.team_id, new_id(), new_id()
    (early,) = await points.post(build.refund(team, customer, 60 * UNIT, order_key=order))
    assert (early.status, early.reason) == (SKIPPED, posting_pb2.POSTING_REASON_ORDER_PENDING)
    (result,) = await points.post(build.earn(team, customer, 200 * UNIT, order_key=order))
    assert result.delta_balance == 1
    (rest,) = await points.post(build.refund(team, customer, 500 * UNIT, order_key=order))
    assert rest.delta_balance == -1
    (more,) = await points.post(build.refund(team, customer, 500 * UNIT, order_key=order))
    assert more.status == SKIPPED


@pytest.mark.rule("P-08a", "P-08b")
async def test_a_key_is_answered_the_same_and_other_content_refused(points: Points) -> None:
    team, customer, key = points.team_id, new_id(), new_id()
    posting = build.manual(team, customer, 5, key=key)
    first, twice = await points.post(posting, posting)
    (later,) = await points.post(posting)
    assert (first.replayed, twice.replayed, later.replayed) == (False, True, True)
    for answer in (twice, later):
        answer.replayed = False
        assert answer == first
    other, elsewhere = await points.post(
        build.manual(team, customer, 6, key=key), build.manual(team, new_id(), 5, key=key)
    )
    for refused in (other, elsewhere):
        assert (refused.status, refused.reason) == (REFUSED, posting_pb2.POSTING_REASON_KEY_REUSED)
    assert await points.balance(customer) == (5, 5)
    request = pb.GetPostingOutcomeRequest(team_id=str(team), key=str(key))
    recorded = await points.stub.GetPostingOutcome(request, timeout=TIMEOUT_S)
    assert (recorded.result.delta_balance, recorded.customer_id) == (5, str(customer))


async def test_the_same_key_for_two_customers_at_once_is_posted_once(points: Points) -> None:
    team, key = points.team_id, new_id()
    customers = [new_id() for _ in range(8)]
    answers = await asyncio.gather(
        *(points.post(build.manual(team, customer, 5, key=key)) for customer in customers)
    )
    assert sorted(result.status for (result,) in answers) == [POSTED, *[REFUSED] * 7]
    _, summary = await points.check()
    assert (summary.entries, summary.outcomes) == (1, 1)


async def test_a_faulty_posting_is_refused_by_itself(points: Points) -> None:
    team, customer = points.team_id, new_id()
    bad = build.manual(team, customer, 0)
    bad.key = "nonsense"
    good = [build.manual(team, customer, points) for points in (1, 2)]
    results = await points.post(good[0], bad, postings_pb2.Posting(), good[1])
    faulty = (REFUSED, posting_pb2.POSTING_REASON_INVALID_FIELDS)
    assert [(result.key, result.status, result.reason) for result in results] == [
        (good[0].key, POSTED, 0),
        ("nonsense", *faulty),
        ("", *faulty),
        (good[1].key, POSTED, 0),
    ]
    assert await points.balance(customer) == (3, 3)


@pytest.mark.rule("P-07b", "P-08a")
async def test_concurrent_clients_with_duplicates_post_everything_once(points: Points) -> None:
    """Eight clients send the same postings in other orders and other batches."""
    await points.set_formula()
    rng = random.Random(7)
    team, customers = points.team_id, [new_id() for _ in range(40)]
    postings: list[postings_pb2.Posting] = []
    for _ in range(120):
        postings += [
            build.earn(team, rng.choice(customers), rng.randrange(1, 900) * UNIT),
            build.journey(team, rng.choice(customers), rng.randrange(1, 30)),
            build.journey(team, rng.choice(customers), -rng.randrange(1, 60)),
            build.coupon(team, rng.choice(customers), rng.randrange(1, 60)),
            build.refund(team, rng.choice(customers), rng.randrange(1, 300) * UNIT),
        ]

    async def client(seed: int) -> dict[str, posting_pb2.PostingResult]:
        mine = postings[:]
        random.Random(seed).shuffle(mine)
        answers: dict[str, posting_pb2.PostingResult] = {}
        while mine:
            size = random.Random(seed).randrange(1, 90)
            batch, mine = mine[:size], mine[size:]
            answers.update((result.key, result) for result in await points.post(*batch))
        return answers

    seen = await asyncio.gather(*(client(seed) for seed in range(8)))
    for answers in seen:
        for key, result in answers.items():
            result.replayed = seen[0][key].replayed = False
            assert result == seen[0][key]
    findings, summary = await points.check()
    assert findings == []
    assert summary.outcomes == 600
    assert summary.entries == sum(result.status == POSTED for result in seen[0].values())


@pytest.mark.rule("P-21")
async def test_two_spends_at_once_never_spend_the_same_points(points: Points) -> None:
    team, customer = points.team_id, new_id()
    await points.post(build.manual(team, customer, 100))
    spends = [points.post(build.coupon(team, customer, 80)) for _ in range(20)]
    results = [result for (result,) in await asyncio.gather(*spends)]
    assert sorted(result.status for result in results) == [POSTED, *[REJECTED] * 19]
    assert await points.balance(customer) == (20, 100)


@pytest.mark.rule("P-07a")
@pytest.mark.parametrize("table", ["entry", "outcome", "formula", "coupon_claim", "coupon_use"])
@pytest.mark.parametrize("role", ["service", "owner"])
async def test_the_database_refuses_to_change_what_is_recorded(points: Points, table: str, role: str) -> None:
    await points.set_formula()
    await points.post(build.manual(points.team_id, new_id(), 5), build.manual(points.team_id, new_id(), -5))
    connection = await asyncpg.connect(points.dsn if role == "service" else points.admin_dsn)
    try:
        for statement in (
            f"UPDATE points.{table} SET team_id = team_id",
            f"DELETE FROM points.{table}",
            f"TRUNCATE points.{table}",
        ):
            async with connection.transaction():
                await connection.execute(
                    "SELECT set_config('omnijourney.teams', $1, true)", f"{{{points.team_id}}}"
                )
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    async with connection.transaction():
                        await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_team_never_sees_another_teams_rows(points: Points) -> None:
    await points.post(build.manual(points.team_id, new_id(), 5))
    connection = await asyncpg.connect(points.dsn)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('omnijourney.teams', $1, true)", f"{{{new_id()}}}")
            for table in ("entry", "outcome", "account", "shop_order", "formula"):
                assert await connection.fetchval(f"SELECT count(*) FROM points.{table}") == 0
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(
                    "INSERT INTO points.account (team_id, customer_id) VALUES ($1, $2)",
                    points.team_id,
                    new_id(),
                )
    finally:
        await connection.close()


@pytest.mark.parametrize("request_id", ["5f0c1d9e-3b1a-4c61-8a44-0b8f6f1f2a10", "shift 7: complaint 12"])
async def test_an_operator_adjusts_by_hand(points: Points, request_id: str) -> None:
    team, customer = points.team_id, new_id()

    async def adjust(change: int, request: object) -> pb.AdjustBalanceResponse:
        return await points.stub.AdjustBalance(
            pb.AdjustBalanceRequest(
                team_id=str(team),
                request_id=str(request),
                customer_id=str(customer),
                points=change,
                note="complaint 12",
                actor="user:ann",
            ),
            timeout=TIMEOUT_S,
        )

    assert (await adjust(30, request_id)).result.balance == 30
    assert (await adjust(30, request_id)).result.replayed
    with pytest.raises(grpc.aio.AioRpcError) as reused:
        await adjust(31, request_id)
    assert remote_error(reused.value).reason == "REQUEST_ID_REUSED"
    with pytest.raises(grpc.aio.AioRpcError) as short:
        await adjust(-31, new_id())
    error = remote_error(short.value)
    assert error.reason == "INSUFFICIENT_POINTS"
    assert error.metadata == {"balance": "30", "required": "31", "shortfall": "1"}


@pytest.mark.rule("P-12")
async def test_balances_are_read_at_once_in_the_order_asked(points: Points) -> None:
    team = points.team_id
    ann, bob, nobody = new_id(), new_id(), new_id()
    await points.post(build.manual(team, ann, 3), build.manual(team, bob, 4))
    request = pb.BatchGetBalancesRequest(
        items=[pb.BalanceQuery(team_id=str(team), customer_id=str(each)) for each in (bob, nobody, ann, bob)]
    )
    balances = (await points.stub.BatchGetBalances(request, timeout=TIMEOUT_S)).balances
    assert [balance.balance for balance in balances] == [4, 0, 3, 4]
    assert await points.balance(ann) == (3, 3)
