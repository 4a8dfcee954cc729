"""Drafts that are not whole: saved as they were sent, with what they lack."""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from libs.common.rpc.fields import FieldCheck
from omnijourney.common.v1 import channel_pb2, money_pb2
from omnijourney.journey.v1 import journey_pb2, node_pb2, trigger_pb2
from services.journey.convert.journeys import DEFINITION_BYTES_MAX, definition_from, definition_message
from services.journey.domain import model as d
from services.journey.domain.validate import faults_of
from services.journey.store import codec

LINE = channel_pb2.CHANNEL_LINE
END = node_pb2.Branch(end=node_pb2.EndOfJourney())
GAPS: dict[str, tuple[journey_pb2.Definition, str]] = {
    "a message without channel": (
        journey_pb2.Definition(nodes=[node_pb2.Node(node_id="m", message=node_pb2.MessageNode())]),
        "nodes[0].message.channel",
    ),
    "a template that is not chosen": (
        journey_pb2.Definition(
            nodes=[
                node_pb2.Node(
                    node_id="m",
                    message=node_pb2.MessageNode(
                        channel=channel_pb2.CHANNEL_WHATSAPP,
                        template=node_pb2.TemplateContent(parameters=["{{customer.name}}"]),
                    ),
                )
            ]
        ),
        "nodes[0].message.template.template_id",
    ),
    "a branch that is not drawn": (
        journey_pb2.Definition(nodes=[node_pb2.Node(node_id="c", condition=node_pb2.ConditionNode(yes=END))]),
        "nodes[0].condition.no",
    ),
    "a delay of less than a second": (
        journey_pb2.Definition(
            nodes=[node_pb2.Node(node_id="d", delay=node_pb2.DelayNode(delay=Duration(nanos=1)))]
        ),
        "nodes[0].delay",
    ),
    "points of which nothing is said": (
        journey_pb2.Definition(nodes=[node_pb2.Node(node_id="p", points=node_pb2.PointsNode())]),
        "nodes[0].points",
    ),
    "points to be deducted, not said how many": (
        journey_pb2.Definition(nodes=[node_pb2.Node(node_id="p", points=node_pb2.PointsNode(deduct=0))]),
        "nodes[0].points",
    ),
    "a schedule without expiry": (
        journey_pb2.Definition(
            schedule=journey_pb2.Schedule(start_time=Timestamp(seconds=1), end_time=Timestamp(seconds=2))
        ),
        "schedule.expiry_action",
    ),
    "a schedule without times": (
        journey_pb2.Definition(schedule=journey_pb2.Schedule(expiry_action=journey_pb2.EXPIRY_ACTION_STOP)),
        "schedule.end_time",
    ),
    "a target without channel": (
        journey_pb2.Definition(
            targets=[journey_pb2.Target(), journey_pb2.Target(channel=LINE, message_cap=0)]
        ),
        "targets[0].channel",
    ),
    "a trigger of no kind": (journey_pb2.Definition(trigger=trigger_pb2.Trigger()), "trigger"),
    "names without comparison": (
        journey_pb2.Definition(
            trigger=trigger_pb2.Trigger(
                checkout_completed=trigger_pb2.CheckoutCompleted(
                    item=trigger_pb2.ItemCondition(names=["Tea"])
                )
            )
        ),
        "trigger.checkout_completed.item.match",
    ),
    "two currencies": (
        journey_pb2.Definition(
            trigger=trigger_pb2.Trigger(
                checkout_completed=trigger_pb2.CheckoutCompleted(
                    amount=trigger_pb2.AmountCondition(
                        at_least=money_pb2.Money(currency_code="TWD"),
                        at_most=money_pb2.Money(currency_code="HKD"),
                    )
                )
            )
        ),
        "trigger.checkout_completed.amount",
    ),
    "a condition on no value": (
        journey_pb2.Definition(
            trigger=trigger_pb2.Trigger(
                attribute_changed=trigger_pb2.AttributeChanged(
                    keys=["tier"], value=trigger_pb2.ValueCondition()
                )
            )
        ),
        "trigger.attribute_changed.value.any_of",
    ),
}


@pytest.mark.parametrize("case", GAPS)
def test_a_draft_with_gaps_is_kept_as_it_was_sent_and_cannot_be_live(case: str) -> None:
    sent, gap = GAPS[case]
    sent.name = "Draft"
    check = FieldCheck()
    definition = definition_from(sent, check)
    assert check.violations == []
    stored = codec.read_definition(codec.definition_text(definition))
    assert definition_message(stored) == sent
    fields = [fault.field for fault in faults_of(stored)]
    assert gap in fields
    assert len(fields) == len(set(fields)), "a gap is told once"


def test_what_is_whole_is_no_draft_with_gaps() -> None:
    sent = journey_pb2.Definition(
        name="Whole", nodes=[node_pb2.Node(node_id="x", tags=node_pb2.TagsNode(add=["a"]))]
    )
    assert definition_from(sent, FieldCheck()).draft is None


def test_a_target_is_told_by_its_place_also_after_one_without_channel() -> None:
    sent, _ = GAPS["a target without channel"]
    definition = definition_from(sent, FieldCheck())
    fields = {fault.field for fault in faults_of(definition)}
    assert {"targets[0].channel", "targets[1].account_id", "targets[1].message_cap"} <= fields


def test_what_is_wrong_by_itself_or_too_large_is_no_gap() -> None:
    check = FieldCheck()
    definition_from(
        journey_pb2.Definition(name="x", targets=[journey_pb2.Target(channel=LINE, account_id="no id")]),
        check,
    )
    assert [fault.field for fault in check.violations] == ["targets[0].account_id"]
    check = FieldCheck()
    tags = node_pb2.TagsNode(add=["x" * (DEFINITION_BYTES_MAX // 10)] * 10)
    definition_from(journey_pb2.Definition(name="x", nodes=[node_pb2.Node(node_id="x", tags=tags)]), check)
    assert [fault.field for fault in check.violations] == ["definition"]


def test_tags_and_names_of_items_are_read_as_segment_keeps_them() -> None:
    """Else a trigger would wait for what no customer ever has."""
    tags = node_pb2.TagsNode(add=["V\u200bIP "], remove=["\u3000old\u2060"])
    node = node_pb2.Node(node_id="n", tags=tags)
    for trigger, read in (
        ({"tag_applied": {"tags": [" V\u2060IP"]}}, d.TagTrigger(("VIP",))),
        (
            {"checkout_completed": {"item": {"match": 1, "names": ["Tea\u00a0"]}}},
            d.CheckoutTrigger("is", ("Tea",)),
        ),
        (
            {"checkout_completed": {"item": {"match": 2, "names": [" Tea "]}}},
            d.CheckoutTrigger("contains", (" Tea ",)),
        ),
    ):
        sent = ParseDict({"name": "x", "trigger": trigger}, journey_pb2.Definition(nodes=[node]))
        definition = definition_from(sent, FieldCheck())
        assert definition.trigger == read
        assert definition.nodes[0].action == d.Tags(("VIP",), ("old",))
