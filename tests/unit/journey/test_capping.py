"""The team's frequency cap as journeys meet it: what a capped message does, and who goes first."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from libs.common.frequency import FrequencyRule
from libs.common.mailbox import mail as m
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.common.v1 import channel_pb2
from omnijourney.internal.v1 import send_pb2
from omnijourney.journey.v1 import journey_pb2, node_pb2
from services.journey.convert.effects import send_answer, send_message
from services.journey.convert.journeys import definition_from, definition_message
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.engine import FREQUENCY_CAP_REACHED
from services.journey.domain.enrolment import EnrolmentState, StepResult, WaitReason
from services.journey.domain.matching import journeys_by_id
from services.journey.domain.validate import faults_of
from tests.unit.journey.builders import MODULE, NOW, agreeable, checkout, delay, journey, mail, message, run
from tests.unit.journey.test_simulation import HOUR, customer, simulate, tree

ROOM = NOW + timedelta(hours=5)
WAITING = d.Node("say", d.Message(d.Channel.LINE, MODULE, capped_action=d.CappedAction.WAIT))


def capped(effect: fx.Effect) -> fx.Answer:
    """The gateway has no room until `ROOM`."""
    if isinstance(effect, fx.Send):
        return fx.SendAnswer(fx.SendState.DEFERRED, FREQUENCY_CAP_REACHED, ROOM)
    return agreeable(effect)


def sends(asked: list[fx.Effect]) -> list[fx.Send]:
    return [effect for effect in asked if isinstance(effect, fx.Send)]


def test_a_node_says_whether_its_message_waits_for_room() -> None:
    asked: list[fx.Effect] = []
    run([journey(WAITING)], [checkout(1)], asked=asked)
    run([journey(message("say"))], [checkout(1)], asked=asked)
    assert [send_message(send).waits_for_room for send in sends(asked)] == [True, False]


def test_who_waits_for_room_asks_again_then_under_the_same_key() -> None:
    asked: list[fx.Effect] = []
    given = journey(WAITING)
    (waiting,) = run([given], [checkout(1)], answer=capped, asked=asked).enrolments
    assert (waiting.wait, waiting.wake_at) == (WaitReason.QUIET, ROOM)
    again = run([given], (), [waiting], now=ROOM, asked=asked)
    assert again.enrolments[0].wait is WaitReason.SEND
    first, second = sends(asked)
    assert first.key == second.key


def test_the_wait_is_told_with_its_reason() -> None:
    turn = run([journey(WAITING)], [checkout(1)], answer=capped)
    (step,) = turn.run_segments[0].steps
    assert (step.result, step.detail) == (StepResult.DEFERRED, FREQUENCY_CAP_REACHED)


@pytest.mark.parametrize("listens", [False, True])
def test_who_waits_for_room_asks_at_its_time_alone_whatever_mail_comes_after_windows_were_drawn_anew(
    listens: bool,
) -> None:
    goal = d.TagTrigger(("never",)) if listens else None
    given = msgspec.structs.replace(journey(WAITING, goal=goal), stop_epoch=1, recall_epoch=1)
    asked: list[fx.Effect] = []
    (waiting,) = run([given], [checkout(1)], answer=capped, asked=asked).enrolments
    for number in range(2, 12):
        news = mail(number, m.TagRemoved("new"))
        for changed in run([given], [news], [waiting], answer=capped, asked=asked).enrolments:
            waiting = changed
    assert (len(sends(asked)), waiting.wake_at) == (1, ROOM)
    (waiting,) = run([given], (), [waiting], now=ROOM, answer=agreeable, asked=asked).enrolments
    if listens:
        (waiting,) = run([given], (), [waiting], now=ROOM, asked=asked).enrolments
    assert (len(sends(asked)), waiting.wait) == (2, WaitReason.SEND)


def test_who_waited_for_room_and_rests_for_quiet_time_then_looks_when_windows_are_drawn_anew() -> None:
    given = journey(WAITING, quiet=(d.QuietWindow(16 * 60, 19 * 60),))
    (waiting,) = run([given], [checkout(1)], answer=capped).enrolments
    (resting,) = run([given], (), [waiting], now=ROOM).enrolments
    assert (resting.wait, resting.memory) == (WaitReason.QUIET, None)
    drawn = msgspec.structs.replace(journey(WAITING), stop_epoch=1, recall_epoch=1)
    (sending,) = run([drawn], (), [resting], now=ROOM + timedelta(minutes=1)).enrolments
    assert sending.wait is WaitReason.SEND


def test_room_that_opens_in_quiet_time_is_taken_when_that_ends() -> None:
    given = journey(WAITING, quiet=(d.QuietWindow(16 * 60, 19 * 60),))
    (waiting,) = run([given], [checkout(1)], answer=capped).enrolments
    asked: list[fx.Effect] = []
    quiet = run([given], (), [waiting], now=ROOM, asked=asked)
    assert (quiet.enrolments[0].wake_at, asked) == (NOW + timedelta(hours=7), [])


def test_a_turn_whose_clock_is_ahead_of_the_gateways_does_not_ask_without_end() -> None:
    asked: list[fx.Effect] = []

    def behind(effect: fx.Effect) -> fx.Answer:
        return fx.SendAnswer(fx.SendState.DEFERRED, FREQUENCY_CAP_REACHED, NOW - timedelta(milliseconds=5))

    (waiting,) = run([journey(WAITING)], [checkout(1)], answer=behind, asked=asked).enrolments
    assert len(sends(asked)) == 1
    assert waiting.wake_at is not None
    assert waiting.wake_at > NOW


def test_nobody_waits_for_room_in_a_journey_that_stops() -> None:
    ends = d.Schedule(NOW - timedelta(days=1), ROOM, d.ExpiryAction.STOP)
    given = journey(WAITING, schedule=ends)
    (waiting,) = run([given], [checkout(1)], answer=capped).enrolments
    halted = run([given], (), [waiting], now=ROOM)
    assert halted.enrolments[0].state is EnrolmentState.HALTED


def test_a_skipped_message_lets_its_customer_go_on() -> None:
    def skipped(effect: fx.Effect) -> fx.Answer:
        if isinstance(effect, fx.Send):
            return fx.SendAnswer(fx.SendState.SKIPPED, FREQUENCY_CAP_REACHED)
        return agreeable(effect)

    turn = run([journey(message("say"))], [checkout(1)], answer=skipped)
    assert turn.enrolments[0].state is EnrolmentState.COMPLETED
    (step,) = turn.run_segments[0].steps
    assert (step.result, step.detail) == (StepResult.SKIPPED, FREQUENCY_CAP_REACHED)


def asked_by(asked: list[fx.Effect]) -> list[int]:
    return [send.journey_id.int for send in sends(asked)]


def test_of_journeys_that_one_event_starts_the_higher_asks_first() -> None:
    journeys = [
        journey(message("say"), number=number, priority=priority)
        for number, priority in ((1, -5), (2, 0), (3, 100), (4, 0))
    ]
    asked: list[fx.Effect] = []
    run(list(journeys_by_id(journeys).values()), [checkout(1)], asked=asked)
    assert asked_by(asked) == [3, 2, 4, 1]


def test_of_those_who_wait_for_the_same_moment_the_higher_asks_first_and_the_earlier_before_all() -> None:
    priorities = (0, 7, -4, 3, 100, -100, 20)
    same = [
        journey(delay("wait", 120, "say"), message("say"), number=number, priority=priority)
        for number, priority in enumerate(priorities, start=1)
    ]
    earlier = journey(delay("wait", 60, "say"), message("say"), number=50, priority=-1)
    waiting = run([*same, earlier], [checkout(1)]).enrolments
    asked: list[fx.Effect] = []
    run([*same, earlier], (), waiting, now=NOW + timedelta(minutes=2), asked=asked)
    assert asked_by(asked) == [50, 5, 7, 2, 4, 1, 3, 6]


def test_the_contract_leads_to_the_domain_and_back() -> None:
    for action in (
        node_pb2.CAPPED_ACTION_SKIP,
        node_pb2.CAPPED_ACTION_WAIT,
        node_pb2.CAPPED_ACTION_UNSPECIFIED,
    ):
        said = node_pb2.MessageNode(
            channel=channel_pb2.CHANNEL_LINE, bot_module_id=str(MODULE), capped_action=action
        )
        sent = journey_pb2.Definition(
            name="x", priority=-7, nodes=[node_pb2.Node(node_id="say", message=said)]
        )
        sent.trigger.system.SetInParent()
        definition = definition_from(sent, FieldCheck())
        assert definition.draft is None
        assert definition_message(definition) == sent


def test_room_is_read_from_the_gateways_answer() -> None:
    result = send_pb2.SendResult(
        state=delivery_pb2.SEND_STATE_DEFERRED, reason=FREQUENCY_CAP_REACHED, room_time=timestamp(ROOM)
    )
    assert send_answer(result) == fx.SendAnswer(fx.SendState.DEFERRED, FREQUENCY_CAP_REACHED, ROOM)


@pytest.mark.parametrize(("priority", "faults"), [(-101, 1), (-100, 0), (100, 0), (101, 1)])
def test_a_priority_has_bounds(priority: int, faults: int) -> None:
    found = faults_of(journey(message("say"), priority=priority).definition)
    assert [fault.field for fault in found] == ["priority"] * faults


def test_a_simulation_reckons_with_the_cap() -> None:
    rules = (FrequencyRule(0, 1, timedelta(hours=3)),)
    times = (NOW, NOW + HOUR, NOW + 3 * HOUR)
    skipping = msgspec.structs.replace(tree(message("say")), frequency=rules)
    tally = simulate(skipping, [customer(1, *times)]).tally
    assert (tally.sends.total(), tally.completed, tally.deferred) == (2, 3, {})
    waiting = msgspec.structs.replace(tree(WAITING), frequency=rules)
    tally = simulate(waiting, [customer(1, *times)]).tally
    assert (tally.sends.total(), tally.completed) == (3, 3)
    assert sorted(hour for _, hour in tally.sends) == [NOW, NOW + 3 * HOUR, NOW + 6 * HOUR]
    assert tally.deferred["say"] >= 2


def test_the_outcome_of_a_send_is_never_taken_for_a_wait_for_room() -> None:
    given = journey(WAITING)
    (sending,) = run([given], [checkout(1)]).enrolments
    body = m.SendOutcome(fx.send_key(sending), sending.enrolment_id, m.Outcome.SENT, "", NOW, 1)
    mail = msgspec.structs.replace(checkout(1, source=m.MailSource.GATEWAY), body=body)
    assert run([given], [mail], [sending]).enrolments[0].state is EnrolmentState.COMPLETED
