"""What journeys change is told to the addresses that subscribed."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.journey.v1 import node_pb2
from tests.integration.whole_path.stage import WAIT_S, Stage, node

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.rule("J-34d", "C-40a")
async def test_an_attribute_that_a_journey_sets_is_told_once_and_signed(stage: Stage) -> None:
    came: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        came.put_nowait((dict(request.headers), await request.read()))
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/hook", take)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        await stage.site.attribute("tier")
        customer = await stage.customer()
        made = await stage.call(
            "CreateWebhookSubscription",
            subscription=webhook_pb2.WebhookSubscription(url=url, event_types=["contact.attribute_changed"]),
        )
        journey_id = await stage.live(
            node("gold", "again", attribute=node_pb2.AttributeNode(key="tier", text="gold")),
            node("again", "after", attribute=node_pb2.AttributeNode(key="tier", text="gold")),
            node("after", attribute=node_pb2.AttributeNode(key="tier", text="silver")),
        )
        await stage.trigger(journey_id, customer)
        bodies = []
        for _ in range(2):
            headers, body = await asyncio.wait_for(came.get(), WAIT_S)
            Webhook(made.subscription.secret).verify(body, headers)
            bodies.append(json.loads(body))
    finally:
        await runner.cleanup()
    assert {body["type"] for body in bodies} == {"contact.attribute_changed"}
    assert {(body["data"]["team_id"], body["data"]["customer_id"]) for body in bodies} == {
        (stage.site.team_id, customer)
    }
    changes = [body["data"]["attribute"] for body in bodies]
    assert {(each["key"], each["old_value"], each["new_value"]) for each in changes} == {
        ("tier", None, "gold"),
        ("tier", "gold", "silver"),
    }
    assert came.empty(), "what changed nothing is not told"
