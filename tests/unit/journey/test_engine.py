"""The engine, node by node."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from libs.common.mailbox import mail as m
from omnijourney.channel_gateway.v1 import delivery_pb2
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import Enrolment, EnrolmentState, StepResult, WaitReason
from tests.unit.journey.builders import (
    NOW,
    agreeable,
    checkout,
    delay,
    journey,
    message,
    minutes,
    outcome,
    run,
    with_status,
)

Result = StepResult
DAY = 86_400


def results(turn: object) -> list[StepResult]:
    return [step.result for run_segment in turn.run_segments for step in run_segment.steps]  # type: ignore[attr-defined]


def test_a_message_is_handed_over_and_the_customer_rests_until_its_outcome() -> None:
    asked: list[fx.Effect] = []
    given = journey(message("hello"))
    turn = run([given], [checkout(1)], asked=asked)
    [enrolment] = turn.enrolments
    assert [type(effect) for effect in asked] == [fx.EarnPoints, fx.Send]
    assert (enrolment.wait, enrolment.wake_at, enrolment.state) == (
        WaitReason.SEND,
        None,
        EnrolmentState.LIVE,
    )
    settled = run([given], [outcome(1, enrolment, m.Outcome.SENT)], [enrolment], asked=asked)
    assert len(asked) == 2, "nobody is told: segment follows what the gateway says of it"
    assert settled.enrolments[0].state is EnrolmentState.COMPLETED
    assert results(settled) == [Result.SENT]


def test_a_delay_after_a_message_counts_from_the_real_send() -> None:
    given = journey(message("hello", "wait"), delay("wait", DAY))
    [enrolment] = run([given], [checkout(1)]).enrolments
    sent_at = NOW + minutes(7)
    turn = run([given], [outcome(1, enrolment, m.Outcome.SENT, sent_at)], [enrolment], now=NOW + minutes(9))
    assert turn.enrolments[0].wake_at == sent_at + timedelta(days=1)


@pytest.mark.rule("C-03b")
@pytest.mark.parametrize("state", [m.Outcome.SENT, m.Outcome.SKIPPED, m.Outcome.FAILED, m.Outcome.UNKNOWN])
def test_the_customer_goes_on_after_every_settled_send(state: m.Outcome) -> None:
    given = journey(message("hello", "tag"), d.Node("tag", d.Tags(add=("vip",))))
    [enrolment] = run([given], [checkout(1)]).enrolments
    turn = run([given], [outcome(1, enrolment, state)], [enrolment])
    assert turn.enrolments[-1].state is EnrolmentState.COMPLETED
    assert results(turn) == [StepResult[state.name], Result.APPLIED], "each is counted by itself"


@pytest.mark.parametrize(("belongs", "end"), [(True, "yes"), (False, "no")])
def test_a_condition_takes_the_branch_of_its_verdict(belongs: bool, end: str) -> None:
    nodes = (
        d.Node("ask", d.Condition(b"audience", "yes", "no")),
        d.Node("yes", d.Tags(add=("y",))),
        d.Node("no", d.Tags(add=("n",))),
    )

    def answer(effect: fx.Effect) -> fx.Answer:
        return fx.Verdict(belongs) if isinstance(effect, fx.EvaluateAudience) else agreeable(effect)

    turn = run([journey(*nodes)], [checkout(1)], answer=answer)
    assert turn.enrolments[0].node_id == end
    assert results(turn) == [Result.YES if belongs else Result.NO, Result.APPLIED]


@pytest.mark.rule("J-35c")
def test_a_deduction_over_the_balance_changes_nothing_and_the_customer_goes_on() -> None:
    def answer(effect: fx.Effect) -> fx.Answer:
        if isinstance(effect, fx.ChangePoints):
            return fx.ChangeAnswer(fx.ChangeState.INSUFFICIENT, "INSUFFICIENT")
        return agreeable(effect)

    nodes = (d.Node("take", d.Points(-10), "tag"), d.Node("tag", d.Tags(add=("poor",))))
    turn = run([journey(*nodes)], [checkout(1)], answer=answer)
    assert results(turn) == [Result.INSUFFICIENT, Result.APPLIED]


def test_every_visited_node_is_entered_once() -> None:
    nodes = (
        d.Node("tag", d.Tags(add=("a",)), "ask"),
        d.Node("ask", d.Condition(b"", "send", None)),
        message("send", "wait"),
        delay("wait", 60),
    )
    given = journey(*nodes)
    first = run([given], [checkout(1)])
    second = run([given], [outcome(1, first.enrolments[0], m.Outcome.SENT)], first.enrolments)
    third = run([given], (), second.enrolments, now=NOW + minutes(5))
    entered = [
        s.node_id for t in (first, second, third) for b in t.run_segments for s in b.steps if s.entered
    ]
    assert entered == ["tag", "ask", "send", "wait"]
    assert third.enrolments[0].state is EnrolmentState.COMPLETED


@pytest.mark.parametrize("has_phone", [True, False, None])
def test_points_after_a_condition_know_of_the_phone_that_it_told(has_phone: bool | None) -> None:
    given = journey(
        d.Node("ask", d.Condition(b"", "points", None)),
        d.Node("points", d.Points(1), "more"),
        d.Node("more", d.Points(2)),
    )
    asked: list[fx.Effect] = []

    def answer(effect: fx.Effect) -> fx.Answer:
        return (
            fx.Verdict(True, has_phone=has_phone)
            if isinstance(effect, fx.EvaluateAudience)
            else agreeable(effect)
        )

    run([given], [checkout(1)], answer=answer, asked=asked)
    assert [e.has_phone for e in asked if isinstance(e, fx.ChangePoints)] == [has_phone, has_phone]


@pytest.mark.rule("J-12c")
def test_in_quiet_time_only_messages_wait() -> None:
    quiet = (d.QuietWindow(12 * 60, 13 * 60),)
    nodes = (d.Node("tag", d.Tags(add=("a",)), "send"), message("send"))
    given = journey(*nodes, quiet=quiet)
    asked: list[fx.Effect] = []
    turn = run([given], [checkout(1)], asked=asked)
    assert results(turn) == [Result.APPLIED, Result.DEFERRED]
    assert turn.enrolments[0].wake_at == NOW + minutes(60)
    assert not any(isinstance(effect, fx.Send) for effect in asked)
    woken = run([given], (), turn.enrolments, now=NOW + minutes(60), asked=asked)
    assert isinstance(asked[-1], fx.Send)
    assert asked[-1].not_after == NOW + timedelta(days=1)
    assert woken.enrolments[0].wait is WaitReason.SEND


def test_a_send_that_the_gateway_deferred_is_asked_again_under_the_same_key() -> None:
    quiet = (d.QuietWindow(13 * 60, 14 * 60),)
    given = journey(message("send"), quiet=quiet)
    asked: list[fx.Effect] = []
    first = run([given], [checkout(1)], asked=asked)
    late = NOW + minutes(65)
    deferred = run([given], [outcome(1, first.enrolments[0], m.Outcome.DEFERRED)], first.enrolments, now=late)
    assert deferred.enrolments[0].wake_at == NOW + minutes(120)
    run([given], (), deferred.enrolments, now=NOW + minutes(120), asked=asked)
    keys = {effect.key for effect in asked if isinstance(effect, fx.Send)}
    assert len(keys) == 1


def test_a_send_deferred_for_a_window_that_is_over_is_asked_again_by_another_turn() -> None:
    """A turn keeps the time at which it began: asking again itself, it would ask and be deferred without end."""
    quiet = (d.QuietWindow(13 * 60, 14 * 60),)
    given = journey(message("send"), quiet=quiet)
    asked: list[fx.Effect] = []
    seen = NOW + minutes(125)

    def answer(effect: fx.Effect) -> fx.Answer:
        return fx.SendAnswer(fx.SendState.DEFERRED, at=seen)

    turn = run([given], [checkout(1)], answer=answer, asked=asked)
    assert sum(isinstance(effect, fx.Send) for effect in asked) == 1
    assert (turn.enrolments[0].wait, turn.enrolments[0].wake_at) == (WaitReason.QUIET, seen)


def _resting_until_two(given: d.Journey) -> Enrolment:
    [resting] = run([given], [checkout(1, NOW + minutes(70))], now=NOW + minutes(70)).enrolments
    assert (resting.wait, resting.wake_at) == (WaitReason.QUIET, NOW + minutes(120))
    return resting


@pytest.mark.rule("J-06f")
@pytest.mark.parametrize(
    ("windows", "rests_until"),
    [
        ((), None),
        ((d.QuietWindow(13 * 60, 13 * 60 + 5),), None),
        ((d.QuietWindow(8 * 60, 9 * 60),), None),
        ((d.QuietWindow(13 * 60, 13 * 60 + 30),), 90),
        ((d.QuietWindow(13 * 60, 15 * 60),), 180),
        ((d.QuietWindow(13 * 60, 14 * 60), d.QuietWindow(14 * 60, 16 * 60)), 240),
        ((d.QuietWindow(13 * 60, 14 * 60), d.QuietWindow(20 * 60, 21 * 60)), 120),
    ],
)
def test_windows_drawn_otherwise_move_those_who_rest_for_them(
    windows: tuple[d.QuietWindow, ...], rests_until: int | None
) -> None:
    given = journey(message("send"), quiet=(d.QuietWindow(13 * 60, 14 * 60),))
    resting = _resting_until_two(given)
    asked: list[fx.Effect] = []
    edited = msgspec.structs.replace(journey(message("send"), quiet=windows), recall_epoch=1)
    turn = run([edited], (), [resting], now=NOW + minutes(75), asked=asked)
    if rests_until == 120:
        assert (turn.enrolments, asked, turn.wake_at) == ((), [], resting.wake_at)
        return
    [moved] = turn.enrolments
    if rests_until is None:
        assert moved.wait is WaitReason.SEND
        assert [type(effect) for effect in asked] == [fx.Send]
    else:
        assert (moved.wait, moved.wake_at, asked) == (WaitReason.QUIET, NOW + minutes(rests_until), [])


def test_a_rest_that_is_over_ends_in_its_order_whatever_windows_were_drawn_since() -> None:
    given = journey(
        message("send", "tag"), d.Node("tag", d.Tags(add=("x",))), quiet=(d.QuietWindow(13 * 60, 14 * 60),)
    )
    resting = _resting_until_two(given)
    edited = journey(*given.definition.nodes, quiet=())
    asked: list[fx.Effect] = []
    early = checkout(2, NOW + minutes(110))
    run([edited], [early], [resting], now=NOW + minutes(130), asked=asked)
    assert [type(effect) for effect in asked] == [fx.EarnPoints, fx.Send, fx.Send]


def test_a_refused_send_halts_the_customer_and_stops_the_journey() -> None:
    def answer(effect: fx.Effect) -> fx.Answer:
        if isinstance(effect, fx.Send):
            return fx.SendAnswer(fx.SendState.EXHAUSTED, "LINE_CAP_REACHED")
        return agreeable(effect)

    given = journey(message("send"))
    turn = run([given], [checkout(1), checkout(2)], answer=answer)
    assert turn.stops == {given.journey_id: "LINE_CAP_REACHED"}
    assert [e.state for e in turn.enrolments] == [EnrolmentState.HALTED]


def test_a_stopped_journey_halts_those_who_wait_and_awaits_a_send_in_flight() -> None:
    given = journey(message("send", "wait"), delay("wait", 60, "again"), message("again"))
    sending = run([given], [checkout(1)]).enrolments
    waiting = run([given], [outcome(1, sending[0], m.Outcome.SENT)], sending).enrolments
    stopping = with_status(given, d.JourneyStatus.STOPPING)
    assert run([stopping], (), waiting).enrolments[0].state is EnrolmentState.HALTED
    assert run([stopping], (), sending).enrolments == ()
    asked: list[fx.Effect] = []
    settled = run([stopping], [outcome(1, sending[0], m.Outcome.SENT)], sending, asked=asked)
    assert results(settled) == [Result.SENT, Result.HALTED]
    assert not any(isinstance(effect, fx.Send) for effect in asked)


def test_a_late_second_outcome_changes_nothing() -> None:
    given = journey(message("send"))
    [enrolment] = run([given], [checkout(1)]).enrolments
    done = run([given], [outcome(1, enrolment, m.Outcome.SENT)], [enrolment])
    assert run([given], [outcome(2, enrolment, m.Outcome.SENT)], done.enrolments).run_segments == ()


def test_an_attribute_that_is_gone_stops_the_journey() -> None:
    def answer(effect: fx.Effect) -> fx.Answer:
        if isinstance(effect, fx.SetAttribute):
            return fx.ChangeAnswer(fx.ChangeState.REFUSED, "ATTRIBUTE_UNAVAILABLE")
        return agreeable(effect)

    given = journey(d.Node("set", d.Attribute("tier", "gold")))
    turn = run([given], [checkout(1)], answer=answer)
    assert turn.stops == {given.journey_id: "ATTRIBUTE_UNAVAILABLE"}
    assert turn.enrolments[0].state is EnrolmentState.HALTED


def test_outcomes_have_the_same_numbers_in_the_contract_in_mail_and_in_the_engine() -> None:
    contract = {
        name.removeprefix("SEND_STATE_"): number for name, number in delivery_pb2.SendState.items() if number
    }
    assert {state.name: state.value for state in fx.SendState} == contract
    assert {o.name: o.value for o in m.Outcome}.items() < contract.items()
