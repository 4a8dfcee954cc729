"""Waits for an event, and goals: which of event and time takes the customer on, and what is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from libs.common.audience.expressions import AttributeType
from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import Enrolment, EnrolmentState, StepResult, WaitReason
from services.journey.domain.turn import TurnResult
from tests.unit.journey.builders import (
    NOW,
    checkout,
    journey,
    mail,
    message,
    minutes,
    outcome,
    run,
    with_status,
)

Result = StepResult
HOUR = timedelta(hours=1)


def wait(
    event: d.Trigger, *, happened: str | None = None, timed_out: str | None = None, **how: bool
) -> d.Node:
    """An hour for an event."""
    return d.Node("wait", d.Wait(event, 3_600, happened, timed_out, **how))


def points(node_id: str, delta: int = 1) -> d.Node:
    return d.Node(node_id, d.Points(delta))


def tagged(number: int, tag: str, at: datetime = NOW) -> m.Mail:
    return mail(number, m.TagApplied(tag), at)


def attribute(number: int, value: str, at: datetime = NOW, key: str = "cart") -> m.Mail:
    return mail(number, m.AttributeChanged(key, AttributeType.TEXT, None, value), at)


def told(turn: TurnResult) -> list[StepResult]:
    return [step.result for segment in turn.run_segments for step in segment.steps]


def entered(turn: TurnResult) -> list[str]:
    return [step.node_id for segment in turn.run_segments for step in segment.steps if step.entered]


class Stay:
    """One customer in one journey, turn by turn, as commits leave them."""

    def __init__(self, given: d.Journey) -> None:
        self.journey = given
        self.enrolments: dict[object, Enrolment] = {}
        self.results: list[StepResult] = []
        self.asked: list[fx.Effect] = []
        self.now = NOW

    def turn(self, *mails: m.Mail, now: datetime | None = None) -> TurnResult:
        self.now = now or self.now
        live = [e for e in self.enrolments.values() if e.state is EnrolmentState.LIVE]
        result = run([self.journey], mails, live, now=self.now, asked=self.asked)
        self.enrolments |= {e.enrolment_id: e for e in result.enrolments}
        self.results += told(result)
        return result

    def until_waiting(self, *mails: m.Mail, now: datetime | None = None) -> None:
        """Turns until nothing is due."""
        self.turn(*mails, now=now)
        while any(e.wake_at is not None and e.wake_at <= self.now for e in self.enrolments.values()):
            self.turn()

    @property
    def only(self) -> Enrolment:
        [enrolment] = self.enrolments.values()
        return enrolment

    @property
    def points(self) -> list[int]:
        return [effect.delta for effect in self.asked if isinstance(effect, fx.ChangePoints)]


TAG_WAIT = journey(
    wait(d.TagTrigger(("done",)), happened="good", timed_out="late"), points("good", 5), points("late", 7)
)


def test_a_wait_rests_until_its_time() -> None:
    stay = Stay(TAG_WAIT)
    stay.turn(checkout(1))
    assert (stay.only.wait, stay.only.wake_at) == (WaitReason.EVENT, NOW + HOUR)
    assert stay.results == [Result.WAIT_STARTED]


@pytest.mark.rule("J-37a")
def test_the_event_takes_the_customer_on_and_the_time_out_comes_no_more() -> None:
    stay = Stay(TAG_WAIT)
    stay.turn(checkout(1))
    stay.until_waiting(tagged(2, "DONE", NOW + minutes(5)), now=NOW + minutes(5))
    assert (stay.points, stay.only.state) == ([5], EnrolmentState.COMPLETED)
    stay.until_waiting(now=NOW + 2 * HOUR)
    assert stay.results == [Result.WAIT_STARTED, Result.HAPPENED, Result.APPLIED]


@pytest.mark.rule("J-37a")
def test_the_time_out_takes_the_customer_on_and_the_event_comes_too_late() -> None:
    stay = Stay(TAG_WAIT)
    stay.turn(checkout(1))
    stay.until_waiting(now=NOW + HOUR)
    stay.until_waiting(tagged(2, "done", NOW + minutes(59)), now=NOW + HOUR)
    assert stay.results == [Result.WAIT_STARTED, Result.TIMED_OUT, Result.APPLIED]
    assert stay.points == [7]


@pytest.mark.parametrize(("at", "wins"), [(minutes(59), 5), (minutes(60), 7), (minutes(90), 7)])
def test_after_an_outage_what_occurred_first_wins(at: timedelta, wins: int) -> None:
    stay = Stay(TAG_WAIT)
    stay.turn(checkout(1))
    stay.until_waiting(tagged(2, "done", NOW + at), now=NOW + 2 * HOUR)
    assert stay.points == [wins]


def test_another_event_is_not_the_one_that_is_waited_for() -> None:
    stay = Stay(TAG_WAIT)
    stay.turn(checkout(1), tagged(2, "other"), mail(3, m.TagRemoved("done")))
    assert stay.only.wait is WaitReason.EVENT


def test_the_event_that_starts_an_enrolment_is_not_one_that_it_waits_for() -> None:
    stay = Stay(journey(wait(d.CheckoutTrigger(), counts_earlier=True)))
    stay.turn(checkout(1))
    assert stay.only.wait is WaitReason.EVENT
    again = stay.turn(checkout(2))
    first = stay.enrolments[again.run_segments[0].enrolment_id]
    assert (first.state, len(stay.enrolments)) == (EnrolmentState.COMPLETED, 2)


def test_an_event_that_occurred_before_the_start_counts_for_nothing() -> None:
    stay = Stay(journey(wait(d.TagTrigger(("done",))), goal=d.TagTrigger(("done",))))
    stay.turn(checkout(1), tagged(2, "done", NOW - timedelta(days=300)))
    assert stay.only.wait is WaitReason.EVENT
    whole_second = NOW.replace(microsecond=0)
    late = Stay(journey(wait(d.TagTrigger(("done",)))))
    late.turn(checkout(1, NOW + timedelta(microseconds=900)), tagged(2, "done", whole_second), now=NOW + HOUR)
    assert late.only.state is EnrolmentState.COMPLETED


@pytest.mark.rule("J-37b")
@pytest.mark.parametrize(
    ("counts", "state"), [(True, EnrolmentState.COMPLETED), (False, EnrolmentState.LIVE)]
)
def test_an_event_before_the_wait_counts_where_the_node_says_so(counts: bool, state: EnrolmentState) -> None:
    node = wait(d.TagTrigger(("done",)), timed_out="late", counts_earlier=counts)
    stay = Stay(journey(message("hello", "wait"), node, points("late")))
    stay.turn(checkout(1))
    stay.turn(tagged(2, "done", NOW + minutes(1)), now=NOW + minutes(1))
    assert stay.only.wait is WaitReason.SEND
    stay.until_waiting(outcome(1, stay.only, m.Outcome.SENT, NOW + minutes(2)), now=NOW + minutes(2))
    assert stay.only.state is state
    assert stay.only.wake_at == (None if counts else NOW + minutes(2) + HOUR)


CART = journey(
    wait(d.CheckoutTrigger(), timed_out="remind", same_subject=True),
    points("remind"),
    trigger=d.AttributeTrigger(("cart",)),
)


@pytest.mark.parametrize(
    ("order", "is_it"),
    [
        ({"cart_id": "c-1"}, True),
        ({"cart_id": "Ｃ-1"}, True),
        ({"order_id": "C-1"}, True),
        ({"order_number": " c-1 "}, True),
        ({"cart_id": "c-2"}, False),
        ({}, False),
    ],
)
def test_the_order_of_that_cart_is_told_from_others(order: dict[str, object], is_it: bool) -> None:
    stay = Stay(CART)
    stay.turn(attribute(1, "C-1"))
    stay.turn(checkout(2, **order))  # type: ignore[arg-type]  # an order's fields
    assert (stay.only.state is EnrolmentState.COMPLETED) == is_it


def test_two_carts_are_two_waits() -> None:
    stay = Stay(CART)
    stay.turn(attribute(1, "c-1"), attribute(2, "c-2"))
    stay.until_waiting(checkout(3, cart_id="c-2"))
    stay.until_waiting(now=NOW + HOUR)
    assert sorted(each.state.name for each in stay.enrolments.values()) == ["COMPLETED", "COMPLETED"]
    assert stay.points == [1], "of one of the two nobody has to be reminded"


GOAL = journey(
    d.Node("pause", d.Delay(3_600), "hello"),
    message("hello", "wait"),
    wait(d.TagTrigger(("other",))),
    goal=d.TagTrigger(("bought",)),
)


@pytest.mark.rule("J-37c")
def test_the_goal_ends_an_enrolment_wherever_it_waits() -> None:
    for turns in (0, 2):
        stay = Stay(GOAL)
        stay.turn(checkout(1))
        if turns:
            stay.until_waiting(now=NOW + HOUR)
            stay.until_waiting(outcome(1, stay.only, m.Outcome.SENT, stay.now))
            assert stay.only.wait is WaitReason.EVENT
        stay.turn(tagged(2, "bought", stay.now))
        assert (stay.only.state, stay.results[-1]) == (EnrolmentState.CONVERTED, Result.GOAL_REACHED)
        stay.until_waiting(now=NOW + 5 * HOUR)
        assert stay.results[-1] is Result.GOAL_REACHED


@pytest.mark.parametrize(
    ("state", "last"),
    [
        (m.Outcome.SENT, Result.SENT),
        (m.Outcome.FAILED, Result.FAILED),
        (m.Outcome.DEFERRED, Result.SKIPPED),
        (m.Outcome.CANCELLED, Result.CANCELLED),
    ],
)
def test_a_message_with_the_gateway_is_awaited_when_the_goal_is_reached(
    state: m.Outcome, last: StepResult
) -> None:
    stay = Stay(GOAL)
    stay.turn(checkout(1))
    stay.until_waiting(now=NOW + HOUR)
    stay.turn(tagged(2, "bought", stay.now))
    assert (stay.only.state, stay.only.wait) == (EnrolmentState.LIVE, WaitReason.SEND)
    stay.turn(tagged(3, "bought", stay.now), outcome(1, stay.only, state, stay.now))
    assert stay.only.state is EnrolmentState.CONVERTED
    assert stay.results[-2:] == [Result.GOAL_REACHED, last]


def test_who_has_reached_the_goal_asks_for_a_lost_send_with_no_time_left() -> None:
    stay = Stay(GOAL)
    stay.turn(checkout(1))
    stay.until_waiting(now=NOW + HOUR)
    stay.turn(tagged(2, "bought", stay.now))
    asked: list[fx.Effect] = []
    run([GOAL], (), [stay.only], now=stay.now, asked=asked, again=True)
    [send] = [effect for effect in asked if isinstance(effect, fx.Send)]
    assert send.not_after == stay.now


def test_a_goal_that_is_drawn_later_goes_for_those_who_are_inside() -> None:
    stay = Stay(journey(d.Node("pause", d.Delay(3_600))))
    stay.turn(checkout(1))
    assert stay.only.memory is None
    stay.journey = journey(d.Node("pause", d.Delay(3_600)), goal=d.TagTrigger(("bought",)))
    stay.turn(tagged(2, "bought", NOW - minutes(1)))
    assert stay.only.wait is WaitReason.DELAY
    stay.turn(tagged(3, "bought", NOW + minutes(1)), now=NOW + minutes(1))
    assert stay.only.state is EnrolmentState.CONVERTED


def test_a_wait_keeps_its_time_when_it_is_edited() -> None:
    stay = Stay(TAG_WAIT)
    stay.turn(checkout(1))
    [node, *others] = TAG_WAIT.definition.nodes
    assert isinstance(node.action, d.Wait)
    longer = msgspec.structs.replace(node, action=msgspec.structs.replace(node.action, seconds=36_000))
    definition = msgspec.structs.replace(TAG_WAIT.definition, nodes=(longer, *others))
    stay.journey = msgspec.structs.replace(TAG_WAIT, definition=definition)
    stay.until_waiting(now=NOW + HOUR)
    assert Result.TIMED_OUT in stay.results


@pytest.mark.parametrize("status", [d.JourneyStatus.STOPPING, d.JourneyStatus.STOPPED])
def test_who_waits_is_halted_with_the_journey_whatever_happens(status: d.JourneyStatus) -> None:
    stay = Stay(TAG_WAIT)
    stay.turn(checkout(1))
    stay.journey = with_status(TAG_WAIT, status)
    stay.turn(tagged(2, "done"), now=NOW + 2 * HOUR)
    assert (stay.only.state, stay.results[-1]) == (EnrolmentState.HALTED, Result.HALTED)


def test_nothing_leaves_in_the_turn_that_decides_between_event_and_time() -> None:
    stay = Stay(TAG_WAIT)
    stay.turn(checkout(1))
    for mails in ((tagged(2, "done", NOW + minutes(1)),), ()):
        asked: list[fx.Effect] = []
        turn = run([TAG_WAIT], mails, [stay.only], now=NOW + HOUR, asked=asked)
        assert (asked, turn.wake_at) == ([], NOW + HOUR)
        [left] = turn.enrolments
        assert (left.node_id, left.state) == ("wait", EnrolmentState.LIVE)


def test_what_is_ready_is_done_before_any_mail_is_read() -> None:
    stay = Stay(GOAL)
    stay.turn(checkout(1))
    stay.turn(now=NOW + HOUR)
    before: Sequence[Enrolment] = [stay.only]
    for mails in ((), (tagged(2, "bought", NOW + minutes(1)),)):
        asked: list[fx.Effect] = []
        run([GOAL], mails, before, now=NOW + HOUR, asked=asked)
        assert [type(effect) for effect in asked] == [fx.Send]


def test_a_message_after_quiet_time_is_committed_before_it_leaves() -> None:
    night = (d.QuietWindow(11 * 60, 13 * 60),)
    stay = Stay(journey(message("hello"), quiet=night, goal=d.TagTrigger(("bought",))))
    stay.turn(checkout(1))
    assert stay.only.wait is WaitReason.QUIET
    stay.turn(now=NOW + HOUR)
    assert not [effect for effect in stay.asked if isinstance(effect, fx.Send)]
    stay.turn()
    assert [type(effect) for effect in stay.asked] == [fx.EarnPoints, fx.Send]
    assert stay.results == [Result.DEFERRED, Result.SEND_REQUESTED]


def test_an_enrolment_of_a_journey_without_waits_remembers_nothing() -> None:
    [enrolment] = run([journey(d.Node("pause", d.Delay(3_600)))], [checkout(1)]).enrolments
    assert enrolment.memory is None
