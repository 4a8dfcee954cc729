"""The ways of spoiling that the checker has to see: at least one for each of its proofs."""

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from tests.chaos import records as r
from tests.chaos import world as w
from tests.chaos.case import Evidence
from tests.chaos.load import Accepted
from tests.chaos.sabotage import Sabotage, change, double, drop

FAR = 1_000_000_000
"""Added to positions and numbers that must be free."""


def _fact(kind: int) -> str:
    """Facts of a kind: first element of the body, which is a short msgpack array."""
    return f"get_byte(body, 1) = {kind}"


_CHECKOUT = f"{_fact(r.ORDER)} AND get_byte(body, 2) = {r.COMPLETED_STAGE}"
_SEGMENT = "9801..c410[0-9a-f]{32}c410[0-9a-f]{32}"
"""A run segment within a record, as hexadecimal digits; whether it began and the state after it follow."""
_ENROLLED = f"encode(body, 'hex') ~ '{_SEGMENT}c3'"
"""msgpack writes true as 0xc3."""
_ENDED = f"encode(body, 'hex') ~ '{_SEGMENT}c[23]0{r.ENDED}'"
_AWAY = f"position = position + {FAR}"
_UNMAILED = f"{_AWAY}, mail_number = NULL, event_key = NULL, effect_key = NULL, digest = NULL"

EVENTS = (
    Sabotage(
        "an order of somebody else",
        ("every accepted order is recorded, for its customer, and no other",),
        change("segment.shop_order", "customer_id = gen_random_uuid()"),
    ),
    Sabotage(
        "an order told twice", ("each order is told once",), double("segment.fact", _UNMAILED, _CHECKOUT)
    ),
    Sabotage("a refund is lost", ("every accepted refund is recorded",), drop("segment.refund")),
    Sabotage(
        "a refund told twice",
        ("each refund is told once",),
        double("segment.fact", _UNMAILED, _fact(r.REFUND)),
    ),
    Sabotage(
        "a trigger of somebody else",
        ("every accepted trigger is recorded once",),
        change("journey.mail", f"customer_id = gen_random_uuid(), number = number + {FAR}"),
    ),
    Sabotage(
        "a trigger that nobody sent",
        ("trigger rows", "every accepted trigger is recorded once"),
        double("journey.mail", f"{_AWAY}, number = number + {FAR}, request_key = gen_random_uuid()"),
    ),
    Sabotage(
        "a webhook that waits",
        ("webhooks not forwarded, or refused in part",),
        change("channel_gateway.webhook_inbox", "state = 1"),
    ),
    Sabotage(
        "a tag told twice",
        ("one change of the tag for each customer with an order",),
        double("segment.fact", _UNMAILED, _fact(r.TAG_APPLIED)),
    ),
    Sabotage(
        "an attribute told twice",
        ("one change of the attribute for each customer with an order",),
        double("segment.fact", _UNMAILED, _fact(r.ATTRIBUTE_CHANGED)),
    ),
)


def _mail(source: str, table: str, number: str, last: str, last_number: str) -> Iterator[Sabotage]:
    yield Sabotage(
        f"a gap in the mail of {source}",
        (f"{source}: customers whose mail has gaps or lies out of order",),
        change(table, f"{number} = {number} + {FAR}", f"{number} IS NOT NULL"),
    )
    yield Sabotage(
        f"a number of {source} too many",
        (f"{source}: last numbers are those of the mail", f"{source}: all mail is taken, and nothing beyond"),
        change(last, f"{last_number} = {last_number} + 1", f"{last_number} > 0"),
    )
    yield Sabotage(
        f"mail of {source} that nobody took",
        (f"{source}: all mail is taken, and nothing beyond",),
        change("journey.actor", f"taken_{source} = taken_{source} - 1", f"taken_{source} > 0"),
    )


_SWAPPED_EVENT = """
UPDATE journey.enrolment AS e SET trigger_event_id = x.last_event
  FROM (SELECT (array_agg(t.enrolment_id ORDER BY f.mail_number))[1] AS first_one,
               (array_agg(t.trigger_event_id ORDER BY f.mail_number DESC))[1] AS last_event
          FROM journey.enrolment AS t JOIN segment.fact AS f ON f.event_id = t.trigger_event_id
         WHERE t.team_id = $1 GROUP BY t.customer_id, t.journey_id HAVING count(*) > 2 LIMIT 1) AS x
 WHERE e.enrolment_id = x.first_one
"""
_SWAPPED_ORDER = """
UPDATE points.entry AS e SET order_key = x.last_order
  FROM (SELECT customer_id, min(sequence) AS first_one, (array_agg(order_key ORDER BY sequence DESC))[1] AS last_order
          FROM points.entry WHERE team_id = $1 AND source = 1 GROUP BY customer_id HAVING count(*) > 1 LIMIT 1) AS x
 WHERE e.team_id = $1 AND e.customer_id = x.customer_id AND e.sequence = x.first_one
"""
MAIL = (
    *_mail("segment", "segment.fact", "mail_number", "segment.customer", "mail_number"),
    *_mail(
        "gateway",
        "channel_gateway.history_record",
        "mails[1]",
        "channel_gateway.customer_mail",
        "last_number",
    ),
    *_mail("journey", "journey.mail", "number", "journey.mail_number", "number"),
    Sabotage(
        "an enrolment before its time",
        ("enrolments in another order than the mail", "events that enrolled twice"),
        (_SWAPPED_EVENT,),
    ),
    Sabotage(
        "points before their time", ("points earned in another order than the mail",), (_SWAPPED_ORDER,)
    ),
)


