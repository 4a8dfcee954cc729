"""Messages on channels with and without a key, and sends of several messages, when answers and processes fail."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from omnijourney.journey.v1 import enrolment_pb2, node_pb2
from tests.integration.journey.whole_site import LINE, WHATSAPP
from tests.integration.whole_path.stage import NAMES, Stage, node, quiet, says, until

pytestmark = pytest.mark.asyncio(loop_scope="package")

QUIET = enrolment_pb2.WAIT_REASON_QUIET
TWO_REQUESTS = ("1", "2", "3", "4", "5", "6", "7")
"""LINE takes five messages a request."""


def _windows_measured(channel: int) -> float:
    name = "omnijourney_gateway_unrecorded_seconds_count"
    return REGISTRY.get_sample_value(name, {"channel": NAMES[channel].upper()}) or 0.0


async def _sends(stage: Stage, channel: int) -> node_pb2.Node:
    if channel == LINE:
        return says("hello", await stage.module("Hello"), "after")
    content = node_pb2.TemplateContent(template_id=await stage.template("once"), parameters=["Mei"])
    return node("hello", "after", message=node_pb2.MessageNode(channel=WHATSAPP, template=content))


@pytest.mark.rule("J-36b")
@pytest.mark.parametrize(("channel", "known"), [(LINE, "SENT"), (WHATSAPP, "UNKNOWN NO_ANSWER")])
async def test_a_message_whose_answer_is_lost_came_once_and_is_unknown_only_without_a_key(
    stage: Stage, channel: int, known: str
) -> None:
    journey_id = await stage.live(
        await _sends(stage, channel),
        node("after", tags=node_pb2.TagsNode(add=["told"])),
        targets=stage.targets(channel),
    )
    lost, heard = await stage.customers(2, channel)
    recipient = (await stage.person(lost)).identities[0].key.external_id
    measured = _windows_measured(channel)
    await stage.emulator(
        "post", channel, "faults", {"kind": "reset_after", "count": 1, "recipient": recipient}
    )
    await stage.trigger(journey_id, lost, heard)
    await stage.until_done(journey_id, 2)
    assert (await stage.steps(journey_id, lost))[1:] == [f"hello {known}", "after APPLIED"]
    assert (await stage.steps(journey_id, heard))[1:] == ["hello SENT", "after APPLIED"]
    await stage.site.advance(hours=25)
    for customer in (lost, heard):
        assert len(await stage.accepted(channel, customer)) == 1
    assert _windows_measured(channel) - measured == (2 if channel == WHATSAPP else 0)


@pytest.mark.rule("J-36c")
@pytest.mark.parametrize("meanwhile", ["refused", "quiet"])
async def test_of_a_send_of_several_requests_none_that_left_leaves_again(
    stage: Stage, meanwhile: str
) -> None:
    await stage.at_hour(21)
    journey_id = await stage.live(
        says("hello", await stage.module(*TWO_REQUESTS)), do_not_disturb=quiet((22, 23))
    )
    customer = await stage.customer()
    count = 2 if meanwhile == "refused" else None
    await stage.emulator("post", LINE, "faults", {"kind": "rate", "skip": 1, "count": count})
    try:
        await stage.trigger(journey_id, customer)
        await stage.until_texts(5, customer)
        if meanwhile == "quiet":
            await stage.at_hour(22)
            await stage.until_waiting(journey_id, QUIET)
            await stage.emulator("delete", LINE, "faults", None)
            await stage.at_hour(23)
        await stage.until_done(journey_id)
    finally:
        await stage.emulator("delete", LINE, "faults", None)
    assert await stage.texts(customer) == list(TWO_REQUESTS)
    assert (await stage.steps(journey_id, customer))[-1] == "hello SENT"


@pytest.mark.rule("J-36c")
async def test_a_send_of_two_messages_that_quiet_hours_cut_in_two_goes_on_without_the_first(
    stage: Stage,
) -> None:
    await stage.at_hour(21)
    journey_id = await stage.live(
        says("hello", await stage.module("FIRST", "SECOND"), channel=WHATSAPP),
        targets=stage.targets(WHATSAPP),
        do_not_disturb=quiet((22, 23)),
    )
    (customer,) = await stage.customers(1, WHATSAPP)
    recipient = (await stage.person(customer)).identities[0].key.external_id
    await stage.emulator("post", WHATSAPP, "inbound", {"wa_id": recipient})
    await stage.emulator(
        "post", WHATSAPP, "faults", {"kind": "rate", "skip": 1, "count": None, "recipient": recipient}
    )

    async def came() -> list[str]:
        return [record["body"]["text"]["body"] for record in await stage.accepted(WHATSAPP, customer)]

    async def has_begun() -> bool:
        return await came() == ["FIRST"]

    try:
        await stage.trigger(journey_id, customer)
        await until(has_begun)
        await stage.at_hour(22)
        await stage.until_waiting(journey_id, QUIET)
    finally:
        await stage.emulator("delete", WHATSAPP, "faults", None)
    await stage.at_hour(23)
    await stage.until_done(journey_id)
    assert await came() == ["FIRST", "SECOND"]
    assert (await stage.steps(journey_id, customer))[-1] == "hello SENT"
