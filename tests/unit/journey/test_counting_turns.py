"""Turns that only count their mail come to what any turn would; and mail finds the journeys that wait for it."""

from __future__ import annotations

from typing import Final, get_args

import pytest

from libs.common.mailbox import mail as m
from services.journey.domain import acting
from services.journey.domain import model as d
from services.journey.domain.enrolment import Enrolment, EnrolmentState
from services.journey.domain.matching import TeamJourneys
from services.journey.domain.turn import Actor, TurnResult
from tests.unit.journey.builders import ACCOUNT, CUSTOMER, NOW, TEAM, journey, mail, minutes, run, with_status

TAG: Final = d.Node("tag", d.Tags(add=("seen",)))
TAG_WAITED_FOR: Final = journey(TAG, trigger=d.TagTrigger(("vip",)))
STOPPED: Final = with_status(
    journey(TAG, number=101, trigger=d.AttributeTrigger(("step",))), d.JourneyStatus.STOPPED
)
NEWS: Final = (
    m.AttributeChanged("step", 1, "3", "4"),
    m.ContactAdded(1, ACCOUNT),
    m.TagRemoved("vip"),
    m.ProfileChanged(),
)


def run_with(bodies: tuple[m.Body, ...]) -> TurnResult:
    mails = [mail(8 + place, body, NOW - minutes(9 - place)) for place, body in enumerate(bodies)]
    entries = {TAG_WAITED_FOR.journey_id: 2, STOPPED.journey_id: 3}
    actor = Actor(TEAM, CUSTOMER, {m.MailSource.SEGMENT: 7, m.MailSource.GATEWAY: 3}, entries)
    return run([TAG_WAITED_FOR, STOPPED], mails, actor=actor)


@pytest.mark.parametrize("bodies", [(), *((body,) for body in NEWS), NEWS])
def test_a_turn_that_only_counts_comes_to_what_any_turn_would(
    bodies: tuple[m.Body, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = run_with(bodies)
    monkeypatch.setattr(acting, "_only_counts", lambda _: False)
    assert counted == run_with(bodies)
    assert counted.actor.taken[m.MailSource.SEGMENT] == 7 + len(bodies)
    assert counted.actor.entries == {TAG_WAITED_FOR.journey_id: 2}


@pytest.mark.parametrize("first", [0, 1])
def test_one_mail_that_is_waited_for_among_others_is_no_counting(first: int) -> None:
    applied, removed = m.TagApplied("vip"), m.TagRemoved("vip")
    assert run_with((applied, removed) if first == 0 else (removed, applied)).enrolments


def test_who_is_inside_a_journey_is_never_only_counted() -> None:
    inside = Enrolment(TEAM, STOPPED.journey_id, TEAM, CUSTOMER, TEAM, 0, NOW, wake_at=NOW + minutes(1))
    (halted,) = run([STOPPED], [mail(1, NEWS[0])], [inside]).enrolments
    assert halted.state is EnrolmentState.HALTED


def test_every_trigger_waits_for_one_kind_of_mail() -> None:
    triggers = [d.CheckoutTrigger(), d.ContactTrigger(), d.TagTrigger(("a",)), d.AttributeTrigger(("b",))]
    triggers.append(d.SystemTriggerKind())
    assert [*map(type, triggers), d.ReplyEvent] == list(get_args(d.Trigger)), "replies start no journey"
    for trigger in triggers:
        waiting = journey(TAG, trigger=trigger)
        found = TeamJourneys({waiting.journey_id: waiting})
        assert sum(len(found.started_by(kind)) for kind in get_args(m.Body)) == 1
