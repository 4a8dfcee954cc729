"""What becomes of those who wait for an outcome that an operator drops."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import msgspec
import pytest

from libs.common.mailbox import mail as m
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState, WaitReason
from services.journey.domain.parked import Drop, dropping_turn, halted_by_drop
from tests.unit.journey.builders import CUSTOMER, NOW, TEAM, checkout, journey, message, outcome, run

LATER = NOW + timedelta(hours=1)


@pytest.mark.rule("J-37c")
@pytest.mark.parametrize(
    ("reached_goal", "ends_as"), [(True, EnrolmentState.CONVERTED), (False, EnrolmentState.HALTED)]
)
def test_who_has_reached_the_goal_has_converted_though_the_outcome_is_dropped(
    reached_goal: bool, ends_as: EnrolmentState
) -> None:
    goal = d.CheckoutTrigger(at_least=100_000_000)
    asks = journey(message("hello"), goal=goal)
    started = run([asks], [checkout(1)])
    (waiting,) = started.enrolments
    assert waiting.wait is WaitReason.SEND
    if reached_goal:
        met = run(
            [asks], [checkout(2, LATER, amount_micros=100_000_000)], [waiting], actor=started.actor, now=LATER
        )
        waiting = next(each for each in met.enrolments if each.enrolment_id == waiting.enrolment_id)
        assert waiting.state is EnrolmentState.LIVE, "what became of the message is awaited"
    dropped = outcome(1, waiting, m.Outcome.SENT, LATER)
    (segment,) = told = halted_by_drop([waiting], [dropped], LATER)
    drop = Drop(TEAM, CUSTOMER, m.MailSource.GATEWAY, 1, UUID(int=9), "operator")
    turn = dropping_turn(started.actor, [waiting], drop, told)
    assert (segment.state, turn.enrolments[0].state) == (ends_as, ends_as)
    assert turn.enrolments[0] == msgspec.structs.replace(
        waiting, state=ends_as, wait=WaitReason.NONE, wake_at=None
    )
