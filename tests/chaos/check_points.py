"""Points: every entry follows from the one before, and every figure from what was accepted."""

from uuid import UUID

from tests.chaos import world as w
from tests.chaos.case import Case, differ

REJECTED = 2
"""Status of an outcome."""
JOURNEY_SOURCE, REFUND_SOURCE = 3, 5
"""Sources of entries."""


async def check_points(case: Case) -> None:
    """The ledger, customer by customer."""
    figures = await _accounts(case, await _entries(case))
    gained = {customer: cumulative for customer, (_, _, cumulative) in figures.items()}
    case.proofs.same(
        "cumulative = orders × formula + journeys, for each customer",
        *differ(gained, case.expected.cumulative()),
    )
    await _orders(case)
    await _deductions(case)
    case.proofs.counts["points"] = sum(gained.values())


async def _entries(case: Case) -> dict[UUID, tuple[int, int, int]]:
    """Sequence, balance and cumulative of each customer, summed up here."""
    entries = await case.records.rows(
        "SELECT customer_id, sequence, delta_balance, delta_cumulative, balance, cumulative"
        " FROM points.entry WHERE team_id = $1 ORDER BY customer_id, sequence"
    )
    wrong: list[object] = []
    sums: dict[UUID, tuple[int, int, int]] = {}
    for entry in entries:
        sequence, balance, cumulative = sums.get(entry["customer_id"], (0, 0, 0))
        after = (sequence + 1, balance + entry["delta_balance"], cumulative + entry["delta_cumulative"])
        if after != (entry["sequence"], entry["balance"], entry["cumulative"]):
            wrong.append((entry["customer_id"], entry["sequence"]))
        sums[entry["customer_id"]] = after
    case.proofs.none("entries that do not follow from the one before", wrong)
    case.proofs.counts["entries"] = len(entries)
    return sums


async def _accounts(case: Case, sums: dict[UUID, tuple[int, int, int]]) -> dict[UUID, tuple[int, int, int]]:
    accounts = await case.records.rows(
        "SELECT customer_id, sequence, balance, cumulative FROM points.account WHERE team_id = $1"
    )
    figures = {
        a["customer_id"]: (a["sequence"], a["balance"], a["cumulative"]) for a in accounts if a["sequence"]
    }
    case.proofs.same("accounts are the sums of their entries", *differ(figures, sums))
    return figures


async def _orders(case: Case) -> None:
    rows = await case.records.rows(
        "SELECT o.shop_id, o.order_id, p.earned, p.clawed, p.taken, p.posted FROM points.shop_order AS p"
        " JOIN segment.shop_order AS o ON o.team_id = p.team_id AND o.order_key = p.order_key WHERE p.team_id = $1"
    )
    found = {(row["shop_id"], row["order_id"]): (row["posted"], row["earned"], row["clawed"]) for row in rows}
    back = {of: refund.amount for refund, of in case.accepted.refunds.values()}
    wanted = {
        key: (
            True,
            w.points_of(order.amount),
            w.points_of(order.amount) - w.points_of(order.amount - back.get(key, 0)),
        )
        for key, order in case.accepted.orders.items()
    }
    case.proofs.same("each order earned by the formula, each refund took by it", *differ(found, wanted))
    given = await case.records.number(
        f"SELECT -sum(delta_balance) FROM points.entry WHERE team_id = $1 AND source = {REFUND_SOURCE}"
    )
    case.proofs.same("points taken by refunds", given, sum(row["taken"] for row in rows))


async def _deductions(case: Case) -> None:
    posted = await case.records.number(
        f"SELECT count(*) FROM points.entry WHERE team_id = $1 AND source = {JOURNEY_SOURCE} AND delta_balance < 0"
    )
    refused = await case.records.rows(
        f"SELECT balance FROM points.outcome WHERE team_id = $1 AND source = {JOURNEY_SOURCE}"
        f" AND status = {REJECTED} AND requested_balance = -{w.BIG_COST}"
    )
    case.proofs.same("deductions: one for each visit", posted + len(refused), case.expected.deductions())
    rich: list[object] = [row for row in refused if row["balance"] >= w.BIG_COST]
    case.proofs.none("deductions: refused though there was enough", rich)
