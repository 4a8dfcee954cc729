"""What people type on WhatsApp answers the last send to them, once, for a day."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from omnijourney.channel_gateway.v1 import delivery_pb2
from tests.integration.channel_gateway.conftest import START, WHATSAPP
from tests.integration.channel_gateway.test_hooks import Platform, meta_headers, whatsapp
from tests.integration.channel_gateway.test_pages import person_of
from tests.integration.channel_gateway.test_receipts import DELIVERED, READ, steps

__all__ = ["whatsapp"]
REPLIED = delivery_pb2.RECEIPT_KIND_REPLIED


class Talk:
    """A customer, and the sends to them."""

    def __init__(self, platform: Platform, template: str) -> None:
        self.platform, self.gateway, self.template = platform, platform.gateway, template
        self.customer = self.gateway.customer(platform.account_id, WHATSAPP)
        self.person = person_of(self.gateway, self.customer)

    async def send(self) -> str:
        """A send of which WhatsApp has told; its key."""
        send = self.gateway.send(self.customer, WHATSAPP, account_id=self.platform.account_id)
        send.template.template_id = self.template
        await self.gateway.ask(send)
        await self.gateway.settled()
        await self.platform.heard()
        return send.effect_key

    async def say(self, **how: str) -> None:
        """The customer writes."""
        await self.platform.tell("inbound", wa_id=self.person, **how)
        await self.platform.heard()

    async def later(self, by: timedelta) -> None:
        """Time passes."""
        await self.platform.tell("clock", advance_seconds=by.total_seconds())
        self.gateway.clock.advance(by)

    async def receipt(self, key: str) -> int:
        """How far a send came."""
        return (await self.gateway.delivery(key)).receipt


@pytest.fixture
async def talk(whatsapp: Platform) -> Talk:
    """With money for some sends."""
    await whatsapp.aim(times=2)
    await whatsapp.gateway.top_up(10**9)
    return Talk(whatsapp, await whatsapp.gateway.template(whatsapp.account_id, parameters=0))


@pytest.mark.rule("T-05d")
async def test_what_somebody_types_answers_the_last_send_to_them_once(talk: Talk) -> None:
    await talk.say(text="hi")
    first = await talk.send()
    assert await talk.receipt(first) == DELIVERED, "what was written before answers nothing"
    await talk.later(timedelta(minutes=5))
    second = await talk.send()
    await talk.later(timedelta(hours=23, minutes=59))
    await talk.say(text="thanks")
    await talk.say(text="once more")
    assert (await talk.receipt(first), await talk.receipt(second)) == (DELIVERED, REPLIED)
    assert await steps(talk.gateway, second) == [DELIVERED, READ, REPLIED]


@pytest.mark.rule("T-05d")
async def test_after_a_day_nothing_is_answered(talk: Talk) -> None:
    key = await talk.send()
    await talk.later(timedelta(hours=24))
    await talk.say(text="hello?")
    assert await talk.receipt(key) == DELIVERED


@pytest.mark.rule("T-05d")
async def test_a_message_that_names_another_one_answers_that(talk: Talk) -> None:
    key = await talk.send()
    (message,) = await talk.gateway.accepted("whatsapp")
    await talk.say(text="no, that", answers="wamid.of-somebody")
    assert await talk.receipt(key) == DELIVERED
    await talk.say(text="yes", answers=message["id"])
    assert await talk.receipt(key) == REPLIED


@pytest.mark.rule("T-05d")
async def test_what_was_written_before_and_comes_late_answers_nothing(talk: Talk) -> None:
    await talk.later(timedelta(minutes=5))
    key = await talk.send()
    early = {
        "id": "wamid.early",
        "from": talk.person,
        "timestamp": str(int(START.timestamp())),
        "type": "text",
    }
    value = {
        "metadata": {"phone_number_id": "100000000000001"},
        "messages": [{**early, "text": {"body": "hi"}}],
    }
    entry = {"id": "9", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    assert (await talk.platform.post(body, meta_headers(body)))[0] == 200
    await talk.platform.heard()
    assert await talk.receipt(key) == DELIVERED
