"""What a trigger of the API brings is said by the messages of its enrolment, whatever lies between."""

from __future__ import annotations

import pytest

from libs.common.ids import new_id
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.journey.v1 import enrolment_pb2, node_pb2, trigger_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from tests.integration.journey.whole_site import LINE, WHATSAPP, refusal
from tests.integration.whole_path.stage import SYSTEM, Stage, node, quiet, says, waits

pytestmark = pytest.mark.asyncio(loop_scope="package")

DATA = {"code": "A7", "item": "{{customer.name}} 烏龍", "none": ""}
TEXT = "{{trigger.code|no code}} {{trigger.item}} {{trigger.none|-}}{{trigger.other|?}}"
SAID = "A7 {{customer.name}} 烏龍 -?"


def item(journey_id: str, customer: str, **data: str) -> pb.SystemTriggerItem:
    return pb.SystemTriggerItem(
        request_id=str(new_id()), journey_id=journey_id, customer_id=customer, data=data
    )


@pytest.mark.rule("J-24a", "C-10a")
async def test_messages_say_what_the_trigger_brought_to_each_their_own(stage: Stage) -> None:
    await stage.at_hour(21)
    content = node_pb2.TemplateContent(
        template_id=await stage.template("told", 2),
        parameters=["{{trigger.code|none}}", "{{trigger.item|x}}"],
    )
    journey_id = await stage.live(
        says("now", await stage.module(TEXT), "sleep"),
        waits("sleep", "quiet", hours=1),
        says("quiet", await stage.module(f"again {TEXT}"), "template"),
        node("template", message=node_pb2.MessageNode(channel=WHATSAPP, template=content)),
        targets=stage.targets(LINE, WHATSAPP),
        do_not_disturb=quiet((22, 23)),
    )
    told, other, bare = await stage.customers(3, LINE, WHATSAPP)
    items = [item(journey_id, told, **DATA), item(journey_id, other, code="B8"), item(journey_id, bare)]
    results = (await stage.call("TriggerJourneys", items=items)).results
    assert [each.accepted for each in results] == [True] * 3
    assert await stage.until_texts(1, told) == [SAID]
    await stage.until_waiting(journey_id, enrolment_pb2.WAIT_REASON_DELAY, 3)
    # An edit in between, then quiet time: both messages are of later turns.
    await stage.edit(journey_id, name="Edited")
    await stage.at_hour(22)
    await stage.until_waiting(journey_id, enrolment_pb2.WAIT_REASON_QUIET, 3)
    [live] = [each for each in await stage.enrolments(journey_id) if each.customer_id == told]
    explained = await stage.call("ExplainEnrolment", enrolment_id=live.enrolment_id)
    assert dict(explained.trigger_data) == DATA
    await stage.at_hour(23)
    await stage.until_done(journey_id, 3)
    assert await stage.texts(told) == [SAID, f"again {SAID}"]
    assert await stage.texts(other) == ["B8  -?", "again B8  -?"]
    assert await stage.texts(bare) == ["no code  -?", "again no code  -?"]
    [sent] = await stage.accepted(WHATSAPP, told)
    [body] = sent["body"]["template"]["components"]
    assert [each["text"] for each in body["parameters"]] == ["A7", DATA["item"]]
    entry = await stage.call(
        "ExplainCustomer", journey_id=journey_id, customer_id=told, event_id=items[0].request_id
    )
    assert dict(entry.entries[0].trigger_data) == DATA


@pytest.mark.rule("J-11b")
async def test_only_a_journey_that_the_api_starts_may_name_data_of_its_trigger(stage: Stage) -> None:
    content = node_pb2.TemplateContent(
        template_id=await stage.template("told"), parameters=["{{trigger.code|x}}"]
    )
    nodes = (
        says("a", await stage.module("{{trigger.code}}"), "b"),
        node("b", message=node_pb2.MessageNode(channel=WHATSAPP, template=content)),
    )
    targets = stage.targets(LINE, WHATSAPP)
    tagged = trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=["VIP"]))
    drafted = await stage.draft(*nodes, targets=targets, trigger=tagged)
    told = await refusal(stage.call("PublishJourney", journey_id=drafted))
    assert {fault.field for fault in told.violations} == {
        "nodes[0].message.bot_module_id",
        "nodes[1].message.template.parameters[0]",
    }
    assert all("{{trigger.code}}" in fault.description for fault in told.violations)
    validated = await stage.call("ValidateJourney", journey_id=drafted)
    assert {fault.reason for fault in validated.faults} == {error_reason_pb2.ERROR_REASON_TRIGGER_MISMATCH}
    sound = await stage.draft(*nodes, targets=targets, trigger=SYSTEM)
    assert not (await stage.call("ValidateJourney", journey_id=sound)).faults