def _dearer(evidence: Evidence) -> Evidence:
    """One order was of another amount than the installation was told."""
    key, order = next(iter(evidence.accepted.orders.items()))
    orders = {**evidence.accepted.orders, key: dataclasses.replace(order, amount=order.amount + Decimal(20))}
    return _accepting(evidence, orders=orders)


def _accepting(evidence: Evidence, **changes: Any) -> Evidence:
    accepted: Accepted = dataclasses.replace(evidence.accepted, **changes)
    return dataclasses.replace(evidence, accepted=accepted)


_REFUSAL = (
    "INSERT INTO points.outcome (team_id, key, fingerprint, customer_id, source, status, reason, requested_balance,"
    " delta_balance, delta_cumulative, shortfall, balance, cumulative, sequence, recorded_at)"
    f" SELECT team_id, gen_random_uuid(), '', customer_id, 3, 2, 1, -{w.BIG_COST}, 0, 0, 0, {w.BIG_COST}, 0, sequence,"
    " posted_at FROM points.entry WHERE team_id = $1 LIMIT 1"
)
"""A deduction that was refused though there was enough. Few runs refuse one: it is made, not found."""
POINTS = (
    Sabotage(
        "an entry of more than its figures",
        ("entries that do not follow from the one before",),
        change("points.entry", "delta_balance = delta_balance + 1"),
    ),
    Sabotage(
        "a balance beside its entries",
        ("accounts are the sums of their entries",),
        change("points.account", "balance = balance + 1"),
    ),
    Sabotage(
        "an order of another amount",
        (
            "cumulative = orders × formula + journeys, for each customer",
            "each order earned by the formula, each refund took by it",
        ),
        spoil=_dearer,
    ),
    Sabotage("a refund that took nothing", ("points taken by refunds",), drop("points.entry", "source = 5")),
    Sabotage(
        "a deduction without its entry",
        ("deductions: one for each visit",),
        drop("points.entry", "source = 3 AND delta_balance < 0"),
    ),
    Sabotage(
        "a rich customer refused",
        ("deductions: refused though there was enough",),
        (_REFUSAL,),
    ),
)
_BONUS = "position(convert_to('bonus', 'UTF8') IN body) + 5"
"""Where the result of a step at the node `bonus` stands, after the node's name and the visit: 12 is "applied"."""
JOURNEYS = (
    Sabotage(
        "points that were refused",
        ("effects that were refused",),
        change(
            "journey.history_record",
            f"body = set_byte(body, {_BONUS}, {r.REFUSED_STEP})",
            f"{_BONUS} > 5 AND get_byte(body, {_BONUS}) = 12",
        ),
    ),
    Sabotage(
        "an enrolment is lost", ("enrolments of each customer in each journey",), drop("journey.enrolment")
    ),
    Sabotage(
        "an alarm that did not ring",
        ("actors whose columns, state and enrolments do not agree",),
        change("journey.actor", "wake_at = wake_at - interval '400 days'", "wake_at IS NOT NULL"),
    ),
    Sabotage(
        "an enrolment that stands nowhere",
        ("enrolments that neither ended nor rest rightly",),
        change("journey.enrolment", f"state = {r.PARKED}", f"state = {r.ENDED}"),
    ),
    Sabotage(
        "a verdict that was left",
        ("verdicts kept that nobody needs",),
        change("journey.actor", "verdicts = decode('920191' || '94c400c400c3a0', 'hex')"),
    ),
    Sabotage(
        "an enrolment told twice",
        (
            "each enrolment is told once",
            "nodes entered twice in one visit",
            "enrolments that walked no whole way",
        ),
        double("journey.history_record", _AWAY, _ENROLLED),
    ),
    Sabotage(
        "an end that was not told",
        ("each end is told once",),
        drop("journey.history_record", f"{_ENDED} AND position(convert_to('remind', 'UTF8') IN body) > 0"),
    ),
    Sabotage(
        "nobody was tagged",
        ("customers with orders whom no enrolment tagged",),
        (
            "DELETE FROM journey.history_record"
            " WHERE team_id = $1 AND position(convert_to('tag', 'UTF8') IN body) > 0",
        ),
    ),
    Sabotage(
        "somebody is parked",
        ("customers parked",),
        (
            "INSERT INTO journey.parked_customer (partition, team_id, customer_id, error, attempts, parked_at)"
            " VALUES (0, $1, gen_random_uuid(), 'poison', 8, now())",
        ),
    ),
    Sabotage(
        "a trigger refused below the limit",
        ("triggers refused are those over the limit", "stats: refused"),
        (
            "INSERT INTO journey.history_record (shard, position, team_id, commit_key, body)"
            f" SELECT 0, {FAR}, $1, 1, decode('94010091' || id || '91950200' || id || '0100', 'hex')"
            " FROM (SELECT 'c410' || repeat('00', 16) AS id) AS nobody",
        ),
    ),
)


