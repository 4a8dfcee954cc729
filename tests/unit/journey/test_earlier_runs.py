"""A turn that follows runs which were not committed: what these did is told."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState
from services.journey.domain.matching import TeamJourneys
from services.journey.domain.turn import EarlierRun, EarlierRunError
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

GIVE = d.Node("give", d.Points(10), "after")


AFTER = d.Node("after", d.Points(1))


def lost_run(given: d.Journey, mails: list[m.Mail], *, answered: int = 1) -> EarlierRun:
    """A run that was not committed after so many effects of nodes."""
    asked: list[fx.Effect] = []
    run([given], mails, asked=asked)
    done = [effect for effect in asked if isinstance(effect, fx.ChangePoints)][:answered]
    answers = {effect.key: fx.ChangeAnswer(fx.ChangeState.APPLIED) for effect in done}
    return EarlierRun(TeamJourneys({given.journey_id: given}), answers, NOW)


def told(turn: object) -> list[tuple[str, str]]:
    return [(s.node_id, s.result.name) for segment in turn.run_segments for s in segment.steps]  # type: ignore[attr-defined]


@pytest.mark.rule("J-06e")
@pytest.mark.parametrize("becomes", [d.JourneyStatus.TRIGGER_CLOSED, d.JourneyStatus.STOPPING, None])
def test_what_was_done_is_told_though_the_journey_lets_nobody_enter_any_more(
    becomes: d.JourneyStatus | None,
) -> None:
    given = journey(GIVE, AFTER)
    earlier = lost_run(given, [checkout(1)])
    present = [with_status(given, becomes)] if becomes else []
    asked: list[fx.Effect] = []
    turn = run(present, [checkout(1)], asked=asked, earlier=[earlier])
    [enrolment] = turn.enrolments
    again = [effect.delta for effect in asked if isinstance(effect, fx.ChangePoints)]
    if becomes is d.JourneyStatus.TRIGGER_CLOSED:
        assert told(turn) == [("give", "APPLIED"), ("after", "APPLIED")]
        assert (enrolment.state, again) == (EnrolmentState.COMPLETED, [1])
    else:
        assert told(turn) == [("give", "APPLIED"), ("give", "HALTED")]
        assert (enrolment.state, again) == (EnrolmentState.HALTED, [])
    assert turn.journeys_used == frozenset(each.journey_id for each in present)


@pytest.mark.rule("J-06e")
def test_what_was_done_is_not_done_as_it_was_drawn_since_and_what_follows_is() -> None:
    given = journey(GIVE, AFTER)
    edited = journey(d.Node("give", d.Points(20), "after"), d.Node("after", d.Points(2)))
    asked: list[fx.Effect] = []
    turn = run([edited], [checkout(1)], asked=asked, earlier=[lost_run(given, [checkout(1)])])
    assert [effect.delta for effect in asked if isinstance(effect, fx.ChangePoints)] == [2]
    assert told(turn) == [("give", "APPLIED"), ("after", "APPLIED")]


@pytest.mark.rule("J-41a")
def test_what_was_done_is_told_by_the_revision_by_which_it_was_done() -> None:
    given = journey(GIVE, AFTER)
    earlier = lost_run(given, [checkout(1)])
    edited = msgspec.structs.replace(given, revision=given.revision + 1)
    by_two = run([edited], [checkout(1)], earlier=[earlier]).run_segments
    assert [each.revision for each in by_two] == [0], "give went by the one, after by the other"
    by_one = run([with_status(given, d.JourneyStatus.TRIGGER_CLOSED)], [checkout(1)], earlier=[earlier])
    assert [each.revision for each in by_one.run_segments] == [given.revision]
    assert [each.revision for each in run([edited], [checkout(1)]).run_segments] == [None]


@pytest.mark.rule("J-06e")
def test_runs_that_were_lost_one_after_the_other_are_all_told() -> None:
    given, closed = journey(GIVE, AFTER), with_status(journey(GIVE, AFTER), d.JourneyStatus.TRIGGER_CLOSED)
    first = lost_run(given, [checkout(1)])
    second = lost_run(given, [checkout(1)], answered=2)
    [key] = second.answers.keys() - first.answers.keys()
    second = EarlierRun(TeamJourneys({closed.journey_id: closed}), {key: second.answers[key]}, NOW)
    asked: list[fx.Effect] = []
    turn = run([], [checkout(1)], asked=asked, earlier=[first, second])
    assert not [effect for effect in asked if isinstance(effect, fx.ChangePoints)]
    assert told(turn) == [("give", "APPLIED"), ("after", "APPLIED"), ("after", "HALTED")]


@pytest.mark.rule("J-06e")
def test_another_journey_that_nothing_was_done_for_goes_by_what_it_is_now() -> None:
    given, other = journey(GIVE, AFTER), journey(AFTER, number=200)
    earlier = lost_run(given, [checkout(1)], answered=2)
    earlier = EarlierRun(
        TeamJourneys({each.journey_id: each for each in (given, other)}), earlier.answers, NOW
    )
    stopped = with_status(other, d.JourneyStatus.STOPPING)
    turn = run([given, stopped], [checkout(1)], earlier=[earlier])
    assert [enrolment.journey_id for enrolment in turn.enrolments] == [given.journey_id]


def test_a_send_that_was_under_way_is_asked_for_again_since_it_may_have_ended() -> None:
    given = journey(message("send", "after"), AFTER)
    asked: list[fx.Effect] = []
    run([given], [checkout(1)], asked=asked)
    [send] = [effect for effect in asked if isinstance(effect, fx.Send)]
    under_way = {send.key: fx.SendAnswer(fx.SendState.ACCEPTED)}
    earlier = EarlierRun(TeamJourneys({given.journey_id: given}), under_way, NOW)

    turn = run([given], [checkout(1)], answer=answering(fx.SendState.SENT), earlier=[earlier])
    assert [enrolment.state for enrolment in turn.enrolments] == [EnrolmentState.COMPLETED]


@pytest.mark.rule("J-06e")
def test_what_was_done_before_the_end_is_told_after_it() -> None:
    ends = d.Schedule(NOW - timedelta(days=1), NOW + timedelta(minutes=1), d.ExpiryAction.STOP)
    given = journey(GIVE, AFTER, schedule=ends)
    asked: list[fx.Effect] = []
    late = NOW + timedelta(minutes=2)
    turn = run([given], [checkout(1)], now=late, asked=asked, earlier=[lost_run(given, [checkout(1)])])
    assert told(turn) == [("give", "APPLIED"), ("give", "HALTED")]
    assert not [effect for effect in asked if isinstance(effect, fx.ChangePoints)]


@pytest.mark.rule("J-06e")
def test_nobody_rests_in_a_journey_that_was_over_before_what_was_done_is_told() -> None:
    first, given = journey(delay("wait", 60, "after"), AFTER, number=50), journey(GIVE, AFTER)
    earlier = lost_run(given, [checkout(1)])
    of_both = TeamJourneys({each.journey_id: each for each in (first, given)})
    earlier = EarlierRun(of_both, earlier.answers, NOW)
    for present in ([with_status(first, d.JourneyStatus.STOPPED), given], [given]):
        turn = run(present, [checkout(1)], earlier=[earlier])
        states = {each.journey_id: each.state for each in turn.enrolments}
        assert states[given.journey_id] is EnrolmentState.COMPLETED
        assert states[first.journey_id] is EnrolmentState.HALTED


def test_a_turn_that_does_not_come_to_what_an_earlier_one_did_says_so() -> None:
    earlier = lost_run(journey(GIVE, AFTER), [checkout(1)])
    with pytest.raises(EarlierRunError):
        run([journey(GIVE, AFTER)], [checkout(2)], earlier=[earlier])
