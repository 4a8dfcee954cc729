"""Enrolments that people end: where the customer stands, once, and nothing of what was done is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import Enrolment, EnrolmentState, StepResult, WaitReason
from services.journey.domain.matching import journeys_by_id
from services.journey.domain.parked import ending_turn
from services.journey.domain.turn import Actor, EarlierRun, TurnResult
from tests.unit.journey.builders import (
    CUSTOMER,
    NOW,
    TEAM,
    agreeable,
    checkout,
    delay,
    journey,
    mail,
    message,
    minutes,
    outcome,
    run,
)

Result, State = StepResult, EnrolmentState
SLEEPER = journey(delay("wait", 3600, "hello"), message("hello"))
SENDER = journey(message("hello", "more"), message("more"))


def ends(enrolment: Enrolment, at: datetime = NOW, number: int = 1) -> m.Mail:
    body = m.SystemTrigger(UUID(int=0), UUID(int=7), m.End(enrolment.enrolment_id, "she asked us to"))
    return mail(number, body, at, source=m.MailSource.JOURNEY)


def entered(given: d.Journey) -> Enrolment:
    [enrolment] = run([given], [checkout(1)]).enrolments
    return enrolment


def told(turn: TurnResult) -> list[tuple[StepResult, str, str]]:
    return [(step.result, step.detail, step.seen) for segment in turn.run_segments for step in segment.steps]


ENDED = (Result.HALTED, "ENROLMENT_ENDED", "she asked us to")


@pytest.mark.parametrize(
    "given",
    [
        SLEEPER,
        journey(d.Node("wait", d.Wait(d.TagTrigger(("done",)), 3600, "hello", "hello")), message("hello")),
        journey(message("hello"), quiet=(d.QuietWindow(0, 0),)),
    ],
    ids=["a delay", "an event", "quiet time"],
)
def test_who_waits_for_a_time_is_ended_where_they_stand(given: d.Journey) -> None:
    stands = entered(given)
    asked: list[fx.Effect] = []
    turn = run([given], [ends(stands)], [stands], asked=asked)
    [ended] = turn.enrolments
    assert (ended.state, ended.node_id, ended.wait, ended.wake_at) == (
        State.HALTED,
        stands.node_id,
        WaitReason.NONE,
        None,
    )
    assert (told(turn), turn.wake_at, asked) == ([ENDED], None, [])


def test_only_the_enrolment_that_is_named_is_ended() -> None:
    other = journey(delay("wait", 7200), number=101)
    stands, goes_on = entered(SLEEPER), entered(other)
    turn = run([SLEEPER, other], [ends(stands)], [stands, goes_on])
    assert [each.enrolment_id for each in turn.enrolments] == [stands.enrolment_id]
    assert turn.wake_at == goes_on.wake_at


@pytest.mark.parametrize(
    ("state", "last"),
    [
        (m.Outcome.SENT, (Result.SENT, "", "")),
        (m.Outcome.CANCELLED, (Result.CANCELLED, "", "")),
        (m.Outcome.DEFERRED, (Result.SKIPPED, "ENROLMENT_ENDED", "")),
        (m.Outcome.FAILED, (Result.FAILED, "", "")),
    ],
)
def test_a_message_that_is_with_the_gateway_is_awaited_and_is_the_last(
    state: m.Outcome, last: tuple[StepResult, str, str]
) -> None:
    stands = entered(SENDER)
    marked = run([SENDER], [ends(stands)], [stands])
    [waits] = marked.enrolments
    assert (waits.state, waits.wait, told(marked)) == (State.LIVE, WaitReason.SEND, [ENDED])
    asked: list[fx.Effect] = []
    over = run([SENDER], [outcome(1, waits, state)], [waits], asked=asked)
    assert (over.enrolments[0].state, told(over), asked) == (State.HALTED, [last], [])


def test_a_lost_message_of_who_was_ended_is_asked_for_without_time_to_leave() -> None:
    stands = entered(SENDER)
    [waits] = run([SENDER], [ends(stands)], [stands]).enrolments
    asked: list[fx.Effect] = []
    run([SENDER], (), [waits], asked=asked, again=True)
    [send] = asked
    assert isinstance(send, fx.Send)
    assert send.not_after == NOW


def test_a_second_wish_and_one_for_who_has_ended_change_nothing() -> None:
    stands = entered(SENDER)
    [waits] = run([SENDER], [ends(stands)], [stands]).enrolments
    assert told(run([SENDER], [ends(waits, number=2)], [waits])) == []
    nobody = run([SLEEPER], [ends(entered(SLEEPER))])
    assert (nobody.enrolments, nobody.run_segments, nobody.actor.taken) == (
        (),
        (),
        {m.MailSource.JOURNEY: 1},
    )


def test_the_goal_is_not_reached_by_who_was_ended_before() -> None:
    given = journey(message("hello"), goal=d.TagTrigger(("done",)))
    stands = entered(given)
    [waits] = run([given], [ends(stands)], [stands]).enrolments
    later = run([given], [mail(2, m.TagApplied("done"), NOW + minutes(1))], [waits], now=NOW + minutes(1))
    assert told(later) == []


def test_timers_that_were_due_before_the_wish_fire_before_it() -> None:
    stands = entered(SLEEPER)
    at = NOW + timedelta(hours=2)
    turn = run([SLEEPER], [ends(stands, at)], [stands], now=at)
    assert [result for result, *_ in told(turn)] == [
        Result.DELAY_ENDED,
        Result.SEND_REQUESTED,
        Result.HALTED,
    ]


def test_what_a_run_did_that_was_lost_is_told_before_the_wish_is_heard() -> None:
    stands, due = entered(SLEEPER), NOW + timedelta(hours=1)
    asked: list[fx.Effect] = []
    run([SLEEPER], (), [stands], now=due, asked=asked)
    done = {effect.key: agreeable(effect) for effect in asked if isinstance(effect, fx.Send)}
    lost = EarlierRun(journeys_by_id([SLEEPER]), done, due)
    # It was mailed a moment before the timer was due, and reached the mailbox after that run.
    wish = ends(stands, due - minutes(1))
    turn = run([SLEEPER], [wish], [stands], now=due, earlier=[lost])
    assert [result for result, *_ in told(turn)] == [
        Result.DELAY_ENDED,
        Result.SEND_REQUESTED,
        Result.HALTED,
    ]


@pytest.mark.parametrize(("given", "left"), [(SLEEPER, State.HALTED), (SENDER, State.LIVE)])
def test_of_a_customer_who_is_set_aside_it_is_a_turn_without_mail(
    given: d.Journey, left: EnrolmentState
) -> None:
    stands, other = entered(given), entered(journey(delay("wait", 60), number=101))
    actor = Actor(TEAM, CUSTOMER, {m.MailSource.SEGMENT: 1}, {UUID(int=100): 1})
    everybody: Sequence[Enrolment] = [stands, other]
    turn = ending_turn(actor, everybody, stands.enrolment_id, "she asked us to", NOW)
    assert turn is not None
    assert (turn.actor, turn.wake_at, turn.sending) == (actor, other.wake_at, given is SENDER)
    assert ([each.state for each in turn.enrolments], told(turn)) == ([left], [ENDED])
    assert ending_turn(actor, [other], stands.enrolment_id, "", NOW) is None
