"""What is wrong with waits and goals by themselves, each fault at its path."""

from __future__ import annotations

import msgspec
import pytest

from libs.common.errors import FailedPrecondition
from libs.common.rpc.fields import FieldCheck
from omnijourney.journey.v1 import journey_pb2
from services.journey.convert.journeys import definition_from, definition_message
from services.journey.domain import model as d
from services.journey.domain.edit import require_editable
from services.journey.domain.references import ReferenceKind, references_of
from services.journey.domain.validate import faults_of
from tests.unit.journey.builders import journey

TAG = d.TagTrigger(("done",))


def waiting(
    event: d.Trigger = TAG, seconds: int = 3_600, *, following: str | None = None, **how: bool
) -> d.Node:
    return d.Node("wait", d.Wait(event, seconds, None, None, **how), following)


def fields_of(*nodes: d.Node, **definition: object) -> list[str]:
    return [fault.field for fault in faults_of(journey(*nodes, **definition).definition)]  # type: ignore[arg-type]  # fields of a definition


@pytest.mark.rule("J-37a")
@pytest.mark.parametrize(
    ("node", "field"),
    [
        (waiting(seconds=0), "nodes[0].wait.timeout"),
        (waiting(seconds=90), "nodes[0].wait.timeout"),
        (waiting(seconds=365 * 86_400 + 60), "nodes[0].wait.timeout"),
        (waiting(d.SystemTriggerKind()), "nodes[0].wait.event.system"),
        (waiting(d.TagTrigger(())), "nodes[0].wait.event.tag_applied.tags"),
        (
            waiting(d.CheckoutTrigger(currency="twd")),
            "nodes[0].wait.event.checkout_completed.amount.at_most.currency_code",
        ),
        (waiting(d.ContactTrigger(), same_subject=True), "nodes[0].wait.same_subject"),
        (waiting(following="wait"), "nodes[0].next_node_id"),
        (d.Node("wait", d.Wait(TAG, 60, "nowhere", None)), "nodes[0].wait.happened"),
        (d.Node("wait", d.Wait(TAG, 60, None, "nowhere")), "nodes[0].wait.timed_out"),
    ],
)
def test_each_fault_of_a_wait_is_told_where_it_is(node: d.Node, field: str) -> None:
    assert field in fields_of(node)
    assert not fields_of(waiting())


@pytest.mark.rule("J-37c")
def test_each_fault_of_a_goal_is_told_where_it_is() -> None:
    assert fields_of(waiting(), goal=d.SystemTriggerKind()) == ["goal.event.system"]
    assert fields_of(waiting(), goal=d.TagTrigger(())) == ["goal.event.tag_applied.tags"]
    assert not fields_of(waiting(), goal=d.AttributeTrigger(("cart",)))


def test_what_starts_a_journey_has_a_subject_where_a_wait_asks_for_the_same() -> None:
    node = waiting(d.CheckoutTrigger(), same_subject=True)
    assert fields_of(node, trigger=d.ContactTrigger()) == ["nodes[0].wait.same_subject"]
    assert not fields_of(node, trigger=d.AttributeTrigger(("cart",)))


def test_what_is_missing_keeps_it_a_draft() -> None:
    sent = journey_pb2.Definition(name="Draft")
    sent.nodes.add(node_id="wait").wait.timeout.seconds = 60
    sent.goal.SetInParent()
    check = FieldCheck()
    read = definition_from(sent, check)
    assert read.draft is not None
    assert {path for path, _ in read.draft.gaps} == {
        *("goal.event", "nodes[0].wait.event", "nodes[0].wait.happened", "nodes[0].wait.timed_out"),
    }
    assert not check.violations


def test_waits_and_goals_come_back_as_they_were_sent() -> None:
    given = journey(
        d.Node("wait", d.Wait(d.CheckoutTrigger(at_least=1, currency="TWD"), 60, None, "on", True, True)),
        d.Node("on", d.Wait(d.AttributeTrigger(("a", "b"), ("x",)), 120, None, None)),
        goal=TAG,
    ).definition
    check = FieldCheck()
    assert definition_from(definition_message(given), check) == given


def test_events_of_waits_and_goals_are_things_that_the_journey_names() -> None:
    given = journey(waiting(d.AttributeTrigger(("tier",))), goal=d.TagTrigger(("VIP",))).definition
    named = {(each.kind, each.thing): each.fields for each in references_of(given, lambda _: None)}  # type: ignore[arg-type,return-value]  # there are no audiences
    assert named[ReferenceKind.ATTRIBUTE, "tier"] == ("nodes[0].wait.event.attribute_changed.keys[0]",)
    assert named[ReferenceKind.TAG, "vip"] == ("goal.event.tag_applied.tags[0]",)


def test_a_live_journey_keeps_its_ways_and_subjects_and_may_change_the_rest() -> None:
    live = journey(waiting(d.CheckoutTrigger()), trigger=d.AttributeTrigger(("cart",)))

    def edited(node: d.Node, **changes: object) -> d.Definition:
        return msgspec.structs.replace(live.definition, nodes=(node,), **changes)

    require_editable(live, edited(waiting(TAG, 7_200, counts_earlier=True), goal=TAG))
    for node in (waiting(d.CheckoutTrigger(), same_subject=True), d.Node("wait", d.Delay(60))):
        with pytest.raises(FailedPrecondition):
            require_editable(live, edited(node))
