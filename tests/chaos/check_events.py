"""Events and mail: everything that was accepted is there once, in order, and was taken."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from uuid import UUID

from tests.chaos import records as r
from tests.chaos.case import Case, customer_of, differ

_MAIL = {
    "segment": (
        "SELECT customer_id, mail_number AS number, position FROM segment.fact"
        " WHERE team_id = $1 AND mail_number IS NOT NULL ORDER BY position",
        "SELECT customer_id, mail_number AS last FROM segment.customer WHERE team_id = $1",
    ),
    "gateway": (
        "SELECT c.customer_id, r.mails[2 * c.n - 1] AS number, r.position FROM channel_gateway.history_record AS r"
        " CROSS JOIN unnest(r.customers) WITH ORDINALITY AS c (customer_id, n)"
        " WHERE r.team_id = $1 AND r.mails IS NOT NULL ORDER BY r.position, c.n",
        "SELECT customer_id, last_number AS last FROM channel_gateway.customer_mail WHERE team_id = $1",
    ),
    "journey": (
        "SELECT customer_id, number, position FROM journey.mail WHERE team_id = $1 ORDER BY position",
        "SELECT customer_id, number AS last FROM journey.mail_number WHERE team_id = $1",
    ),
}
"""By source: all mail in order, and the last number of each customer."""


async def check_events(case: Case) -> None:
    """Every accepted event took effect once."""
    await _orders(case)
    await _refunds(case)
    await _triggers(case)
    waiting = "SELECT count(*) FROM channel_gateway.webhook_inbox WHERE state <> 2"
    case.proofs.same("webhooks not forwarded, or refused in part", await case.records.number(waiting), 0)
    for kind, what in ((r.TAG_APPLIED, "tag"), (r.ATTRIBUTE_CHANGED, "attribute")):
        changes = Counter(row["customer_id"] for row, body in case.facts if body[0] == kind)
        once = dict.fromkeys(case.expected.orders_of, 1)
        case.proofs.same(
            f"one change of the {what} for each customer with an order", *differ(dict(changes), once)
        )
    accepted = case.accepted
    case.proofs.counts["events"] = len(accepted.orders) + len(accepted.refunds) + len(accepted.triggers)


async def _orders(case: Case) -> None:
    rows = await case.records.rows(
        "SELECT shop_id, order_id, order_key, customer_id, uncounted FROM segment.shop_order WHERE team_id = $1"
    )
    stored = {(row["shop_id"], row["order_id"]): row["customer_id"] for row in rows if not row["uncounted"]}
    wanted = {key: customer_of(order.member) for key, order in case.accepted.orders.items()}
    case.proofs.same(
        "every accepted order is recorded, for its customer, and no other", *differ(stored, wanted)
    )
    told = Counter(r.id_of(body[2]) for _, body in case.facts if _is_checkout(body))
    case.proofs.same("each order is told once", *differ(dict(told), {row["order_key"]: 1 for row in rows}))


async def _refunds(case: Case) -> None:
    rows = await case.records.rows("SELECT refund_id, uncounted FROM segment.refund WHERE team_id = $1")
    counted = sorted(row["refund_id"] for row in rows if not row["uncounted"])
    case.proofs.same("every accepted refund is recorded", counted, sorted(case.accepted.refunds))
    told = sum(body[0] == r.REFUND for _, body in case.facts)
    case.proofs.same("each refund is told once", told, len(case.accepted.refunds))


async def _triggers(case: Case) -> None:
    rows = await case.records.rows("SELECT request_key, customer_id FROM journey.mail WHERE team_id = $1")
    found = {str(row["request_key"]): row["customer_id"] for row in rows}
    asked = {key: customer_of(member) for key, member in case.accepted.triggers.items()}
    case.proofs.same("every accepted trigger is recorded once", *differ(found, asked))
    case.proofs.same("trigger rows", len(rows), len(asked))


async def check_mail(case: Case) -> None:
    """Numbers without gaps, in the order of the histories, all of them taken."""
    case.proofs.counts["mails"] = 0
    for source in _MAIL:
        await _mail_of(case, source)


async def _mail_of(case: Case, source: str) -> None:
    sent, last = _MAIL[source]
    numbers: dict[UUID, list[int]] = defaultdict(list)
    for row in await case.records.rows(sent):
        numbers[row["customer_id"]].append(row["number"])
    gaps: list[object] = [c for c, seen in numbers.items() if seen != list(range(1, len(seen) + 1))]
    case.proofs.none(f"{source}: customers whose mail has gaps or lies out of order", gaps)
    lasts = {row["customer_id"]: row["last"] for row in await case.records.rows(last) if row["last"]}
    counted = {customer: len(seen) for customer, seen in numbers.items()}
    case.proofs.same(f"{source}: last numbers are those of the mail", *differ(counted, lasts))
    actors = await case.records.rows(
        f"SELECT customer_id, taken_{source} AS taken FROM journey.actor WHERE team_id = $1"
    )
    taken = {row["customer_id"]: row["taken"] for row in actors if row["taken"]}
    case.proofs.same(f"{source}: all mail is taken, and nothing beyond", *differ(taken, lasts))
    case.proofs.counts["mails"] += sum(lasts.values())


async def check_order(case: Case) -> None:
    """Customers by themselves were worked on in the order of their mail."""
    await _order_of_enrolments(case)
    await _order_of_points(case)


async def _order_of_enrolments(case: Case) -> None:
    number_of = {row["event_id"]: row["mail_number"] for row, _ in case.facts}
    triggers = await case.records.rows("SELECT request_key, number FROM journey.mail WHERE team_id = $1")
    asked = {row["request_key"]: row["number"] for row in triggers}
    event_of = {row["enrolment_id"]: row["trigger_event_id"] for row in case.turns.enrolments()}
    seen: dict[tuple[UUID, bool], int] = {}
    out_of_order: list[object] = []
    for run_segment in case.run_segments:
        event = event_of.get(run_segment.enrolment_id)
        if not run_segment.enrolled or event is None:
            continue
        number = asked[event] if event in asked else number_of.get(event) or -1
        key = (run_segment.customer_id, event in asked)
        if number < seen.get(key, 0):
            out_of_order.append((run_segment.customer_id, number))
        seen[key] = number
    case.proofs.none("enrolments in another order than the mail", out_of_order)


async def _order_of_points(case: Case) -> None:
    mail_of_order = {r.id_of(body[2]): row["mail_number"] for row, body in case.facts if _is_checkout(body)}
    entries = await case.records.rows(
        "SELECT customer_id, sequence, order_key FROM points.entry WHERE team_id = $1 AND source = 1"
        " ORDER BY customer_id, sequence"
    )
    last: dict[UUID, int] = {}
    late: list[object] = []
    for entry in entries:
        number = mail_of_order.get(entry["order_key"]) or -1
        if number <= last.get(entry["customer_id"], 0):
            late.append((entry["customer_id"], entry["sequence"]))
        last[entry["customer_id"]] = number
    case.proofs.none("points earned in another order than the mail", late)


def _is_checkout(body: Sequence[object]) -> bool:
    return body[0] == r.ORDER and body[1] == r.COMPLETED_STAGE