def _rewritten(channel: str, write: Callable[[list[dict[str, Any]]], None]) -> Callable[[Evidence], Evidence]:
    """Changes what an emulator wrote; the evidence lies in a directory of its own by then."""

    def spoil(evidence: Evidence) -> Evidence:
        path = evidence.receipts / f"{channel}.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        write(lines)
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return evidence

    return spoil


def _strange(lines: list[dict[str, Any]]) -> None:
    """One message more, under a key that no send has."""
    stranger = uuid.uuid5(uuid.NAMESPACE_OID, "nobody")
    own = {"retry_key": str(stranger)}
    if not lines[-1]["retry_key"]:
        team, _, number = lines[-1]["callback_data"].split(":")
        own = {"callback_data": f"{team}:{stranger.hex}:{number}"}
    lines.append({**lines[-1], "id": "strange", **own})


def _again(lines: list[dict[str, Any]]) -> None:
    lines.append({**lines[-1], "id": "again"})


def _intolerant(evidence: Evidence) -> Evidence:
    """WhatsApp never denied what it took."""
    return dataclasses.replace(evidence, silent_doubles=0)


def _doubled(evidence: Evidence) -> Evidence:
    return _intolerant(_rewritten("whatsapp", _again)(evidence))


def _sends(channel: str, name: str, number: int) -> Iterator[Sabotage]:
    sent = f"channel = {number} AND state = {r.SENT}"
    yield Sabotage(
        f"a message on {channel} from nowhere",
        (f"{channel}: messages of nobody's send",),
        spoil=_rewritten(name, _strange),
    )
    yield Sabotage(
        f"a message on {channel} that never came",
        (f"{channel}: sent and not received",),
        spoil=_rewritten(name, lambda lines: lines.clear()),
    )
    yield Sabotage(
        f"a message on {channel} that is denied",
        (
            f"{channel}: received and recorded as skipped",
            "skipped are the sends to those who are not on LINE",
        ),
        change("channel_gateway.delivery", f"state = {r.SKIPPED}", sent),
    )


SENDS = (
    *_sends("LINE", "line", r.LINE),
    *_sends("WhatsApp", "whatsapp", r.WHATSAPP),
    Sabotage(
        "a send without a visit",
        ("one delivery for each visit of a message node",),
        change("channel_gateway.delivery", "effect_key = gen_random_uuid()"),
    ),
    Sabotage(
        "a send that goes on for ever",
        ("deliveries not settled", "sends that ended in another way"),
        change("channel_gateway.delivery", f"state = {r.UNSETTLED_FROM}"),
    ),
    Sabotage(
        "an outcome told twice",
        ("each outcome is told once",),
        double("channel_gateway.history_record", f"{_AWAY}, mails = NULL", "customers <> '{}'"),
    ),
    Sabotage("LINE twice", ("LINE: messages received twice",), spoil=_rewritten("line", _again)),
    Sabotage(
        "WhatsApp twice without a reason",
        ("WhatsApp: doubles, against the times it denied what it took",),
        spoil=_doubled,
    ),
    Sabotage(
        "WhatsApp came and is said to have failed",
        ("WhatsApp: received and recorded as failed, against the same",),
        change(
            "channel_gateway.delivery", f"state = {r.FAILED}", f"channel = {r.WHATSAPP} AND state = {r.SENT}"
        ),
        _intolerant,
    ),
)


def _miscounted(metric: int, what: str) -> Sabotage:
    return Sabotage(
        f"stats counts {what} wrongly",
        (f"stats: {what}",),
        (
            f"DELETE FROM stats.total WHERE team_id = $1 AND metric = {metric}",
            *double("stats.total", f"metric = {metric}, value = -{FAR}"),
        ),
    )


STATS = (
    Sabotage(
        "a quarter that is not in the total",
        ("stats: totals are the sums of the quarters",),
        change("stats.counter", "value = value + 1"),
    ),
    _miscounted(5, "times that each node was entered"),
    _miscounted(1, "triggered"),
    _miscounted(3, "completed"),
    _miscounted(10, "messages sent"),
    _miscounted(11, "sends failed"),
    _miscounted(12, "sends skipped"),
    _miscounted(13, "sends unknown"),
    _miscounted(30, "orders"),
    _miscounted(31, "refunds"),
    _miscounted(40, "entries"),
    _miscounted(41, "points earned"),
    _miscounted(42, "points refunded"),
    _miscounted(43, "points of journeys"),
    _miscounted(46, "cumulative points"),
)
ALL = (*EVENTS, *MAIL, *POINTS, *JOURNEYS, *SENDS, *STATS)
