"""What customers do while they are inside, by shops' webhooks and segment's events: goals, waits and carts."""

from __future__ import annotations

import pytest

from libs.common.ids import new_id
from omnijourney.journey.v1 import enrolment_pb2, journey_pb2, node_pb2, trigger_pb2
from tests.integration.whole_path.stage import Stage, node, says, until, waits

pytestmark = pytest.mark.asyncio(loop_scope="package")

DELAY, EVENT = enrolment_pb2.WAIT_REASON_DELAY, enrolment_pb2.WAIT_REASON_EVENT
BOUGHT = trigger_pb2.Trigger(checkout_completed=trigger_pb2.CheckoutCompleted())
END = node_pb2.Branch(end=node_pb2.EndOfJourney())


@pytest.mark.rule("J-37c")
async def test_a_checkout_that_is_the_goal_ends_it_at_once_and_is_counted_apart(stage: Stage) -> None:
    module_id = await stage.module("Still looking?")
    journey_id = await stage.live(
        waits("wait", "ask", hours=1), says("ask", module_id), goal=journey_pb2.Goal(event=BOUGHT)
    )
    buyer, other = await stage.customers(2)
    await stage.trigger(journey_id, buyer, other)
    await stage.until_waiting(journey_id, DELAY, 2)
    await stage.order(buyer)

    async def has_converted() -> bool:
        return int((await stage.call("CountEnrolments", journey_id=journey_id)).converted_count) == 1

    await until(has_converted)
    states = {each.customer_id: each.state for each in await stage.enrolments(journey_id)}
    assert states == {
        buyer: enrolment_pb2.ENROLMENT_STATE_CONVERTED,
        other: enrolment_pb2.ENROLMENT_STATE_LIVE,
    }
    await stage.site.advance(hours=1)
    await stage.until_done(journey_id)
    counted = await stage.call("CountEnrolments", journey_id=journey_id)
    assert (counted.converted_count, counted.completed_count, counted.live_count) == (1, 1, 0)
    assert (await stage.texts(buyer), await stage.texts(other)) == ([], ["Still looking?"])
    assert await stage.steps(journey_id, buyer) == ["wait DELAY_STARTED", "wait GOAL_REACHED"]


@pytest.mark.rule("J-37a", "J-37b")
async def test_who_orders_the_cart_by_the_shops_webhook_or_its_page_is_not_reminded_of_it(
    stage: Stage,
) -> None:
    await stage.site.attribute("cart")
    module_id = await stage.module("Your cart")
    wait = node_pb2.WaitNode(
        event=BOUGHT, happened=END, timed_out=node_pb2.Branch(node_id="remind"), same_subject=True
    )
    wait.timeout.FromSeconds(3_600)
    put = trigger_pb2.Trigger(attribute_changed=trigger_pb2.AttributeChanged(keys=["cart"]))
    journey_id = await stage.live(node("ordered", wait=wait), says("remind", module_id), trigger=put)
    members = [str(new_id()) for _ in range(4)]
    buyer, other, viewer, stranger = [await stage.customer(member_id=each) for each in members]
    for number, customer in enumerate((buyer, other, viewer, stranger)):
        await stage.call("SetCustomerAttributes", customer_id=customer, values={"cart": f"c-{number}"})
    await stage.until_waiting(journey_id, EVENT, 4)
    await stage.order_by_webhook(members[0], cart_id="c-0")
    await stage.order_by_webhook(members[1], cart_id="c-0")
    await stage.order_by_page(members[2], cart_id="c-2")
    await stage.order_by_page(members[3], cart_id="c-2")
    await stage.until_done(journey_id, 2)
    await stage.site.advance(hours=1)
    await stage.until_done(journey_id, 4)
    found = [await stage.texts(each) for each in (buyer, other, viewer, stranger)]
    assert found == [[], ["Your cart"], [], ["Your cart"]]
    for each in (buyer, viewer):
        assert (await stage.steps(journey_id, each))[-1] == "ordered HAPPENED"
    assert "ordered TIMED_OUT" in await stage.steps(journey_id, other)
