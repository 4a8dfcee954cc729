"""Presses of a coupon's button in the chat: claimed once, and answered there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from typing import Any

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2, delivery_pb2, webhook_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S
from tests.integration.channel_gateway.test_hooks import SECRET, Platform, line
from tests.integration.channel_gateway.test_webhooks import stored

__all__ = ["line"]
WAIT_S = 30.0


class Offer:
    """A coupon's card that was sent to somebody on LINE."""

    def __init__(self, platform: Platform, customer: str, coupon: str) -> None:
        self.gateway, self.platform = platform.gateway, platform
        self.customer, self.coupon = customer, coupon
        self.user_id = "U" + customer.replace("-", "")
        self.key = self.data = ""

    async def send(self) -> None:
        """Sends the card, and finds what its button carries."""
        card = content_pb2.CouponCard(coupon_id=self.coupon, text="Yours", button_label="Claim")
        module = content_pb2.BotModule(name="Offer", cards=[content_pb2.Card(coupon=card)])
        request = pb.CreateBotModuleRequest(
            team_id=str(self.gateway.team_id), request_id=str(new_id()), module=module
        )
        made = await self.gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)
        send = self.gateway.send(self.customer, LINE, account_id=self.platform.account_id)
        send.bot_module_id = made.module.bot_module_id
        (result,) = await self.gateway.ask(send)
        assert result.state == delivery_pb2.SEND_STATE_ACCEPTED
        await self.gateway.settled()
        self.key = send.effect_key
        (pushed,) = await self.pushed()
        self.data = pushed["template"]["actions"][0]["data"]

    async def press(self) -> None:
        """Presses the button, and waits until the webhook is worked."""
        await self.platform.tell(
            "acts", acts=[{"kind": "postback", "user_id": self.user_id, "data": self.data}]
        )
        await self.platform.heard()

    async def pushed(self) -> list[dict[str, Any]]:
        """What came to the person, in order."""
        records = await self.gateway.accepted("line")
        return [message for record in records for message in record["body"]["messages"]]

    async def answers(self, count: int) -> list[str]:
        """The texts that came, when there are so many."""
        async with asyncio.timeout(WAIT_S):
            while True:
                texts = [each["text"] for each in await self.pushed() if each["type"] == "text"]
                if len(texts) >= count:
                    return texts
                await asyncio.sleep(0.05)


@pytest.fixture
async def offer(line: Platform) -> Offer:
    """A card that Mei has got; the team has opened coupons on LINE."""
    gateway = line.gateway
    gateway.neighbours.segment.points_channels = [LINE]
    made = Offer(line, gateway.customer(line.account_id, LINE), gateway.coupon())
    gateway.neighbours.segment.people[made.user_id] = made.customer
    await made.send()
    return made


async def test_a_press_claims_and_the_code_comes_back_in_the_chat(offer: Offer) -> None:
    points = offer.gateway.neighbours.points
    points.codes[offer.key] = "ABCD2345EFGH"
    # The platform tells it twice.
    await offer.platform.aim(times=2)
    await offer.press()
    assert await offer.answers(1) == ["ABCD2345EFGH"]
    claims = {(each.coupon_id, each.customer_id, each.channel, each.offer_id) for each in points.claims}
    assert claims == {(offer.coupon, offer.customer, LINE, offer.key)}
    # Pressed again it is the same offer, which is told again.
    await offer.press()
    assert await offer.answers(2) == ["ABCD2345EFGH"] * 2
    assert {each.offer_id for each in points.claims} == {offer.key}
    assert len({each.request_id for each in points.claims}) == 2
    await offer.gateway.settled()
    assert len(await offer.answers(2)) == 2
    records = await stored(offer.gateway)
    assert {record.state for record in records} == {webhook_pb2.INBOX_STATE_RECORDED}


async def test_with_too_few_points_the_coupons_text_comes_back(offer: Offer) -> None:
    await offer.press()
    assert await offer.answers(1) == ["You have 20 points."]


async def test_a_press_waits_for_points_and_holds_up_nobody(offer: Offer) -> None:
    points = offer.gateway.neighbours.points
    points.away = True
    await offer.press()
    (record,) = await stored(offer.gateway)
    assert (record.state, points.claims) == (webhook_pb2.INBOX_STATE_RECORDED, [])
    points.away = False
    assert await offer.answers(1) == ["You have 20 points."]


async def test_a_press_that_was_answered_is_not_claimed_when_its_webhook_is_worked_again(
    offer: Offer,
) -> None:
    """There may be points enough by now, and the person has long had their answer."""
    gateway, points = offer.gateway, offer.gateway.neighbours.points
    await offer.press()
    assert await offer.answers(1) == ["You have 20 points."]
    points.codes[offer.key] = "ABCD2345EFGH"
    (record,) = await stored(gateway)
    request = pb.GetInboxRecordRequest(team_id=str(gateway.team_id), sequence=record.sequence)
    body = (await gateway.stub.GetInboxRecord(request, timeout=TIMEOUT_S)).record.body + b"\n"
    code = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    assert (await offer.platform.post(body, {"X-Line-Signature": code}))[0] == 200
    await offer.platform.heard()
    await offer.press()
    assert await offer.answers(2) == ["You have 20 points.", "ABCD2345EFGH"]
    assert len(await stored(gateway)) == 3
    assert len(points.claims) == 2
