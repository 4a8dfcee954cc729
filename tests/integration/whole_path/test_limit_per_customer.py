"""However many come at once, and by whatever way: a customer is so often in a journey and no more (J-13)."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.ids import new_id
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import trigger_pb2
from omnijourney.segment.v1 import audience_pb2, customer_pb2
from services.journey.domain.turn import RefusalReason
from tests.integration.journey.whole_site import LINE
from tests.integration.whole_path.stage import SYSTEM, Stage, until, waits

pytestmark = pytest.mark.asyncio(loop_scope="package")

TIMES = 6
MOST = 2
BOUGHT = trigger_pb2.Trigger(checkout_completed=trigger_pb2.CheckoutCompleted())
JOINED = trigger_pb2.Trigger(contact_added=trigger_pb2.ContactAdded())
TAGGED = trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=[f"t{n}" for n in range(TIMES)]))
CHANGED = trigger_pb2.Trigger(attribute_changed=trigger_pb2.AttributeChanged(keys=["size"]))


class Crowd:
    """All that one customer does, at once."""

    def __init__(self, stage: Stage, customer_id: str) -> None:
        self.stage = stage
        self.customer_id = customer_id

    def key(self) -> customer_pb2.IdentityKey:
        return customer_pb2.IdentityKey(
            channel=channel_pb2.CHANNEL_LINE,
            account_id=self.stage.accounts[LINE],
            external_id=f"U{new_id().hex}",
        )

    async def buys(self, number: int) -> None:
        if number % 2:
            await self.stage.order(self.customer_id)
        else:
            await self.stage.order_by_webhook("M-1")

    async def joins(self, _: int) -> None:
        await self.stage.call("BindIdentity", customer_id=self.customer_id, identity=self.key())

    async def is_tagged(self, number: int) -> None:
        await self.stage.call("ChangeCustomerTags", customer_id=self.customer_id, add=[f"t{number}"])

    async def changes(self, number: int) -> None:
        values = {"size": str(number)}
        await self.stage.call("SetCustomerAttributes", customer_id=self.customer_id, values=values)


@pytest.mark.rule("J-13a", "J-13b")
async def test_a_customer_is_so_often_in_a_journey_whatever_comes_at_once(stage: Stage) -> None:
    await stage.site.attribute("size")
    customer_id = await stage.customer(member_id="M-1")
    # The shop and its key are there before many orders come at once.
    await stage.order_by_webhook("M-2")
    most = {"enrolments_per_customer_max": MOST}
    crowd = Crowd(stage, customer_id)
    ways = {
        await stage.live(waits("wait", days=1), trigger=trigger, **most): way
        for trigger, way in (
            (BOUGHT, crowd.buys),
            (JOINED, crowd.joins),
            (TAGGED, crowd.is_tagged),
            (CHANGED, crowd.changes),
        )
    }
    asked = await stage.live(waits("wait", days=1), trigger=SYSTEM, **most)
    everybody = audience_pb2.TagPredicate(operator=audience_pb2.TAG_OPERATOR_NONE_OF, tags=["nobody's"])
    audience = audience_pb2.SavedAudience(name="all", audience=audience_pb2.Audience(tags=everybody))
    saved = (
        await stage.call("CreateSavedAudience", saved_audience=audience)
    ).saved_audience.saved_audience_id
    await asyncio.gather(
        *(way(number) for way in ways.values() for number in range(TIMES)),
        *(stage.trigger(asked, customer_id, customer_id) for _ in range(TIMES // 2)),
        stage.call("TriggerAudience", journey_id=asked, audience_id=saved),
    )
    for journey_id in (*ways, asked):
        refused = TIMES - MOST

        async def are_refused(journey_id: str = journey_id, refused: int = refused) -> bool:
            of_customer = [
                each
                for each in await stage.refusals(journey_id)
                if each.reason == RefusalReason.CUSTOMER_LIMIT
            ]
            return len(of_customer) >= refused

        await until(are_refused)
        entered = [each for each in await stage.enrolments(journey_id) if each.customer_id == customer_id]
        assert len(entered) == MOST, journey_id
