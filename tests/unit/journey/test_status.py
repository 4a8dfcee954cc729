"""What a journey is at an instant, and that a label which follows late changes nothing for a customer."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState, StepResult
from services.journey.domain.lifecycle import due_change
from services.journey.domain.status import accepts, status_at
from services.journey.domain.turn import TurnResult
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

S = d.JourneyStatus
TAG = d.Node("tag", d.Tags(add=("seen",)))
CLOSES = d.Schedule(NOW, NOW + minutes(10), d.ExpiryAction.CLOSE_TRIGGER)
STOPS = d.Schedule(NOW, NOW + minutes(10), d.ExpiryAction.STOP)
LABELS = {S.SCHEDULED, S.ACTIVE}
"""Those that follow each other by time."""


def published(given: d.Journey, at: datetime) -> d.Journey:
    return msgspec.structs.replace(given, published_at=at)


@pytest.mark.rule("J-01d")
@pytest.mark.parametrize("schedule", [CLOSES, STOPS, None])
@given(stored=st.sampled_from(S), seconds=st.integers(-700, 700))
def test_what_a_journey_is_does_not_depend_on_how_late_its_label_follows(
    schedule: d.Schedule | None, stored: S, seconds: int
) -> None:
    at = NOW + timedelta(seconds=seconds)
    found = status_at(stored, schedule, at)
    if stored not in {*LABELS, S.TRIGGER_CLOSED} or schedule is None:
        assert found is stored
        return
    assert status_at(found, schedule, at) is found
    if stored in LABELS:
        assert {status_at(label, schedule, at) for label in LABELS} == {found}
    labelled = journey(TAG, schedule=schedule)
    assert due_change(with_status(labelled, stored), at) in {None, found}


@pytest.mark.rule("J-01d", "J-04c")
@given(at=st.integers(-60, 700), now=st.integers(-60, 700), stops=st.booleans())
def test_who_enters_does_not_depend_on_whether_worker_or_schedule_comes_first(
    at: int, now: int, stops: bool
) -> None:
    given_journey = journey(TAG, schedule=STOPS if stops else CLOSES)
    event, clock = NOW + timedelta(seconds=at), NOW + timedelta(seconds=now)
    entered = {
        accepts(with_status(given_journey, label), event, clock)
        for label in (*LABELS, status_at(S.SCHEDULED, given_journey.definition.schedule, clock))
    }
    assert entered == {min(at, now) >= 0 and now < 600}


@pytest.mark.rule("J-01d")
def test_whoever_enters_before_the_label_has_followed_goes_on() -> None:
    given = with_status(journey(message("hello", "tag"), TAG, schedule=STOPS), S.SCHEDULED)
    [sending] = run([given], [checkout(1)]).enrolments
    turn = run([given], [outcome(1, sending, m.Outcome.SENT)], [sending])
    assert [e.state for e in turn.enrolments] == [EnrolmentState.COMPLETED]
    asleep = with_status(journey(delay("wait", 60, "tag"), TAG, schedule=STOPS), S.SCHEDULED)
    [waiting] = run([asleep], [checkout(1)]).enrolments
    assert run([asleep], [checkout(2)], [waiting]).enrolments[0].state is EnrolmentState.LIVE
    [done] = run([asleep], (), [waiting], now=NOW + minutes(1)).enrolments
    assert done.state is EnrolmentState.COMPLETED


@pytest.mark.rule("J-04c")
def test_nothing_is_asked_for_at_or_after_the_end_that_stops() -> None:
    given = journey(delay("wait", 60, "hello"), message("hello", "tag"), TAG, schedule=STOPS)
    [asleep] = run([given], [checkout(1)]).enrolments
    asked: list[fx.Effect] = []
    [halted] = run([given], (), [asleep], now=STOPS.end, asked=asked).enrolments
    assert (halted.state, asked) == (EnrolmentState.HALTED, [])
    [sending] = run([given], (), [asleep], now=STOPS.end - minutes(1), asked=asked).enrolments
    assert [effect.not_after for effect in asked if isinstance(effect, fx.Send)] == [STOPS.end]
    late = STOPS.end + minutes(90)
    turn = run([given], [outcome(1, sending, m.Outcome.SENT, late)], [sending], now=late, asked=asked)
    assert (turn.enrolments[0].state, len(asked)) == (EnrolmentState.HALTED, 1)


@pytest.mark.rule("J-04c")
@pytest.mark.parametrize("opens_after", [5, 15])
def test_a_message_may_leave_until_the_window_or_the_end_whichever_is_first(opens_after: int) -> None:
    minute = 12 * 60 + opens_after
    given = journey(message("hello"), schedule=STOPS, quiet=(d.QuietWindow(minute, minute + 60),))
    asked: list[fx.Effect] = []
    run([given], [checkout(1)], asked=asked)
    assert [e.not_after for e in asked if isinstance(e, fx.Send)] == [NOW + minutes(min(opens_after, 10))]
    closes = msgspec.structs.replace(given.definition, schedule=CLOSES)
    asked.clear()
    run([msgspec.structs.replace(given, definition=closes)], [checkout(1)], asked=asked)
    assert [e.not_after for e in asked if isinstance(e, fx.Send)] == [NOW + minutes(opens_after)]


def test_a_message_that_the_gateway_held_back_at_the_end_halts_its_customer() -> None:
    given = journey(message("hello", "tag"), TAG, schedule=STOPS)
    [sending] = run([given], [checkout(1)]).enrolments

    def back(seconds: int) -> TurnResult:
        at = STOPS.end + timedelta(seconds=seconds)
        return run([given], [outcome(1, sending, m.Outcome.DEFERRED, STOPS.end)], [sending], now=at)

    assert back(0).enrolments[0].state is EnrolmentState.HALTED
    # The gateway's clock is ahead: the customer waits for the end, and halts then.
    assert back(-1).enrolments[0].wake_at == STOPS.end


@pytest.mark.rule("J-26a")
@pytest.mark.parametrize(
    ("event", "enters"),
    [
        (NOW - timedelta(days=730), False),
        (NOW - timedelta(milliseconds=1), False),
        (NOW, True),
        (NOW + timedelta(milliseconds=400), True),
        (NOW + timedelta(hours=8), True),
    ],
)
def test_nobody_enters_by_what_occurred_before_publishing(event: datetime, enters: bool) -> None:
    given = published(journey(TAG), NOW)
    now = NOW + minutes(1)
    assert bool(run([given], [checkout(1, event)], now=now).enrolments) is enters
    assert bool(run([journey(TAG)], [checkout(1, event)], now=now).enrolments)


@pytest.mark.rule("J-26a")
def test_a_time_in_whole_seconds_is_compared_with_the_second_of_publishing() -> None:
    given = published(journey(TAG), NOW + timedelta(milliseconds=700))
    now = NOW + minutes(1)
    assert run([given], [checkout(1, NOW)], now=now).enrolments
    assert not run([given], [checkout(1, NOW - timedelta(seconds=1))], now=now).enrolments
    assert not run([given], [checkout(1, NOW + timedelta(milliseconds=500))], now=now).enrolments


@pytest.mark.rule("J-26b")
def test_a_time_to_come_starts_no_journey_before_its_start() -> None:
    later = d.Schedule(NOW + minutes(120), NOW + minutes(240), d.ExpiryAction.STOP)
    given = with_status(journey(TAG, schedule=later), S.SCHEDULED)
    assert not run([given], [checkout(1, NOW + timedelta(hours=3))]).enrolments


@pytest.mark.parametrize("wait", ["timer", "send", "again"])
def test_whoever_is_in_a_journey_that_is_gone_is_halted_and_nothing_raises(wait: str) -> None:
    given = (
        journey(delay("wait", 60, "tag"), TAG) if wait == "timer" else journey(message("hello", "tag"), TAG)
    )
    [inside] = run([given], [checkout(1)]).enrolments
    mails = [outcome(1, inside, m.Outcome.SENT)] if wait == "send" else []
    turn = run([], mails, [inside], now=NOW + minutes(2), again=wait == "again")
    assert [e.state for e in turn.enrolments] == [EnrolmentState.HALTED]
    assert (turn.journeys_used, turn.stops) == (frozenset(), {})
    results = [step.result for step in turn.run_segments[0].steps]
    assert results[-1] is StepResult.HALTED
    assert (StepResult.SENT in results) is (wait == "send")


def test_a_refused_send_lets_nobody_else_of_the_turn_walk_on_in_the_journey() -> None:
    given = journey(
        d.Node("ask", d.Condition(b"", "hello", "wait")),
        message("hello"),
        delay("wait", 60, "points"),
        d.Node("points", d.Points(5)),
    )
    verdicts = iter([False, True])

    def answer(effect: fx.Effect) -> fx.Answer:
        if isinstance(effect, fx.Send):
            return fx.SendAnswer(fx.SendState.EXHAUSTED, "LINE_CAP_REACHED")
        return fx.Verdict(next(verdicts)) if isinstance(effect, fx.EvaluateAudience) else agreeable(effect)

    [waiting] = run([given], [checkout(1)], answer=answer).enrolments
    asked: list[fx.Effect] = []
    turn = run([given], [checkout(2)], [waiting], now=NOW + timedelta(seconds=59), answer=answer, asked=asked)
    assert turn.stops == {given.journey_id: "LINE_CAP_REACHED"}
    # The timer of the first comes due behind the mail that stops the journey.
    verdicts = iter([True])
    mails = [checkout(2, NOW + timedelta(seconds=30))]
    turn = run([given], mails, [waiting], now=NOW + minutes(2), answer=answer, asked=asked)
    assert {e.state for e in turn.enrolments} == {EnrolmentState.HALTED}
    assert not any(isinstance(effect, fx.ChangePoints) for effect in asked)


def test_counts_of_journeys_that_nobody_enters_any_more_are_forgotten() -> None:
    given = journey(TAG, enrolments_per_customer_max=2)
    actor = run([given], [checkout(1)]).actor
    assert actor.entries == {given.journey_id: 1}
    assert run([given], (), actor=actor).actor.entries == {given.journey_id: 1}
    assert run([with_status(given, S.TRIGGER_CLOSED)], (), actor=actor).actor.entries == {}
    assert run([], (), actor=actor).actor.entries == {}
