"""The checker: clean on a clean ledger, and every thing it guards is found once it is corrupted."""

from __future__ import annotations

import pytest

from libs.common.ids import new_id
from omnijourney.points.v1 import check_pb2
from omnijourney.points.v1 import points_service_pb2 as pb
from tests.integration.points import build
from tests.integration.points.conftest import TIMEOUT_S, Points
from tests.integration.points.test_coupons import claim, create, mug

UNIT = 1_000_000

CORRUPTIONS = {
    "a balance": ("UPDATE points.account SET balance = balance + 1", "CONSERVATION"),
    "a cumulative": ("UPDATE points.account SET cumulative = cumulative + 1", "CONSERVATION"),
    "a sequence": ("UPDATE points.account SET sequence = sequence + 1", "CONSERVATION"),
    "a last hash": ("UPDATE points.account SET last_hash = sha256('x')", "HASH_CHAIN"),
    "an account gone": ("DELETE FROM points.account", "CONSERVATION"),
    "the last entry gone": ("DELETE FROM points.entry WHERE sequence = 4", "CONSERVATION"),
    "an entry gone": ("DELETE FROM points.entry WHERE sequence = 2", "DENSE_SEQUENCE"),
    "an entry's figure": ("UPDATE points.entry SET balance = balance + 1 WHERE sequence = 2", "CONTINUITY"),
    "an entry's change": (
        "UPDATE points.entry SET delta_balance = delta_balance + 1 WHERE sequence = 2",
        "CONTINUITY",
    ),
    "an entry's name": ("UPDATE points.entry SET source_name = 'x' WHERE sequence = 2", "HASH_CHAIN"),
    "an entry's source": ("UPDATE points.entry SET source = 2 WHERE sequence = 2", "SOURCE_LAW"),
    "an entry's time": (
        "UPDATE points.entry SET posted_at = posted_at - interval '1 day' WHERE sequence = 2",
        "MONOTONE_TIME",
    ),
    "an entry's request": (
        "UPDATE points.entry SET requested_balance = requested_balance - 1 WHERE sequence = 3",
        "JUSTIFIED",
    ),
    "an entry's order": ("UPDATE points.entry SET order_key = team_id WHERE sequence = 1", "ORDER_LAW"),
    "an entry's fingerprint": (
        "UPDATE points.entry SET fingerprint = NULL WHERE sequence = 2",
        "EXACTLY_ONCE",
    ),
    "a key recorded twice": (
        "UPDATE points.entry AS e SET key = o.key FROM points.outcome AS o WHERE o.status = 2 AND e.sequence = 3",
        "EXACTLY_ONCE",
    ),
    "an outcome's change": (
        "UPDATE points.outcome SET delta_balance = delta_balance + 1 WHERE status = 2",
        "EXACTLY_ONCE",
    ),
    "an outcome's status": ("UPDATE points.outcome SET status = 1 WHERE status = 2", "EXACTLY_ONCE"),
    "a rejection that was none": (
        "UPDATE points.outcome SET requested_balance = -1 WHERE status = 2",
        "JUSTIFIED",
    ),
    "a rejection on other figures": (
        "UPDATE points.outcome SET balance = balance - 1 WHERE status = 2",
        "JUSTIFIED",
    ),
    "an order's amount": ("UPDATE points.shop_order SET amount_micros = amount_micros * 2", "ORDER_LAW"),
    "an order's refunds": ("UPDATE points.shop_order SET refunded_micros = 0", "ORDER_LAW"),
    "an order's earning": ("UPDATE points.shop_order SET earning = false", "ORDER_LAW"),
    "an order's take": ("UPDATE points.shop_order SET taken = taken - 1 WHERE taken > 0", "ORDER_LAW"),
    "an order gone": ("DELETE FROM points.shop_order", "ORDER_LAW"),
    "the formula": ("UPDATE points.formula SET points_micros = points_micros * 2", "ORDER_LAW"),
    "a claim's price": ("UPDATE points.coupon_claim SET points_paid = points_paid + 1", "CLAIM_CLOSURE"),
    "the formula gone": ("DELETE FROM points.formula", "ORDER_LAW"),
    "a position": ("UPDATE points.entry SET position = position + 1000 WHERE sequence = 2", "HISTORY_ORDER"),
    "a head": ("UPDATE points.history_head SET position = position + 1 WHERE partition = 7", "HISTORY_ORDER"),
    "a guard off": ("ALTER TABLE points.entry DISABLE TRIGGER append_only", "IMMUTABILITY"),
    "a guard gone": ("DROP TRIGGER kept ON points.outcome", "IMMUTABILITY"),
    "a guard of less": (
        "DROP TRIGGER append_only ON points.formula; CREATE TRIGGER append_only BEFORE UPDATE ON points.formula"
        " FOR EACH STATEMENT EXECUTE FUNCTION points.refuse_change()",
        "IMMUTABILITY",
    ),
}


async def fill(points: Points) -> None:
    """Four entries of one customer and a rejection after the second."""
    await points.set_formula()
    team, customer, order = points.team_id, new_id(), new_id()
    await points.post(
        build.earn(team, customer, 500 * UNIT, order_key=order),
        build.journey(team, customer, 20),
        build.coupon(team, customer, 1_000),
        build.manual(team, customer, -40, deduct_cumulative=True),
        build.refund(team, customer, 400 * UNIT, order_key=order),
        build.earn(team, new_id(), 10 * UNIT, has_phone=False),
    )
    buyer = new_id()
    await points.post(build.manual(team, buyer, 80))
    await claim(points, await create(points, mug(points)), buyer)


