"""Enrolments: as many as there must be, each walked its whole way once, and ended or rests where it should."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from uuid import UUID

from tests.chaos import records as r
from tests.chaos import world as w
from tests.chaos.case import Case, differ
from tests.chaos.records import Row


async def check_journeys(case: Case) -> None:
    """The enrolments as they are, and what was told of them."""
    rows = case.turns.enrolments()
    case.proofs.none("actors whose columns, state and enrolments do not agree", list(case.turns.faults()))
    case.proofs.none("verdicts kept that nobody needs", list(case.turns.idle_verdicts()))
    _enrolled(case, rows)
    _told(case, {row["enrolment_id"]: row["state"] for row in rows})
    _walked(case, rows)
    parked = await case.records.number("SELECT count(*) FROM journey.parked_customer WHERE team_id = $1")
    case.proofs.same("customers parked", parked, 0)
    case.proofs.same(
        "triggers refused are those over the limit", await refusals(case), case.expected.refusals()
    )
    case.proofs.counts["enrolments"] = len(rows)
    case.proofs.counts["resting"] = sum(row["state"] == r.LIVE for row in rows)


async def refusals(case: Case) -> int:
    """Triggers that journey says it refused."""
    return await case.records.refusals()


def _enrolled(case: Case, rows: Iterable[Row]) -> None:
    found = Counter((case.name[row["journey_id"]], row["customer_id"]) for row in rows)
    case.proofs.same(
        "enrolments of each customer in each journey", *differ(dict(found), case.expected.enrolments())
    )
    twice = Counter((row["journey_id"], row["customer_id"], row["trigger_event_id"]) for row in rows)
    case.proofs.none("events that enrolled twice", [key for key, n in twice.items() if n > 1])
    restless: list[object] = [dict(row) for row in rows if not _is_right(case, row)]
    case.proofs.none("enrolments that neither ended nor rest rightly", restless)


def _is_right(case: Case, row: Row) -> bool:
    """Ended, or asleep until a time ahead at the one node where that is right; nothing here is ever halted."""
    return bool(
        row["state"] == r.ENDED
        or (
            row["state"] == r.LIVE
            and row["rest"] == r.DELAY
            and row["wake_at"] > case.evidence.now
            and (case.name[row["journey_id"]], row["node_id"]) == (w.VIP, w.SLEEP_NODE)
        )
    )


def _told(case: Case, states: dict[UUID, int]) -> None:
    began = Counter(run_segment.enrolment_id for run_segment in case.run_segments if run_segment.enrolled)
    case.proofs.same("each enrolment is told once", *differ(dict(began), dict.fromkeys(states, 1)))
    ended = Counter(
        run_segment.enrolment_id
        for run_segment in case.run_segments
        if run_segment.state in (r.ENDED, r.HALTED)
    )
    wanted = {enrolment: 1 for enrolment, state in states.items() if state in (r.ENDED, r.HALTED)}
    case.proofs.same("each end is told once", *differ(dict(ended), wanted))
    visits = Counter(visit for run_segment in case.run_segments for visit in run_segment.entered)
    case.proofs.none("nodes entered twice in one visit", [visit for visit, n in visits.items() if n > 1])
    # Nothing in this world is against the rules: a refusal is an effect that came again and was not known again.
    refused: list[object] = [(b.enrolment_id, node) for b in case.run_segments for node in b.refused]
    case.proofs.none("effects that were refused", refused)


def _walked(case: Case, rows: Iterable[Row]) -> None:
    """From the first node on, one after the other, none left out; who rests is where the row says."""
    ways: dict[UUID, list[str]] = defaultdict(list)
    for run_segment in case.run_segments:
        ways[run_segment.enrolment_id] += [visit.node_id for visit in run_segment.entered]
    strayed: list[object] = []
    first_ladders: Counter[UUID] = Counter()
    for row in rows:
        way, name = tuple(ways[row["enrolment_id"]]), case.name[row["journey_id"]]
        if way not in w.WAYS[name]:
            strayed.append((name, row["enrolment_id"], way))
        first_ladders[row["customer_id"]] += way == w.FIRST_LADDER
    case.proofs.none("enrolments that walked no whole way", strayed)
    untagged: list[object] = [c for c in case.expected.orders_of if not first_ladders[c]]
    case.proofs.none("customers with orders whom no enrolment tagged", untagged)
