"""A definition over recorded mail: the counts, and the limits that customers share."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from msgspec.structs import replace

from libs.common.audience.expressions import (
    BasicField,
    CompareOperator,
    Expression,
    Figure,
    HasPoints,
    HasTags,
    TagOperator,
)
from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.plan import TeamPlan
from services.journey.domain.simulated_customer import PastCustomer, PointChange, Standing
from services.journey.domain.simulated_limits import Consequence, Imposed, Meter, Reached, tightened
from services.journey.domain.simulation import Pass, Terms
from services.journey.domain.splits import way_of
from services.journey.domain.turn import RefusalReason, enrolment_id_of
from tests.unit.journey.builders import ACCOUNT, CUSTOMER, NOW, checkout, delay, journey, mail, message

HOUR = timedelta(hours=1)
END = NOW + timedelta(days=30)
DAY = timedelta(days=1)
RICH = b"rich"
VIP = b"vip"
AUDIENCES: dict[bytes, Expression] = {
    VIP: HasTags(TagOperator.ANY_OF, frozenset({"vip"})),
    RICH: HasPoints(Figure.CUMULATIVE, CompareOperator.GREATER_OR_EQUAL, 100),
}
BOUND = {(int(d.Channel.LINE), str(ACCOUNT))}


def reachable(**known: object) -> Standing:
    """A customer on the account, with a phone."""
    return Standing(bound=set(BOUND), basics={BasicField.PHONE: "+886912345678"}, **known)  # type: ignore[arg-type]


def customer(number: int, *times: datetime, **known: object) -> PastCustomer:
    """One who ordered at these times."""
    id_ = uuid5(CUSTOMER, str(number))
    mails = [
        replace(checkout(place + 1, at), customer_id=id_, event_id=uuid5(id_, str(place)))
        for place, at in enumerate(times)
    ]
    return PastCustomer(id_, mails, reachable(**known))


def simulate(terms: Terms, customers: Iterable[PastCustomer]) -> Pass:
    """All passes; the last of them."""
    imposed = Imposed()
    while True:
        found = Pass(terms, imposed)
        for each in customers:
            deque(found.play(PastCustomer(each.customer_id, each.mails, _copy(each.standing))), maxlen=0)
        more = tightened(imposed, found.meters.values())
        if more is None:
            return found
        imposed = more


def _copy(standing: Standing) -> Standing:
    return Standing(
        dict(standing.basics),
        dict(standing.times),
        set(standing.tags),
        dict(standing.values),
        set(standing.bound),
        set(standing.blocked),
        standing.balance,
        standing.cumulative,
        deque(standing.changes),
    )


def tree(*nodes: d.Node, **definition: Any) -> Terms:
    """A journey of these nodes over thirty days."""
    return Terms(journey(*nodes, **definition), NOW, END, expressions=AUDIENCES)


def test_delays_and_quiet_time_pass_in_virtual_time() -> None:
    night = d.QuietWindow(13 * 60, 15 * 60)
    terms = tree(delay("wait", 3_600, "say"), message("say", "end"), delay("end", 86_400), quiet=(night,))
    found = simulate(terms, [customer(1, NOW + 10 * timedelta(minutes=1), NOW + 3 * HOUR)])
    tally = found.tally
    assert (tally.enrolled, tally.completed, tally.halted, tally.live) == (2, 2, 0, 0)
    assert tally.entered == {"wait": 2, "say": 2, "end": 2}
    assert tally.deferred == {"say": 1}, "13:10 is quiet, 16:00 is not"
    assert tally.edges == {("wait", "say"): 2, ("say", "end"): 2, ("end", ""): 2}
    line = d.Channel.LINE
    assert tally.sends == {(line, NOW + 3 * HOUR): 1, (line, NOW + 4 * HOUR): 1}


@pytest.mark.rule("J-40c")
def test_points_are_those_of_then_without_what_the_journey_itself_did_when_it_ran() -> None:
    asks = d.Node("rich", d.Condition(RICH, "say", None))
    terms = tree(delay("wait", 86_400, "rich"), asks, message("say"))
    own = terms.journey.journey_id
    changes = [
        PointChange(NOW + HOUR, 60, 60),
        PointChange(NOW + 26 * HOUR, 50, 50, own),
        PointChange(NOW + 40 * HOUR, -30, 0),
        PointChange(NOW + 5 * DAY, 60, 60, CUSTOMER),
        PointChange(END + DAY, 1_000, 1_000),
    ]
    sums = {"balance": sum(c.balance for c in changes), "cumulative": sum(c.cumulative for c in changes)}
    times = (NOW + HOUR, NOW + 3 * DAY, NOW + 4 * DAY, NOW + 4 * DAY + HOUR)
    found = simulate(terms, [customer(1, *times, changes=deque(changes), **sums)])
    assert found.tally.edges[("rich", "say")] == 2, "120 from the fifth day on: who waits until then has them"
    assert found.tally.edges[("rich", "")] == 2, "60 before, whatever there is now"


def test_a_split_is_counted_by_its_ways_and_customers_go_those_of_the_journey_itself() -> None:
    split = d.Split((d.Way(60, "say"), d.Way(20), d.Way(20, holdout=True)))
    found = simulate(
        tree(d.Node("divide", split), message("say")), [customer(number, NOW) for number in range(40)]
    )
    tally, journey_id = found.tally, found.terms.journey.journey_id
    ways = Counter(way_of(split, journey_id, "divide", uuid5(CUSTOMER, str(n))) for n in range(40))
    assert tally.ways == {("divide", place + 1): count for place, count in ways.items()}
    assert tally.edges == {
        ("divide", "say"): ways[0],
        ("divide", ""): ways[1] + ways[2],
        ("say", ""): ways[0],
    }
    assert (tally.completed, tally.sends.total()) == (40, ways[0])


PRESS = d.ReplyEvent(button=d.ButtonReply("ask", ("more",)))
SENT = fx.effect_key(enrolment_id_of(journey().journey_id, CUSTOMER, checkout(1).event_id), "ask", 1)


@pytest.mark.parametrize(
    ("event", "said", "goes_to"),
    [
        (d.ReplyEvent("is", ("yes",)), m.Said(d.Channel.LINE, ACCOUNT, "Yes"), "happened"),
        (d.ReplyEvent("is", ("yes",)), m.Said(d.Channel.LINE, ACCOUNT, "no"), "silent"),
        (PRESS, m.Said(d.Channel.LINE, ACCOUNT, "More", "more", SENT), "happened"),
        (PRESS, m.Said(d.Channel.LINE, ACCOUNT, "More", "more", UUID(int=7)), "silent"),
        (d.ReplyEvent(), None, "silent"),
    ],
)
def test_who_waits_for_a_reply_goes_by_what_was_said_then(
    event: d.Trigger, said: m.Said | None, goes_to: str
) -> None:
    asks = d.Node("wait", d.Wait(event, 3_600, "happened", "silent"))
    terms = tree(message("ask", "wait"), asks, message("happened"), message("silent"))
    mails = [checkout(1), mail(2, m.ProfileChanged(said), NOW + HOUR / 2)]
    found = simulate(terms, [PastCustomer(CUSTOMER, mails, reachable())])
    assert found.tally.edges == {("ask", "wait"): 1, ("wait", goes_to): 1, (goes_to, ""): 1}


def test_who_still_waits_at_the_end_of_the_time_is_inside() -> None:
    terms = tree(delay("wait", 86_400))
    found = simulate(terms, [customer(1, END - HOUR), customer(2, END), customer(3, NOW - HOUR)])
    assert (found.tally.enrolled, found.tally.completed, found.tally.live) == (1, 0, 1)


@pytest.mark.parametrize("seed", range(20))
def test_a_cap_is_reached_by_the_earliest_sends_whoever_is_looked_at_first(seed: int) -> None:
    chance = random.Random(seed)
    times = [NOW + timedelta(seconds=chance.randrange(1, 40)) for _ in range(12)]
    customers = [customer(place, at) for place, at in enumerate(times)]
    chance.shuffle(customers)
    target = d.Target(d.Channel.LINE, ACCOUNT, cap=5)
    found = simulate(tree(message("say", "wait"), delay("wait", 2 * 86_400), targets=(target,)), customers)
    first_refused = sorted(times)[5]
    assert found.imposed.stop is not None
    assert (found.imposed.stop.at, found.imposed.stop.reason) == (first_refused, "LINE_CAP_REACHED")
    assert found.tally.sends.total() == 5
    entered_by_then = sum(at <= first_refused for at in times)
    assert (found.tally.enrolled, found.tally.halted) == (entered_by_then, entered_by_then)
    assert found.tally.live == 0, "who slept behind a message halts, too"


def test_a_plan_closes_the_journey_at_its_first_refusal_and_those_inside_go_on() -> None:
    times = [NOW + place * HOUR for place in range(6)]
    terms = replace(tree(delay("wait", 86_400, "say"), message("say")), plan=TeamPlan("UTC", 4))
    found = simulate(terms, [customer(place, at) for place, at in reversed(list(enumerate(times)))])
    assert found.imposed.close == Reached(times[4], 0, "PLAN_LIMIT")
    assert (found.tally.enrolled, found.tally.completed) == (4, 4)
    assert found.tally.refusals == {RefusalReason.PLAN_LIMIT: 1}, "the sixth found the journey closed"


def test_entries_beyond_the_limit_of_a_customer_are_refused() -> None:
    terms = tree(message("say"), enrolments_per_customer_max=1)
    found = simulate(terms, [customer(1, NOW, NOW + HOUR, NOW + 2 * HOUR)])
    assert (found.tally.enrolled, found.tally.refusals) == (1, {RefusalReason.CUSTOMER_LIMIT: 2})


def test_points_are_counted_as_far_as_the_balance_goes() -> None:
    terms = tree(
        d.Node("give", d.Points(30), "take"),
        d.Node("take", d.Points(-50), "again"),
        d.Node("again", d.Points(-50)),
    )
    found = simulate(
        terms, [customer(1, NOW, balance=40), PastCustomer(UUID(int=9), [checkout(1)], Standing())]
    )
    assert (found.tally.points_added, found.tally.points_deducted) == (30, 50), (
        "20 are left, and one has no phone"
    )


def test_a_balance_that_runs_out_is_told_and_stops_nothing() -> None:
    account = UUID(int=8)
    terms = replace(
        tree(
            d.Node("say", d.Message(d.Channel.WHATSAPP, bot_module_id=UUID(int=4))),
            targets=(d.Target(d.Channel.WHATSAPP, account),),
        ),
        affordable=3,
        messages={"say": 2},
    )
    people = [customer(place, NOW + place * HOUR) for place in range(3)]
    for each in people:
        each.standing.bound.add((int(d.Channel.WHATSAPP), str(account)))
    found = simulate(terms, people)
    (meter,) = found.meters.values()
    assert meter.reached() == Reached(NOW + HOUR, 1, "WHATSAPP_BALANCE_EXHAUSTED")
    assert (found.tally.completed, found.tally.sends.total()) == (3, 6)


def test_messages_to_whom_nobody_can_reach_do_not_count() -> None:
    found = simulate(tree(message("say")), [PastCustomer(CUSTOMER, [checkout(1)], Standing())])
    assert (found.tally.entered, found.tally.sends) == ({"say": 1}, {})


@pytest.mark.parametrize(
    ("between", "now_tagged", "expected"),
    [
        ([m.TagApplied("VIP")], True, "no"),
        ([m.TagRemoved("vip")], False, "yes"),
        ([m.TagApplied("vip"), m.TagRemoved("Vip")], False, "no"),
        ([], True, "yes"),
    ],
)
def test_a_condition_sees_the_customer_as_they_were(
    between: list[m.Body], now_tagged: bool, expected: str
) -> None:
    branch = d.Node("ask", d.Condition(VIP, "yes", "no"))
    terms = tree(branch, delay("yes", 60), delay("no", 60))
    later = [mail(place + 2, body, NOW + (place + 1) * HOUR) for place, body in enumerate(between)]
    standing = reachable(tags={"vip"} if now_tagged else set())
    found = simulate(terms, [PastCustomer(CUSTOMER, [checkout(1), *later], standing)])
    assert found.tally.entered == {"ask": 1, expected: 1}


def test_what_a_journey_does_to_a_customer_is_seen_by_its_later_conditions() -> None:
    terms = tree(
        d.Node("tag", d.Tags(add=("VIP",)), "ask"),
        d.Node("ask", d.Condition(VIP, "yes", None)),
        delay("yes", 60),
    )
    found = simulate(terms, [customer(1, NOW)])
    assert found.tally.entered == {"tag": 1, "ask": 1, "yes": 1}


def test_a_period_that_ends_in_a_stop_halts_those_inside() -> None:
    period = d.Schedule(NOW, NOW + 12 * HOUR, d.ExpiryAction.STOP)
    terms = tree(delay("wait", 86_400), schedule=period)
    found = simulate(terms, [customer(1, NOW + HOUR), customer(2, NOW + 12 * HOUR)])
    assert (found.tally.enrolled, found.tally.halted, found.tally.live) == (1, 1, 0)


def test_of_one_with_very_much_mail_the_past_is_gone_back_to_in_steps() -> None:
    tags = [mail(number, m.TagApplied(f"t{number}"), NOW - HOUR) for number in range(1, 5_001)]
    person = PastCustomer(CUSTOMER, tags, reachable(tags={f"t{number}" for number in range(1, 5_001)}))
    steps = Pass(tree(delay("wait", 60)), Imposed()).play(person)
    left = []
    for _ in range(5):
        next(steps)
        left.append(len(person.standing.tags))
    assert left == [4_000, 3_000, 2_000, 1_000, 0]


@pytest.mark.parametrize("limit", [0, 1, 7, 5_000])
def test_a_meter_tells_the_first_that_it_has_no_room_for(limit: int) -> None:
    chance, meter, taken = random.Random(limit), Meter(limit, "X", Consequence.STOP), []
    for _ in range(800):
        at, count = NOW + timedelta(seconds=chance.randrange(5_000)), chance.choice([1, 2, 30])
        meter.take(at, count)
        taken += [at] * count
    taken.sort()
    left = limit - sum(at < taken[limit] for at in taken)
    assert meter.reached() == Reached(taken[limit], left, "X")
    assert Meter(limit, "X", Consequence.STOP).reached() is None


def test_a_meter_that_is_just_full_is_not_reached() -> None:
    meter = Meter(3, "X", Consequence.STOP)
    meter.take(NOW, 3)
    assert meter.reached() is None
    meter.take(NOW - HOUR, 1)
    assert meter.reached() == Reached(NOW, 2, "X")
