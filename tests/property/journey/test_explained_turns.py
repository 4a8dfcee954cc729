"""Whatever a turn did with an event is told later from what is kept, and nothing else is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.acting import take_turn
from services.journey.domain.explain import (
    DroppedMail,
    EntryResult,
    Explained,
    Kept,
    StatusChange,
    explain,
)
from services.journey.domain.matching import journeys_by_id
from services.journey.domain.plan import TeamPlan
from services.journey.domain.status import status_at
from services.journey.domain.turn import Actor, TurnInput
from services.journey.domain.views import StoredEnrolment
from tests.unit.journey.builders import CUSTOMER, NOW, TEAM, checkout, delay, journey, run

S, R = d.JourneyStatus, EntryResult
PUBLISHED = NOW - timedelta(seconds=100)


def at(seconds: int) -> datetime:
    return PUBLISHED + timedelta(seconds=seconds)


def kept_of(given_journey: d.Journey, changes: list[StatusChange], **known: Any) -> Kept:
    """What is kept of a customer who was never here."""
    given: dict[str, Any] = {
        "taken": {},
        "parked_at": None,
        "dropped": (),
        "enrolments": {},
        "entries": 0,
        "now": NOW,
    }
    return Kept(given_journey, changes, **{**given, **known})


def opened(given_journey: d.Journey) -> tuple[d.Journey, list[StatusChange]]:
    """The journey as it was published, and what is kept of that."""
    status = status_at(S.ACTIVE, given_journey.definition.schedule, PUBLISHED)
    published = msgspec.structs.replace(given_journey, status=status, published_at=PUBLISHED)
    return published, [StatusChange(PUBLISHED, S.DRAFT, status, d.StatusReason.NONE)]


_seconds = st.integers(-50, 150)
_schedules = st.none() | st.builds(
    lambda start, length, expiry: d.Schedule(at(start), at(start + length), expiry),
    st.integers(-20, 60),
    st.integers(1, 120),
    st.sampled_from(d.ExpiryAction),
)
_closings = st.none() | st.tuples(
    st.integers(1, 140),
    st.sampled_from(
        [
            (S.TRIGGER_CLOSED, d.StatusReason.NONE),
            (S.TRIGGER_CLOSED, d.StatusReason.PLAN_TRIGGER_LIMIT),
            (S.STOPPING, d.StatusReason.NONE),
        ]
    ),
)


class Case(NamedTuple):
    """An event, what the customer and the journey were, and when it was worked; seconds count from the publishing."""

    schedule: d.Schedule | None
    closing: tuple[int, tuple[d.JourneyStatus, d.StatusReason]] | None
    occurred: int
    worked: int
    depth: int
    entered: int
    limit: int | None
    amount: int

    def mail(self) -> m.Mail:
        """The event: an order, which cannot be worked before it is there."""
        order = checkout(1, at(min(self.occurred, self.worked)), amount_micros=self.amount * 1_000_000)
        return msgspec.structs.replace(order, depth=self.depth)

    def journeys(self) -> tuple[d.Journey, d.Journey, list[StatusChange]]:
        """The journey as it was when the event was worked, as it is, and what is kept of its life."""
        live, changes = opened(
            journey(
                delay("wait", 10**7),
                schedule=self.schedule,
                enrolments_per_customer_max=self.limit,
                trigger=d.CheckoutTrigger(at_least=10_000_000),
            )
        )
        draft = msgspec.structs.replace(live, status=S.DRAFT, published_at=None)
        at_turn = live if self.worked >= 0 else draft
        if self.closing is None or status_at(live.status, self.schedule, at(self.closing[0])) not in d.OPEN:
            return at_turn, live, changes
        second, (status, reason) = self.closing
        closed = msgspec.structs.replace(live, status=status, reason=reason, updated_at=at(second))
        changes.append(StatusChange(at(second), live.status, status, reason))
        return closed if self.worked >= second else at_turn, closed, changes


cases = st.builds(
    Case,
    _schedules,
    _closings,
    _seconds,
    _seconds,
    st.sampled_from([0, 17]),
    st.integers(0, 2),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([5, 25]),
)


@pytest.mark.rule("J-41b")
@given(cases)
def test_what_the_turn_did_is_what_is_told(case: Case) -> None:
    mail, (at_turn, live, changes) = case.mail(), case.journeys()
    entries = {live.journey_id: min(case.entered, case.limit or 0)}
    turn = run([at_turn], [mail], now=at(case.worked), actor=Actor(TEAM, CUSTOMER, {}, entries))
    enrolments = {each.enrolment_id: StoredEnrolment(each, NOW) for each in turn.enrolments}
    kept = kept_of(
        live,
        changes,
        taken={1: 1},
        enrolments=enrolments,
        entries=entries[live.journey_id] + len(enrolments),
        now=at(200),
    )
    told = explain(kept, mail).why
    event(told.result.name)
    assert told.message
    if enrolments:
        assert told.result is R.ENROLLED
        return
    assert told.result in {R.NOT_MATCHED, R.REFUSED, R.NOT_LIVE, R.TOO_OLD}
    for refusal in turn.refusals:
        assert (told.result, told.reason) == (R.REFUSED, refusal.reason.name)
    assert (told.result is R.NOT_MATCHED) == (case.amount < 10 and min(case.occurred, case.worked) >= 0)
    if case.worked >= 0:
        assert "was published, or dropped" not in told.message


def told_of(mail: m.Mail, kept: Kept) -> Explained:
    return explain(kept, mail)


@pytest.mark.rule("J-41b")
def test_mail_that_waits_was_dropped_or_is_of_a_customer_set_aside_is_told_so() -> None:
    live, changes = opened(journey(delay("wait", 60)))
    mail = checkout(3, NOW)
    waiting = kept_of(live, changes, taken={1: 2})
    assert told_of(mail, waiting).why.result is R.PENDING
    parked = told_of(mail, kept_of(live, changes, taken={1: 2}, parked_at=NOW)).why
    assert (parked.result, "set aside" in parked.message) == (R.PENDING, True)
    drops = (DroppedMail(m.MailSource.GATEWAY, 0, 9, NOW), DroppedMail(m.MailSource.SEGMENT, 2, 3, NOW))
    assert told_of(mail, kept_of(live, changes, taken={1: 3}, dropped=drops)).why.result is R.DROPPED
    of_others = told_of(mail, kept_of(live, changes, taken={1: 3}, dropped=drops[:1])).why
    assert of_others.result is R.NOT_LIVE


@pytest.mark.rule("J-41b", "J-07h")
def test_what_the_plan_had_no_place_for_is_told_by_the_plan() -> None:
    live, changes = opened(journey(delay("wait", 60)))
    mail = checkout(1, NOW)
    journeys = journeys_by_id([live])
    journeys.plan = TeamPlan("UTC", 1)
    turn = take_turn(TurnInput(Actor(TEAM, CUSTOMER, {}, {}), (), [mail], journeys, NOW))
    assert isinstance(next(turn), fx.EarnPoints)
    assert isinstance(turn.send(fx.ChangeAnswer(fx.ChangeState.APPLIED)), fx.TakePlace)
    with pytest.raises(StopIteration) as done:
        turn.send(fx.Place(taken=False))
    [refusal] = done.value.value.refusals
    changes.append(StatusChange(NOW, live.status, S.TRIGGER_CLOSED, d.StatusReason.PLAN_TRIGGER_LIMIT))
    closed = msgspec.structs.replace(live, status=S.TRIGGER_CLOSED)
    told = told_of(mail, kept_of(closed, changes, taken={1: 1})).why
    assert (told.result, told.reason) == (R.REFUSED, refusal.reason.name)


@pytest.mark.rule("J-41b")
def test_a_draft_a_closed_journey_and_one_that_ended_say_since_when() -> None:
    mail = checkout(1, NOW)
    draft = msgspec.structs.replace(journey(delay("wait", 60)), status=S.DRAFT)
    assert told_of(mail, kept_of(draft, [])).why.result is R.NOT_LIVE
    live, changes = opened(journey(delay("wait", 60)))
    changes.append(StatusChange(at(50), live.status, S.TRIGGER_CLOSED, d.StatusReason.NONE))
    told = told_of(mail, kept_of(live, changes, taken={1: 1})).why
    assert (told.result, told.field, told.value) == (R.NOT_LIVE, "", "TRIGGER_CLOSED")
    assert at(50).isoformat(timespec="milliseconds")[:19] in told.message
    ends = d.Schedule(at(-10), at(60), d.ExpiryAction.STOP)
    over, changes = opened(journey(delay("wait", 60), schedule=ends))
    told = told_of(mail, kept_of(over, changes, taken={1: 1})).why
    assert (told.result, told.field, told.value) == (R.NOT_LIVE, "schedule.end_time", "STOPPING")