async def test_a_clean_ledger_has_no_findings(points: Points) -> None:
    await fill(points)
    findings, summary = await points.check()
    assert findings == []
    assert (summary.accounts, summary.entries, summary.outcomes, summary.orders) == (2, 6, 8, 2)


@pytest.mark.rule("P-07b")
@pytest.mark.parametrize("corrupted", CORRUPTIONS)
async def test_every_corruption_is_found(tampered: Points, corrupted: str) -> None:
    await fill(tampered)
    statement, law = CORRUPTIONS[corrupted]
    await tampered.corrupt(statement)
    findings, summary = await tampered.check()
    assert summary.findings == len(findings)
    assert f"INVARIANT_{law}" in {check_pb2.Invariant.Name(finding.invariant) for finding in findings}


@pytest.mark.rule("P-07b")
async def test_a_forged_chain_needs_every_later_hash_too(tampered: Points) -> None:
    """A consistent forgery of one entry, figures and all, still breaks the chain at that entry."""
    await tampered.post(*(build.manual(tampered.team_id, tampered.team_id, 5) for _ in range(3)))
    await tampered.corrupt("UPDATE points.entry SET note = 'other' WHERE sequence = 2")
    findings, _ = await tampered.check()
    assert [(finding.invariant, finding.sequence) for finding in findings] == [
        (check_pb2.INVARIANT_HASH_CHAIN, 2)
    ]


async def test_a_check_stops_after_the_findings_asked_for(tampered: Points) -> None:
    await tampered.post(*(build.manual(tampered.team_id, new_id(), 5) for _ in range(20)))
    await tampered.corrupt("UPDATE points.account SET balance = 6")
    request = pb.CheckLedgerRequest(team_id=str(tampered.team_id), findings_max=3)
    pieces = [piece async for piece in tampered.stub.CheckLedger(request, timeout=TIMEOUT_S)]
    assert [piece.WhichOneof("item") for piece in pieces] == ["finding"] * 3 + ["summary"]


async def test_a_range_is_checked_from_the_entry_before_it(tampered: Points) -> None:
    team, customer = tampered.team_id, new_id()
    times = []
    for _ in range(3):
        await tampered.post(build.manual(team, customer, 5))
        times.append(tampered.clock.advance(build.HOUR))
    request = pb.CheckLedgerRequest(team_id=str(team))
    request.start_time.FromDatetime(times[0])
    request.end_time.FromDatetime(times[1])
    (clean,) = [piece async for piece in tampered.stub.CheckLedger(request, timeout=TIMEOUT_S)]
    assert (clean.summary.entries, clean.summary.findings) == (1, 0)
    await tampered.corrupt("UPDATE points.entry SET balance = 9 WHERE sequence = 1")
    found, _ = [piece async for piece in tampered.stub.CheckLedger(request, timeout=TIMEOUT_S)]
    assert (found.finding.invariant, found.finding.sequence) == (check_pb2.INVARIANT_CONTINUITY, 2)


async def incremental(points: Points) -> tuple[list[check_pb2.Finding], check_pb2.CheckSummary]:
    request = pb.CheckLedgerRequest(team_id=str(points.team_id), incremental=True)
    *found, last = [piece async for piece in points.stub.CheckLedger(request, timeout=TIMEOUT_S)]
    return [piece.finding for piece in found], last.summary


@pytest.mark.rule("P-07b")
async def test_an_incremental_check_goes_over_what_is_new(tampered: Points) -> None:
    points, team, old, new = tampered, tampered.team_id, new_id(), new_id()
    await points.set_formula()
    await points.post(build.earn(team, old, 50 * UNIT), build.manual(team, new, 1))
    findings, summary = await incremental(points)
    assert (findings, summary.accounts, summary.entries, summary.orders) == ([], 2, 2, 1)
    points.clock.advance(72 * build.HOUR)
    await points.post(build.manual(team, new, 2), build.earn(team, new, 70 * UNIT))
    findings, summary = await incremental(points)
    assert (findings, summary.accounts, summary.entries, summary.orders) == ([], 2, 4, 2)  # a day of overlap
    await points.corrupt("UPDATE points.account SET balance = balance + 1 WHERE customer_id = $1", old)
    points.clock.advance(72 * build.HOUR)
    await points.post(build.manual(team, new, 3))
    findings, summary = await incremental(points)
    assert (findings, summary.accounts, summary.entries, summary.orders) == ([], 1, 3, 1)
    await points.corrupt("UPDATE points.entry SET note = 'x' WHERE customer_id = $1 AND sequence = 4", new)
    for _ in range(2):  # what was found is found until it is mended
        findings, _ = await incremental(points)
        assert [(finding.invariant, finding.sequence) for finding in findings] == [
            (check_pb2.INVARIANT_HASH_CHAIN, 4)
        ]
    everything, _ = await points.check()
    assert check_pb2.INVARIANT_CONSERVATION in {finding.invariant for finding in everything}
