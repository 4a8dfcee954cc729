"""Quiet time in the customer's own zone: when it is asked for, what follows, and what a definition may say of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn
from uuid import UUID

import msgspec
import pytest

from libs.common.audience.expressions import AttributeType, BasicField
from libs.common.rpc.fields import FieldCheck
from omnijourney.internal.v1 import profile_pb2
from omnijourney.journey.v1 import journey_pb2
from services.journey.convert.effects import zone_from
from services.journey.convert.journeys import definition_from, definition_message
from services.journey.domain import effects as fx
from services.journey.domain import gate
from services.journey.domain import model as d
from services.journey.domain.enrolment import EnrolmentState, WaitReason
from services.journey.domain.references import ReferenceKind, references_of
from services.journey.domain.simulated_customer import Standing
from services.journey.domain.validate import faults_of
from tests.unit.journey.builders import NOW, Answerer, agreeable, checkout, delay, journey, message, run

NIGHT = (d.QuietWindow(22 * 60, 8 * 60),)
OWN: dict[str, Any] = {"quiet": NIGHT, "quiet_zone": d.QuietZone.CUSTOMER}
TAIPEI = "Asia/Taipei"
IN_TAIPEI = datetime(2026, 3, 4, 12, tzinfo=UTC)
"""20:00 there."""


def answering(*zones: str) -> Answerer:
    """Zones by turns, the last for good."""
    left = list(zones)

    def answer(effect: fx.Effect) -> fx.Answer:
        if isinstance(effect, fx.FindZone):
            return fx.Zone(left.pop(0) if len(left) > 1 else left[0])
        return agreeable(effect)

    return answer


def kinds(asked: list[fx.Effect]) -> list[type]:
    return [type(effect) for effect in asked if not isinstance(effect, fx.EarnPoints)]


@pytest.mark.parametrize(
    ("zone", "sends"), [(TAIPEI, True), ("Asia/Kolkata", True), ("Pacific/Auckland", False), ("", True)]
)
def test_a_message_leaves_or_waits_by_the_clock_of_its_customer(zone: str, sends: bool) -> None:
    asked: list[fx.Effect] = []
    turn = run([journey(message("say"), **OWN)], [checkout(1)], answer=answering(zone), asked=asked)
    assert (fx.Send in kinds(asked)) is sends
    assert (turn.enrolments[0].wait is WaitReason.SEND) is sends


def test_where_no_zone_is_known_the_windows_are_of_the_team() -> None:
    given = msgspec.structs.replace(journey(message("say"), **OWN), zone="Pacific/Auckland")
    turn = run([given], [checkout(1)], answer=answering(""))
    assert turn.enrolments[0].wait is WaitReason.QUIET


def test_the_send_names_the_start_of_the_next_window_by_the_same_clock() -> None:
    asked: list[fx.Effect] = []
    run([journey(message("say"), **OWN)], [checkout(1)], answer=answering(TAIPEI), asked=asked)
    (send,) = (effect for effect in asked if isinstance(effect, fx.Send))
    assert send.not_after == IN_TAIPEI + timedelta(hours=2)


def test_who_has_moved_while_they_waited_is_left_alone_by_their_new_clock() -> None:
    given = journey(message("say"), **OWN)
    first = run([given], [checkout(1)], answer=answering("Pacific/Auckland"))
    (waiting,) = first.enrolments
    assert waiting.wake_at == datetime(2026, 3, 4, 19, tzinfo=UTC), "08:00 there"
    moved = run([given], (), [waiting], now=waiting.wake_at, answer=answering(TAIPEI))
    assert moved.enrolments[0].wake_at == datetime(2026, 3, 5, 0, tzinfo=UTC), "08:00 in Taipei"


def test_a_deferred_send_waits_until_the_window_ends_by_the_clock_of_its_customer() -> None:
    seen = datetime(2026, 3, 4, 14, 5, tzinfo=UTC)

    def answer(effect: fx.Effect) -> fx.Answer:
        if isinstance(effect, fx.FindZone):
            return fx.Zone(TAIPEI)
        return (
            fx.SendAnswer(fx.SendState.DEFERRED, at=seen)
            if isinstance(effect, fx.Send)
            else agreeable(effect)
        )

    turn = run([journey(message("say"), **OWN)], [checkout(1)], answer=answer)
    assert turn.enrolments[0].wake_at == datetime(2026, 3, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "definition",
    [
        {},
        {"quiet": NIGHT},
        {"quiet_zone": d.QuietZone.CUSTOMER},
        {"quiet": NIGHT, "quiet_zone": d.QuietZone.TEAM},
    ],
)
def test_nobody_is_asked_where_quiet_time_does_not_depend_on_the_customer(
    definition: dict[str, Any],
) -> None:
    asked: list[fx.Effect] = []
    run([journey(message("say"), **definition)], [checkout(1)], asked=asked)
    assert kinds(asked) == [fx.Send]


def test_nobody_is_asked_about_who_halts() -> None:
    given = journey(delay("wait", 60), **OWN)
    (waiting,) = run([given], [checkout(1)], answer=answering("")).enrolments
    asked: list[fx.Effect] = []
    stopped = msgspec.structs.replace(given, status=d.JourneyStatus.STOPPING)
    assert run([stopped], (), [waiting], asked=asked).enrolments[0].state is EnrolmentState.HALTED
    assert not asked


def test_a_node_that_sets_the_zone_moves_the_customer_at_once() -> None:
    nodes = (d.Node("move", d.Attribute("zone", "Pacific/Auckland"), "say"), message("say"))
    asked: list[fx.Effect] = []
    turn = run(
        [journey(*nodes, zone_attribute_key="zone", **OWN)],
        [checkout(1)],
        answer=answering(TAIPEI, "Pacific/Auckland"),
        asked=asked,
    )
    assert kinds(asked) == [fx.FindZone, fx.SetAttribute, fx.FindZone]
    assert turn.enrolments[0].wait is WaitReason.QUIET


def test_a_node_that_sets_another_attribute_asks_for_no_zone() -> None:
    nodes = (d.Node("set", d.Attribute("tier", "gold"), "say"), message("say"))
    asked: list[fx.Effect] = []
    given = journey(*nodes, zone_attribute_key="zone", **OWN)
    run([given], [checkout(1)], answer=answering(TAIPEI), asked=asked)
    assert kinds(asked) == [fx.FindZone, fx.SetAttribute, fx.Send]


FIND = fx.FindZone(UUID(int=1), UUID(int=2), "zone", NOW)


@pytest.mark.parametrize(
    ("attribute", "phone", "zone"),
    [
        ("Asia/Tokyo", "+886912345678", "Asia/Tokyo"),
        (" asia/tokyo ", "", "Asia/Tokyo"),
        ("Atlantis", "+886912345678", TAIPEI),
        ("", "+886912345678", TAIPEI),
        ("", "", ""),
    ],
)
def test_the_attribute_comes_before_the_phone(attribute: str, phone: str, zone: str) -> None:
    profile = profile_pb2.Profile(phone=phone, attributes={"zone": attribute} if attribute else {})
    assert zone_from(FIND, profile) == fx.Zone(zone)
    standing = Standing(
        basics={BasicField.PHONE: phone} if phone else {}, values={"zone": attribute} if attribute else {}
    )
    assert standing.zone(FIND) == fx.Zone(zone), "as a simulation sees it"


def test_without_a_key_no_attribute_is_looked_at() -> None:
    profile = profile_pb2.Profile(phone="+819012345678", attributes={"": TAIPEI, "zone": TAIPEI})
    assert zone_from(msgspec.structs.replace(FIND, attribute=""), profile) == fx.Zone("Asia/Tokyo")


@pytest.mark.parametrize(
    ("definition", "path"),
    [
        ({"zone_attribute_key": "zone"}, "do_not_disturb.zone_attribute_key"),
        ({"zone_attribute_key": "zone", "quiet_zone": d.QuietZone.TEAM}, "do_not_disturb.zone_attribute_key"),
        (
            {"zone_attribute_key": "my zone", "quiet_zone": d.QuietZone.CUSTOMER},
            "do_not_disturb.zone_attribute_key",
        ),
    ],
)
def test_a_key_that_is_none_or_of_no_use_is_a_fault(definition: dict[str, Any], path: str) -> None:
    assert [fault.field for fault in faults_of(journey(message("say"), **definition).definition)] == [path]


def test_the_attribute_is_referred_to_and_has_to_be_a_text() -> None:
    definition = journey(message("say"), zone_attribute_key="zone", **OWN).definition

    def nothing(_: bytes) -> NoReturn:
        raise AssertionError

    found = references_of(definition, nothing)
    assert (ReferenceKind.ATTRIBUTE, "zone", ("do_not_disturb.zone_attribute_key",)) in [
        (each.kind, each.thing, each.fields) for each in found
    ]
    named = gate.named_by(definition, nothing)
    assert "zone" in named.attribute_keys
    for attributes, faults in (
        ({"zone": gate.KnownAttribute(AttributeType.TEXT, archived=False)}, 0),
        ({"zone": gate.KnownAttribute(AttributeType.TEXT, archived=True)}, 1),
        ({"zone": gate.KnownAttribute(AttributeType.NUMBER, archived=False)}, 1),
        ({}, 1),
    ):
        traits = gate.Traits(
            known=True,
            modules=frozenset(gate.Module),
            points_channels=frozenset(),
            attributes=attributes,
            audiences=(),
        )
        found_faults = gate.judged(
            definition, named, [gate.AccountAnswer((), ())], [gate.MessageAnswer()], traits
        ).faults
        paths = [fault.field for fault in found_faults]
        assert paths == ["do_not_disturb.zone_attribute_key"] * faults


@pytest.mark.parametrize("zone", [journey_pb2.QUIET_ZONE_TEAM, journey_pb2.QUIET_ZONE_CUSTOMER])
def test_the_contract_leads_to_the_domain_and_back(zone: journey_pb2.QuietZone.ValueType) -> None:
    sent = journey_pb2.Definition(name="x")
    sent.trigger.system.SetInParent()
    sent.do_not_disturb.zone = zone
    sent.do_not_disturb.zone_attribute_key = "zone"
    definition = definition_from(sent, FieldCheck())
    assert (definition.quiet_zone, definition.zone_attribute_key) == (d.QuietZone(zone), "zone")
    assert definition_message(definition) == sent
