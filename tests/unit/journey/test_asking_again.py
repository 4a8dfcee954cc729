"""Enrolments that nothing moved ask again what they asked last."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import Enrolment, EnrolmentState, StepResult, WaitReason
from tests.unit.journey.builders import (
    NOW,
    answering,
    checkout,
    delay,
    journey,
    message,
    run,
    with_status,
)

TAG = d.Node("tag", d.Tags(add=("seen",)))


def in_flight(given: d.Journey) -> Enrolment:
    """Somebody who waits for the outcome of a send, as a turn leaves them."""
    [enrolment] = run([given], [checkout(1)]).enrolments
    assert enrolment.wait is WaitReason.SEND
    return msgspec.structs.replace(enrolment, fresh=False)


def test_who_asks_again_gets_what_became_of_the_send_and_goes_on() -> None:
    given = journey(message("hello", "tag"), TAG)
    waiting, asked = in_flight(given), list[fx.Effect]()
    turn = run([given], enrolments=[waiting], again=True, answer=answering(fx.SendState.SENT), asked=asked)
    assert [type(effect) for effect in asked] == [fx.Send, fx.ChangeTags]
    assert isinstance(asked[0], fx.Send)
    assert asked[0].key == fx.send_key(waiting)
    assert [e.state for e in turn.enrolments] == [EnrolmentState.COMPLETED]
    assert [step.result for step in turn.run_segments[0].steps] == [StepResult.SENT, StepResult.APPLIED]


def test_who_asks_again_while_the_send_is_under_way_goes_on_waiting() -> None:
    given = journey(message("hello", "tag"), TAG)
    turn = run([given], enrolments=[in_flight(given)], again=True)
    assert ([e.wait for e in turn.enrolments], turn.run_segments) == ([WaitReason.SEND], ())


def test_who_has_a_timer_or_was_moved_in_the_turn_does_not_ask_again() -> None:
    given = journey(delay("wait", 60, "hello"), message("hello"))
    [asleep] = run([given], [checkout(1)]).enrolments
    asked: list[fx.Effect] = []
    run([given], enrolments=[asleep], again=True, asked=asked)
    assert asked == []
    run([given], enrolments=[asleep], again=True, asked=asked, now=NOW + timedelta(minutes=1))
    assert len(asked) == 1


@pytest.mark.parametrize("why", ["quiet", "stopped"])
def test_a_lost_send_does_not_leave_when_it_must_not(why: str) -> None:
    given = journey(message("hello", "tag"), TAG)
    waiting = in_flight(given)
    if why == "quiet":
        given = journey(message("hello", "tag"), TAG, quiet=(d.QuietWindow(11 * 60, 13 * 60),))
    else:
        given = with_status(given, d.JourneyStatus.STOPPING)
    asked: list[fx.Effect] = []
    turn = run(
        [given], enrolments=[waiting], again=True, answer=answering(fx.SendState.DEFERRED), asked=asked
    )
    assert [effect.not_after for effect in asked if isinstance(effect, fx.Send)] == [NOW]
    [left] = turn.enrolments
    if why == "quiet":
        assert (left.wait, left.wake_at) == (WaitReason.QUIET, NOW + timedelta(hours=1))
    else:
        assert left.state is EnrolmentState.HALTED
