"""Waits for what the customer writes or presses: whose it is, what it says, and when it counts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from google.protobuf import json_format

from libs.common.mailbox import mail as m
from libs.common.rpc.fields import FieldCheck
from omnijourney.journey.v1 import journey_pb2
from services.journey.convert.journeys import definition_from, definition_message
from services.journey.domain import effects as fx
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState, WaitReason
from services.journey.domain.validate import faults_of
from tests.unit.journey.builders import ACCOUNT, NOW, checkout, journey, mail, message, outcome
from tests.unit.journey.test_waits import Stay, points, wait

LATER = NOW + timedelta(minutes=5)
ANY, YES = d.ReplyEvent(), d.ReplyEvent("is", ("Yes", "好"))
PRESS = d.ReplyEvent(button=d.ButtonReply())
LINE = d.Channel.LINE


def said(number: int, text: str = "", data: str = "", key: UUID | None = None, **where: Any) -> m.Mail:
    """The customer wrote, or pressed a button."""
    at = where.pop("at", LATER)
    place: dict[str, Any] = {"channel": LINE, "account_id": ACCOUNT} | where
    return mail(number, m.ProfileChanged(m.Said(**place, text=text, button_data=data, effect_key=key)), at)


def asked(event: d.Trigger, **how: bool) -> Stay:
    """Somebody who got a message and is waiting."""
    stay = Stay(
        journey(
            message("ask", "wait"),
            wait(event, happened="yes", timed_out="no", **how),
            points("yes"),
            points("no", 2),
        )
    )
    stay.turn(checkout(1))
    return stay


def sent(stay: Stay) -> fx.Send:
    """The message."""
    [send] = [effect for effect in stay.asked if isinstance(effect, fx.Send)]
    return send


def taken(stay: Stay) -> m.Mail:
    """The message was sent."""
    return outcome(1, stay.only, m.Outcome.SENT)


def waiting(event: d.Trigger, **how: bool) -> Stay:
    """The same, after the message was sent."""
    stay = asked(event, **how)
    stay.until_waiting(taken(stay))
    assert stay.only.wait is WaitReason.EVENT
    return stay


@pytest.mark.parametrize(
    ("event", "text", "counts"),
    [
        (ANY, "whatever", True),
        (ANY, "", True),
        (YES, " ｙｅｓ ", True),
        (YES, "好", True),
        (YES, "yes please", False),
        (d.ReplyEvent("contains", ("yes",)), "oh YES please", True),
        (d.ReplyEvent("contains", ("yes",)), "no", False),
        (PRESS, "yes", False),
    ],
)
def test_a_reply_counts_by_what_it_says(event: d.Trigger, text: str, counts: bool) -> None:
    stay = waiting(event)
    stay.until_waiting(said(2, text), now=LATER)
    assert stay.points == ([1] if counts else [])


@pytest.mark.parametrize(
    ("where", "counts"),
    [({}, True), ({"account_id": UUID(int=99)}, False), ({"channel": d.Channel.WHATSAPP}, False)],
)
def test_a_reply_counts_on_a_target_of_the_journey(where: dict[str, Any], counts: bool) -> None:
    stay = waiting(ANY)
    stay.until_waiting(said(2, "yes", **where), now=LATER)
    assert stay.points == ([1] if counts else [])


@pytest.mark.parametrize(
    ("button", "counts"),
    [
        (d.ButtonReply(), True),
        (d.ButtonReply("ask"), True),
        (d.ButtonReply("ask", ("size=m", "size=l")), True),
        (d.ButtonReply("ask", ("size=l",)), False),
        (d.ButtonReply("other", ()), False),
    ],
)
def test_a_press_counts_by_the_message_and_by_its_data(button: d.ButtonReply, counts: bool) -> None:
    stay = waiting(d.ReplyEvent(button=button))
    stay.until_waiting(said(2, "M", "size=m", sent(stay).key), now=LATER)
    assert stay.points == ([1] if counts else [])


@pytest.mark.parametrize("event", [ANY, PRESS, d.ReplyEvent("is", ("M",))])
def test_a_press_of_the_message_of_another_enrolment_moves_nobody(event: d.Trigger) -> None:
    stay = waiting(event)
    # The same node of an enrolment that is over for months, as the customer finds it in the chat.
    old = fx.effect_key(UUID(int=4711), "ask", 1)
    stay.until_waiting(said(2, "M", "size=m", old), now=LATER)
    assert stay.points == []
    stay.until_waiting(said(3, "M", "size=m", sent(stay).key), now=LATER)
    assert stay.points == [1]


def test_a_button_of_no_message_is_a_reply_and_no_press_of_one() -> None:
    """As in a rich menu."""
    assert _points_of(waiting(ANY), said(2, "", "menu=1")) == [1]
    assert _points_of(waiting(PRESS), said(2, "", "menu=1")) == []


def _points_of(stay: Stay, *mails: m.Mail) -> list[int]:
    stay.until_waiting(*mails, now=LATER)
    return stay.points


def test_who_does_not_reply_in_time_goes_the_other_way() -> None:
    stay = waiting(YES)
    late = NOW + timedelta(hours=2)
    stay.until_waiting(said(2, "yes", at=late), now=late)
    assert stay.points == [2]


@pytest.mark.parametrize(("counts_earlier", "wins"), [(True, [1]), (False, [])])
def test_who_answers_before_the_outcome_of_the_message_is_known(
    counts_earlier: bool, wins: list[int]
) -> None:
    stay = asked(PRESS, counts_earlier=counts_earlier)
    send = sent(stay)
    stay.until_waiting(said(2, "", "x", send.key), now=LATER)
    stay.until_waiting(taken(stay), now=LATER)
    assert stay.points == wins


def test_what_was_said_before_the_start_counts_for_nothing() -> None:
    stay = asked(ANY, counts_earlier=True)
    stay.until_waiting(said(2, "yes", at=NOW - timedelta(minutes=1)))
    stay.until_waiting(taken(stay))
    assert stay.only.wait is WaitReason.EVENT


def test_a_reply_is_a_goal() -> None:
    stay = Stay(journey(message("ask", "rest"), d.Node("rest", d.Delay(3_600)), goal=YES))
    stay.turn(checkout(1))
    stay.until_waiting(taken(stay))
    stay.until_waiting(said(2, "no"), now=LATER)
    states = [stay.only.state]
    stay.until_waiting(said(3, "yes"), now=LATER)
    states.append(stay.only.state)
    assert states == [EnrolmentState.LIVE, EnrolmentState.CONVERTED]


def fields_of(event: d.Trigger) -> list[str]:
    """Paths of what is wrong with a wait for it."""
    return [fault.field for fault in faults_of(journey(message("ask", "wait"), wait(event)).definition)]


@pytest.mark.parametrize(
    ("event", "field"),
    [
        (d.ReplyEvent("is", ()), "text.texts"),
        (d.ReplyEvent("is", ("x",) * 101), "text.texts"),
        (d.ReplyEvent("is", (" ",)), "text.texts[0]"),
        (d.ReplyEvent("is", ("x" * 201,)), "text.texts[0]"),
        (d.ReplyEvent(button=d.ButtonReply("wait")), "button.message_node_id"),
        (d.ReplyEvent(button=d.ButtonReply("nowhere")), "button.message_node_id"),
        (d.ReplyEvent(button=d.ButtonReply("", ("x",) * 101)), "button.data"),
        (d.ReplyEvent(button=d.ButtonReply("ask", ("x" * 257,))), "button.data[0]"),
    ],
)
def test_each_fault_of_a_reply_is_told_where_it_is(event: d.Trigger, field: str) -> None:
    assert fields_of(event) == [f"nodes[1].wait.event.customer_replied.{field}"]
    assert not fields_of(YES)
    assert not fields_of(d.ReplyEvent(button=d.ButtonReply("ask", ("x",))))


@pytest.mark.parametrize("event", [ANY, YES, PRESS, d.ReplyEvent(button=d.ButtonReply("ask", ("x",)))])
def test_a_reply_reads_as_it_was_written(event: d.Trigger) -> None:
    given = journey(message("ask", "wait"), wait(event)).definition
    check = FieldCheck()
    read = definition_from(definition_message(given), check)
    assert not check.violations
    assert read.waits["wait"].event == event
    assert msgspec.json.decode(msgspec.json.encode(given), type=d.Definition) == given


def test_a_reply_starts_no_journey() -> None:
    sent = journey_pb2.Definition()
    json_format.ParseDict({"name": "Draft", "trigger": {"customer_replied": {}}}, sent)
    found = definition_from(sent, FieldCheck())
    assert "trigger.customer_replied" in [fault.field for fault in faults_of(found)]
    assert found.draft is not None
