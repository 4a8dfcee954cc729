"""The checker: from the load's own notes and the records alone it works out what must be, and compares."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from libs.demo.shopfront import customer_id_of
from tests.chaos import records as r
from tests.chaos import world as w
from tests.chaos.load import Accepted
from tests.chaos.proofs import Proofs
from tests.chaos.records import Burst, Records, Row

K = TypeVar("K")

MESSAGE_NODES = {
    (w.LADDER, "thanks"): r.WHATSAPP,
    (w.LADDER, "remind"): r.LINE,
    (w.BIG, "remind"): r.LINE,
    (w.VIP, "welcome"): r.WHATSAPP,
    (w.VIP, "wake"): r.WHATSAPP,
    (w.MANUAL, "reward"): r.WHATSAPP,
}


class Checker:
    """One check of a quiet installation."""

    def __init__(
        self,
        records: Records,
        *,
        accepted: Accepted,
        journeys: dict[str, str],
        receipts: Path,
        silent_doubles: int,
        now: datetime,
    ) -> None:
        """`journeys`: id by name; `receipts`: the emulators' files; `silent_doubles`: how often WhatsApp was made to
        accept and then say that nothing was sent; `now`: domain time."""
        self._records = records
        self._accepted = accepted
        self._name = {UUID(journey): name for name, journey in journeys.items()}
        self._receipts = receipts
        self._silent_doubles = silent_doubles
        self._now = now
        self.proofs = Proofs()

    async def run(self) -> Proofs:
        """Everything."""
        self._expect()
        facts = await self._records.facts()
        bursts = await self._records.bursts()
        await self._events(facts)
        await self._mail()
        await self._order(facts, bursts)
        await self._points()
        await self._enrolments(bursts)
        await self._sends(bursts)
        await self._stats(bursts)
        return self.proofs

    # ---- what the load makes of it

    def _expect(self) -> None:
        self._orders_of: Counter[UUID] = Counter()
        self._big_of: Counter[UUID] = Counter()
        self._earned_of: Counter[UUID] = Counter()
        for order in self._accepted.orders.values():
            customer = _customer(order.member)
            self._orders_of[customer] += 1
            self._big_of[customer] += order.amount >= w.PROFILE.big_amount
            self._earned_of[customer] += w.points_of(order.amount)
        self._triggers_of = Counter(_customer(member) for member in self._accepted.triggers.values())

    # ---- events

    async def _events(self, facts: Sequence[tuple[Row, list[object]]]) -> None:
        proofs, accepted = self.proofs, self._accepted
        orders = await self._records.rows(
            "SELECT shop_id, order_id, order_key, customer_id, uncounted FROM segment.shop_order WHERE team_id = $1"
        )
        stored = {
            (row["shop_id"], row["order_id"]): row["customer_id"] for row in orders if not row["uncounted"]
        }
        wanted = {key: _customer(order.member) for key, order in accepted.orders.items()}
        proofs.same(
            "every accepted order is recorded, for its customer, and no other", *_differ(stored, wanted)
        )
        told = Counter(r.id_of(body[1 + 1]) for _, body in facts if _is_checkout(body))  # type: ignore[arg-type]
        keys = {row["order_key"]: 1 for row in orders}
        proofs.same("each order is told once", *_differ(dict(told), keys))
        refunds = await self._records.rows(
            "SELECT refund_id, uncounted FROM segment.refund WHERE team_id = $1"
        )
        counted = sorted(row["refund_id"] for row in refunds if not row["uncounted"])
        proofs.same("every accepted refund is recorded", counted, sorted(accepted.refunds))
        told_refunds = sum(body[0] == r.REFUND for _, body in facts)
        proofs.same("each refund is told once", told_refunds, len(accepted.refunds))
        triggers = await self._records.rows(
            "SELECT request_key, customer_id FROM journey.mail WHERE team_id = $1"
        )
        found = {str(row["request_key"]): row["customer_id"] for row in triggers}
        asked = {key: _customer(member) for key, member in accepted.triggers.items()}
        proofs.same("every accepted trigger is recorded once", *_differ(found, asked))
        proofs.same("trigger rows", len(triggers), len(asked))
        waiting = "SELECT count(*) FROM channel_gateway.webhook_inbox WHERE state <> 2"
        proofs.same("webhooks not forwarded, or refused in part", await self._records.number(waiting), 0)
        for kind, what in ((r.TAG_APPLIED, "tag"), (r.ATTRIBUTE_CHANGED, "attribute")):
            changes = Counter(row["customer_id"] for row, body in facts if body[0] == kind)
            once = dict.fromkeys(self._orders_of, 1)
            proofs.same(
                f"one change of the {what} for each customer with an order", *_differ(dict(changes), once)
            )
        proofs.counts["events"] = len(wanted) + len(accepted.refunds) + len(asked)

    # ---- mail

    async def _mail(self) -> None:
        sources = {
            "segment": (
                "SELECT customer_id, mail_number AS number, position FROM segment.fact"
                " WHERE team_id = $1 AND mail_number IS NOT NULL",
                "SELECT customer_id, mail_number AS last FROM segment.customer WHERE team_id = $1",
            ),
            "gateway": (
                "SELECT customer_id, mail_number AS number, position FROM channel_gateway.history"
                " WHERE team_id = $1 AND mail_number IS NOT NULL",
                "SELECT customer_id, last_number AS last FROM channel_gateway.customer_mail WHERE team_id = $1",
            ),
            "journey": (
                "SELECT customer_id, number, position FROM journey.mail WHERE team_id = $1",
                "SELECT customer_id, number AS last FROM journey.mail_number WHERE team_id = $1",
            ),
        }
        total = 0
        for source, (sent, last) in sources.items():
            numbers: dict[UUID, list[int]] = defaultdict(list)
            for row in sorted(await self._records.rows(sent), key=lambda row: row["position"]):
                numbers[row["customer_id"]].append(row["number"])
            gaps: list[object] = [c for c, seen in numbers.items() if seen != list(range(1, len(seen) + 1))]
            self.proofs.none(f"{source}: customers whose mail has gaps or lies out of order", gaps)
            lasts = {row["customer_id"]: row["last"] for row in await self._records.rows(last) if row["last"]}
            self.proofs.same(
                f"{source}: last numbers are those of the mail",
                *_differ({customer: len(seen) for customer, seen in numbers.items()}, lasts),
            )
            actors = await self._records.rows(
                f"SELECT customer_id, taken_{source} AS taken FROM journey.actor WHERE team_id = $1"
            )
            taken = {row["customer_id"]: row["taken"] for row in actors if row["taken"]}
            self.proofs.same(f"{source}: all mail is taken, and nothing beyond", *_differ(taken, lasts))
            total += sum(lasts.values())
        self.proofs.counts["mails"] = total

    async def _order(self, facts: Sequence[tuple[Row, list[object]]], bursts: Sequence[Burst]) -> None:
        number_of = {row["event_id"]: row["mail_number"] for row, _ in facts}
        triggers = await self._records.rows("SELECT request_key, number FROM journey.mail WHERE team_id = $1")
        asked = {row["request_key"]: row["number"] for row in triggers}
        enrolments = await self._records.rows(
            "SELECT enrolment_id, trigger_event_id FROM journey.enrolment WHERE team_id = $1"
        )
        event_of = {row["enrolment_id"]: row["trigger_event_id"] for row in enrolments}
        seen: dict[tuple[UUID, bool], int] = {}
        out_of_order: list[object] = []
        for burst in bursts:
            event = event_of.get(burst.enrolment_id)
            if not burst.enrolled or event is None:
                continue
            system = event in asked
            number = asked[event] if system else number_of[event]
            key = (burst.customer_id, system)
            if number < seen.get(key, 0):
                out_of_order.append((burst.customer_id, number))
            seen[key] = number
        self.proofs.none("enrolments in another order than the mail", out_of_order)
        mail_of_order = {r.id_of(body[2]): row["mail_number"] for row, body in facts if _is_checkout(body)}  # type: ignore[arg-type]
        entries = await self._records.rows(
            "SELECT customer_id, sequence, order_key FROM points.entry WHERE team_id = $1 AND source = 1"
            " ORDER BY customer_id, sequence"
        )
        last: dict[UUID, int] = {}
        late: list[object] = []
        for entry in entries:
            number = mail_of_order[entry["order_key"]]
            if number <= last.get(entry["customer_id"], 0):
                late.append((entry["customer_id"], entry["sequence"]))
            last[entry["customer_id"]] = number
        self.proofs.none("points earned in another order than the mail", late)

    # ---- points

    async def _points(self) -> None:
        proofs = self.proofs
        entries = await self._records.rows(
            "SELECT customer_id, sequence, source, delta_balance, delta_cumulative, balance, cumulative"
            " FROM points.entry WHERE team_id = $1 ORDER BY customer_id, sequence"
        )
        wrong: list[object] = []
        sums: dict[UUID, tuple[int, int, int]] = {}
        deducted = 0
        for entry in entries:
            sequence, balance, cumulative = sums.get(entry["customer_id"], (0, 0, 0))
            after = (sequence + 1, balance + entry["delta_balance"], cumulative + entry["delta_cumulative"])
            if after != (entry["sequence"], entry["balance"], entry["cumulative"]):
                wrong.append((entry["customer_id"], entry["sequence"]))
            sums[entry["customer_id"]] = after
            deducted += entry["source"] == 3 and entry["delta_balance"] < 0
        proofs.none("entries that do not follow from the one before", wrong)
        accounts = await self._records.rows(
            "SELECT customer_id, sequence, balance, cumulative FROM points.account WHERE team_id = $1"
        )
        figures = {
            a["customer_id"]: (a["sequence"], a["balance"], a["cumulative"])
            for a in accounts
            if a["sequence"]
        }
        proofs.same("accounts are the sums of their entries", *_differ(figures, sums))
        gained = {customer: figures[customer][2] for customer in figures}
        wanted = {c: points for c in self._customers() if (points := self._cumulative(c))}
        proofs.same("cumulative = orders × formula + journeys, for each customer", *_differ(gained, wanted))
        await self._refunds()
        outcomes = await self._records.rows(
            "SELECT status, count(*) AS n, min(balance) AS least, max(balance) AS most FROM points.outcome"
            f" WHERE team_id = $1 AND source = 3 AND requested_balance = -{w.BIG_COST} GROUP BY status"
        )
        by_status = {row["status"]: row for row in outcomes}
        posted = by_status[1]["n"] if 1 in by_status else 0
        refused = by_status[2]["n"] if 2 in by_status else 0
        proofs.same("deductions: posted ones are entries", deducted, posted)
        proofs.same("deductions: one for each visit", posted + refused, self._big_total())
        if refused:
            proofs.same("deductions: refused only below the cost", by_status[2]["most"] < w.BIG_COST, True)
        proofs.counts["entries"] = len(entries)
        proofs.counts["points"] = sum(figure[2] for figure in figures.values())

    async def _refunds(self) -> None:
        rows = await self._records.rows(
            "SELECT o.shop_id, o.order_id, p.earned, p.clawed, p.taken, p.posted FROM points.shop_order AS p"
            " JOIN segment.shop_order AS o ON o.team_id = p.team_id AND o.order_key = p.order_key WHERE p.team_id = $1"
        )
        back = {of: refund.amount for refund, of in self._accepted.refunds.values()}
        found = {
            (row["shop_id"], row["order_id"]): (row["posted"], row["earned"], row["clawed"]) for row in rows
        }
        wanted = {
            key: (
                True,
                w.points_of(o.amount),
                w.points_of(o.amount) - w.points_of(o.amount - back.get(key, 0)),
            )
            for key, o in self._accepted.orders.items()
        }
        self.proofs.same("each order earned by the formula, each refund took by it", *_differ(found, wanted))
        given = await self._records.number(
            "SELECT -sum(delta_balance) FROM points.entry WHERE team_id = $1 AND source = 5"
        )
        self.proofs.same("points taken by refunds", given, sum(row["taken"] for row in rows))

    def _customers(self) -> set[UUID]:
        return {*self._orders_of, *self._triggers_of}

    def _cumulative(self, customer: UUID) -> int:
        orders = self._orders_of[customer]
        once = (w.VIP_POINTS + w.TIERED_POINTS) if orders else 0
        of_orders = self._earned_of[customer] + w.LADDER_POINTS * orders
        return of_orders + once + w.MANUAL_POINTS * self._triggers_of[customer]

    def _big_total(self) -> int:
        return sum(min(w.BIG_MAX, count) for count in self._big_of.values())

    # ---- enrolments

    async def _enrolments(self, bursts: Sequence[Burst]) -> None:
        proofs = self.proofs
        rows = await self._records.rows(
            "SELECT customer_id, enrolment_id, journey_id, trigger_event_id, state, rest, wake_at, node_id, visit"
            " FROM journey.enrolment WHERE team_id = $1"
        )
        found = Counter((self._name[row["journey_id"]], row["customer_id"]) for row in rows)
        proofs.same(
            "enrolments of each customer in each journey", *_differ(dict(found), self._wanted_enrolments())
        )
        twice = Counter((row["journey_id"], row["customer_id"], row["trigger_event_id"]) for row in rows)
        proofs.none("events that enrolled twice", [key for key, n in twice.items() if n > 1])
        proofs.none("enrolments without one good reason to rest", await self._restless(rows))
        states = {row["enrolment_id"]: row["state"] for row in rows}
        began = Counter(burst.enrolment_id for burst in bursts if burst.enrolled)
        proofs.same("each enrolment is told once", *_differ(dict(began), dict.fromkeys(states, 1)))
        ended = Counter(burst.enrolment_id for burst in bursts if burst.state in (r.ENDED, r.HALTED))
        wanted = {enrolment: 1 for enrolment, state in states.items() if state in (r.ENDED, r.HALTED)}
        proofs.same("each end is told once", *_differ(dict(ended), wanted))
        visits = Counter(visit for burst in bursts for visit in burst.entered)
        proofs.none("nodes entered twice in one visit", [visit for visit, n in visits.items() if n > 1])
        parked = await self._records.number("SELECT count(*) FROM journey.parked_customer WHERE team_id = $1")
        proofs.same("customers parked", parked, 0)
        refused = await self._records.number(
            "SELECT count(*) FROM journey.history WHERE team_id = $1 AND kind = 2"
        )
        over = sum(max(0, count - w.BIG_MAX) for count in self._big_of.values())
        proofs.same("triggers refused are those over the limit", refused, over)
        proofs.counts["enrolments"] = len(rows)
        proofs.counts["resting"] = sum(row["state"] == r.LIVE for row in rows)
        self._refused = refused

    def _wanted_enrolments(self) -> dict[tuple[str, UUID], int]:
        wanted: dict[tuple[str, UUID], int] = {}
        for customer, orders in self._orders_of.items():
            wanted |= {(w.LADDER, customer): orders, (w.VIP, customer): 1, (w.TIERED, customer): 1}
            if self._big_of[customer]:
                wanted[w.BIG, customer] = min(w.BIG_MAX, self._big_of[customer])
        return wanted | {(w.MANUAL, customer): count for customer, count in self._triggers_of.items()}

    async def _restless(self, rows: Iterable[Row]) -> list[object]:
        """Live enrolments that do not rest until a time ahead at the one node where that is right; halted ones."""
        return [
            dict(row)
            for row in rows
            if row["state"] != r.ENDED
            and not (
                row["state"] == r.LIVE
                and row["rest"] == r.DELAY
                and row["wake_at"] > self._now
                and (self._name[row["journey_id"]], row["node_id"]) == (w.VIP, "sleep")
            )
        ]

    # ---- sends

    async def _sends(self, bursts: Sequence[Burst]) -> None:
        proofs = self.proofs
        rows = await self._records.rows(
            "SELECT effect_key, channel, state, messages, message_ids, recipient, reason"
            " FROM channel_gateway.delivery WHERE team_id = $1"
        )
        wanted = {
            visit.effect_key: channel
            for burst in bursts
            for visit in burst.entered
            if (channel := MESSAGE_NODES.get((self._name[visit.journey_id], visit.node_id)))
        }
        proofs.same(
            "one delivery for each visit of a message node",
            *_differ({row["effect_key"]: row["channel"] for row in rows}, wanted),
        )
        proofs.none(
            "deliveries not settled", [row["effect_key"] for row in rows if row["state"] >= r.UNSETTLED_FROM]
        )
        settled = await self._records.rows(
            "SELECT effect_key FROM channel_gateway.history WHERE team_id = $1 AND kind = 1"
        )
        told = Counter(row["effect_key"] for row in settled)
        proofs.same("each outcome is told once", *_differ(dict(told), {row["effect_key"]: 1 for row in rows}))
        self._receipts_of_line([row for row in rows if row["channel"] == r.LINE])
        self._receipts_of_whatsapp([row for row in rows if row["channel"] == r.WHATSAPP])
        self._deliveries = rows
        states = Counter(row["state"] for row in rows)
        for name, state in (
            ("sent", r.SENT),
            ("unknown", r.UNKNOWN),
            ("failed", r.FAILED),
            ("skipped", r.SKIPPED),
        ):
            proofs.counts[name] = states[state]
        others = set(states) - {r.SENT, r.SKIPPED, r.FAILED, r.UNKNOWN}
        proofs.same("sends that ended in another way", others, set())

    def _receipts_of_line(self, rows: Sequence[Row]) -> None:
        received = r.receipts(self._receipts, "line")
        by_key = {r.line_key(row["effect_key"]): row for row in rows}
        proofs = self.proofs
        proofs.none("LINE: messages of nobody's send", [key for key in received if key not in by_key])
        proofs.none("LINE: messages received twice", [key for key, ids in received.items() if len(ids) > 1])
        sent = {key for key, row in by_key.items() if row["state"] == r.SENT}
        proofs.none("LINE: sent and not received", [key for key in sent if key not in received])
        doubtful = (r.SENT, r.UNKNOWN, r.FAILED)
        stray: list[object] = [
            key for key in received if key in by_key and by_key[key]["state"] not in doubtful
        ]
        proofs.none("LINE: received and recorded as skipped", stray)
        proofs.counts["received on LINE"] = len(received)
        proofs.counts["LINE doubles"] = sum(len(ids) - 1 for ids in received.values())

    def _receipts_of_whatsapp(self, rows: Sequence[Row]) -> None:
        received = r.receipts(self._receipts, "whatsapp")
        by_key = {str(row["effect_key"]): row for row in rows}
        proofs = self.proofs
        proofs.none("WhatsApp: messages of nobody's send", [key for key in received if key not in by_key])
        lost: list[object] = [
            key
            for key, row in by_key.items()
            if row["state"] == r.SENT and not set(row["message_ids"]) & set(received.get(key, ()))
        ]
        proofs.none("WhatsApp: sent and not received", lost)
        doubles = sum(len(ids) - 1 for ids in received.values())
        twice_unknown: list[object] = [
            key for key, ids in received.items() if len(ids) > 1 and by_key[key]["state"] == r.UNKNOWN
        ]
        # An answer that says "not sent" after the message was taken is the one window (C-04).
        allowed = self._silent_doubles
        proofs.same(
            f"WhatsApp: doubles are at most the {allowed} times it denied what it took",
            doubles <= allowed,
            True,
        )
        stray: list[object] = [
            key
            for key, ids in received.items()
            if key in by_key and by_key[key]["state"] not in (r.SENT, r.UNKNOWN, r.FAILED)
        ]
        proofs.none("WhatsApp: received and recorded as skipped", stray)
        denied = sum(by_key[key]["state"] == r.FAILED for key in received if key in by_key)
        proofs.same(
            "WhatsApp: received and recorded as failed, within the same window", denied <= allowed, True
        )
        proofs.counts["received on WhatsApp"] = sum(len(ids) for ids in received.values())
        proofs.counts["unknown and received"] = sum(
            by_key[key]["state"] == r.UNKNOWN for key in received if key in by_key
        )
        proofs.counts["WhatsApp doubles"] = doubles
        proofs.counts["WhatsApp doubles of unknown"] = len(twice_unknown)

    # ---- stats

    async def _stats(self, bursts: Sequence[Burst]) -> None:
        rows = await self._records.rows(
            "SELECT journey_id, metric, node_id, channel, sum(value)::bigint AS value FROM stats.total"
            " WHERE team_id = $1 GROUP BY 1, 2, 3, 4"
        )
        counters = await self._records.rows(
            "SELECT journey_id, metric, node_id, channel, sum(value)::bigint AS value FROM stats.counter"
            " WHERE team_id = $1 GROUP BY 1, 2, 3, 4"
        )
        same = ({_key(row): row["value"] for row in rows}, {_key(row): row["value"] for row in counters})
        self.proofs.same("stats: totals are the sums of the quarters", *_differ(*same))
        by_metric: Counter[int] = Counter()
        nodes: Counter[tuple[UUID, str]] = Counter()
        for row in rows:
            by_metric[row["metric"]] += row["value"]
            if row["metric"] == 5:
                nodes[row["journey_id"], row["node_id"]] += row["value"]
        entered = Counter((visit.journey_id, visit.node_id) for burst in bursts for visit in burst.entered)
        self.proofs.same("stats: times that each node was entered", *_differ(dict(nodes), dict(entered)))
        sent = sum(row["messages"] for row in self._deliveries if row["state"] == r.SENT)
        entries = await self._records.rows(
            "SELECT source, sum(delta_balance)::bigint AS points FROM points.entry WHERE team_id = $1 GROUP BY 1"
        )
        points = {row["source"]: row["points"] for row in entries}
        states = Counter(row["state"] for row in self._deliveries)
        wanted = {
            "triggered": (1, sum(burst.enrolled for burst in bursts)),
            "refused": (2, self._refused),
            "completed": (3, sum(burst.state == r.ENDED for burst in bursts)),
            "messages sent": (10, sent),
            "sends failed": (11, states[r.FAILED]),
            "sends skipped": (12, states[r.SKIPPED]),
            "sends unknown": (13, states[r.UNKNOWN]),
            "orders": (30, len(self._accepted.orders)),
            "refunds": (31, len(self._accepted.refunds)),
            "entries": (40, self.proofs.counts["entries"]),
            "points earned": (41, points.get(1, 0)),
            "points refunded": (42, -points.get(5, 0)),
            "points of journeys": (43, points.get(3, 0)),
            "cumulative points": (46, self.proofs.counts["points"]),
        }
        for what, (metric, figure) in wanted.items():
            self.proofs.same(f"stats: {what}", by_metric[metric], figure)


def _customer(member: int | None) -> UUID:
    assert member is not None
    return UUID(customer_id_of(w.PROFILE.shop_id, member))


def _is_checkout(body: Sequence[object]) -> bool:
    return body[0] == r.ORDER and body[1] == r.COMPLETED_STAGE


def _key(row: Row) -> tuple[object, ...]:
    return (row["journey_id"], row["metric"], row["node_id"], row["channel"])


def _differ(found: Mapping[K, object], wanted: Mapping[K, object]) -> tuple[object, object]:
    """Both, cut down to where they differ and to a few of that, for a short message."""
    keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)][:5]
    return {str(key): found.get(key) for key in keys}, {str(key): wanted.get(key) for key in keys}
