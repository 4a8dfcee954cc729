"""Webhooks that go out, without a screen: made, tried, paused, given another secret, deleted."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.common.v1.scope_pb2 import SCOPE_WRITE
from tests.integration.console.conftest import Stand
from tests.integration.journey.whole_site import ALL

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.rule("X-07")]


@asynccontextmanager
async def receiving(statuses: list[int]) -> AsyncIterator[str]:
    """An address on this machine that answers with these, one after the other."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=statuses.pop(0))

    application = web.Application()
    application.router.add_post("/hook", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


async def test_a_webhook_is_made_tried_paused_given_another_secret_and_deleted(stand: Stand) -> None:
    browser = await stand.signed_in()
    assert "Nobody is told yet" in (await browser.get("/settings/webhooks")).text
    refused = await browser.post(
        "/settings/webhooks", {"url": "ftp://example.com", "event_types": "contact.bound"}
    )
    assert (refused.status, 'id="url-fault"' in refused.html) == (422, True)
    nothing = await browser.post("/settings/webhooks", {"url": "https://example.com/hook"})
    assert (nothing.status, 'id="event_types-fault"' in nothing.html) == (422, True)
    async with receiving([200, 500]) as url:
        fields = [("url", url), ("event_types", "contact.bound"), ("event_types", "contact.created")]
        made = await browser.post("/settings/webhooks", fields)
        assert made.status == 200, made.text
        (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", made.html)
        (subscription,) = (await stand.call("ListWebhookSubscriptions")).subscriptions
        address = f"/settings/webhooks/{subscription.webhook_subscription_id}"
        assert sorted(subscription.event_types) == ["contact.bound", "contact.created"]
        assert secret not in (await browser.get(address)).html, "it is shown once"
        tried = await browser.post(f"{address}/ping")
        assert "The address took the test: HTTP 200." in tried.text
        tried = await browser.post(f"{address}/ping")
        assert "The address did not take the test: HTTP 500." in tried.text
    assert tried.text.count("HTTP 500") == 2, "among the calls, too"
    assert "no answer" in (await browser.post(f"{address}/ping")).text
    paused = await browser.post(address, {"state": "paused"})
    assert "Paused" in paused.text
    (now,) = (await stand.call("ListWebhookSubscriptions")).subscriptions
    assert (now.state, now.url) == (webhook_pb2.SUBSCRIPTION_STATE_PAUSED, url)
    moved = await browser.post(address, {"url": "https://example.com/hook", "event_types": "contact.merged"})
    assert "https://example.com/hook" in moved.text
    other = re.findall(r"whsec_[A-Za-z0-9+/=]+", (await browser.post(f"{address}/rotate")).html)
    assert other != [secret]
    assert len(other) == 1
    assert "Nothing was given up" in (await browser.post(f"{address}/replay")).text
    assert (await browser.post(f"{address}/delete")).path == "/settings/webhooks"
    assert (await browser.get(address)).status == 404


async def test_who_does_not_change_the_team_sees_no_form_and_others_see_nothing(stand: Stand) -> None:
    given = webhook_pb2.WebhookSubscription(url="https://example.com/hook", event_types=["contact.bound"])
    made = await stand.call("CreateWebhookSubscription", subscription=given)
    address = f"/settings/webhooks/{made.subscription.webhook_subscription_id}"
    writer = await stand.signed_in(SCOPE_WRITE)
    for path in ("/settings/webhooks", address):
        page = await writer.get(path)
        assert "https://example.com/hook" in page.text
        assert 'name="url"' not in page.html
    for what in ("", "/ping", "/rotate", "/delete"):
        assert (await writer.post(f"{address}{what}", {"url": "https://example.com/x"})).status == 403, what
    await stand.site.team(ALL)
    stranger = await stand.signed_in()
    assert (await stranger.get(address)).status == 404
    assert (await stranger.post(f"{address}/delete")).status == 404
