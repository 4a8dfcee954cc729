"""Webhooks of shops' platforms over HTTP: signed their way, stored, recorded, and refusals kept for operators."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import webhook_pb2
from tests.integration.channel_gateway.conftest import TIMEOUT_S, Gateway
from tests.integration.channel_gateway.test_openapi import SPEC, schema_of, valid
from tests.integration.channel_gateway.test_webhooks import stored

SECRET = "shpss_0123456789abcdef0123456789abcdef"
BASE = "/v1/teams/{team_id}/shops/{shop_id}"


class PlatformShop:
    """Posts as a platform does."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def post(
        self, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Posts a body (bytes as they are, else JSON); status and answer. A signature is made where none is given."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        platform = path.rpartition("/")[2]
        signed = {"Content-Type": "application/json", **_signed(platform, raw), **(headers or {})}
        url = f"http://127.0.0.1:{self.gateway.app.http_port}{path}".format(
            team_id=self.gateway.team_id, shop_id="demo"
        )
        async with self.gateway.http.post(url, data=raw, headers=signed) as answer:
            return answer.status, await answer.json()


def _signed(platform: str, raw: bytes) -> dict[str, str]:
    code = base64.b64encode(hmac.digest(SECRET.encode(), raw, hashlib.sha256)).decode()
    match platform:
        case "shopify":
            return {"X-Shopify-Hmac-Sha256": code, "X-Shopify-Webhook-Id": str(new_id())}
        case "woocommerce":
            return {"X-WC-Webhook-Signature": code, "X-WC-Webhook-Delivery-ID": str(new_id())}
        case _:
            return {"X-Signature": hmac.new(SECRET.encode(), raw, hashlib.sha1).hexdigest()}


def _topic(platform: str, topic: str) -> dict[str, str]:
    return {
        {"shopify": "X-Shopify-Topic", "woocommerce": "X-WC-Webhook-Topic"}.get(platform, "X-None"): topic
    }


def _examples(path: str) -> dict[str, Any]:
    content = SPEC["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    return {name: example["value"] for name, example in content["examples"].items()}


@pytest.fixture
async def shop(gateway: Gateway) -> PlatformShop:
    """A shop with its platform's secret."""
    await gateway.shop()
    request = pb.CreateShopKeyRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), shop_id="demo", secret=f"platform_{SECRET}"
    )
    await gateway.stub.CreateShopKey(request, timeout=TIMEOUT_S)
    return PlatformShop(gateway)


@pytest.mark.rule("C-20c")
async def test_the_examples_of_platforms_are_taken_and_recorded(gateway: Gateway, shop: PlatformShop) -> None:
    expected = {
        "shopify": ["order_completed", "order_updated", "order_completed", "order_updated", "order_refunded"],
        "woocommerce": ["order_completed", "order_refunded", "order_updated", "order_completed"],
        "segment": ["order_completed", "order_refunded"],
    }
    for platform, kinds in expected.items():
        path = f"{BASE}/{platform}"
        responses = SPEC["paths"][path]["post"]["responses"]
        before = len(gateway.neighbours.segment.events)
        for topic, body in _examples(path).items():
            status, answer = await shop.post(path, body, _topic(platform, topic))
            assert (status, valid(schema_of(responses["202"]), answer)) == (202, True), answer
            assert {result["status"] for result in answer["results"]} <= {"accepted", "ignored"}
        for headers, code in (({}, 400), (_signed(platform, b"other"), 401)):
            status, answer = await shop.post(path, b"{", headers)
            assert (status, valid(schema_of(responses[str(code)]), answer)) == (code, True)
        await gateway.settled()
        told = gateway.neighbours.segment.events[before:]
        assert [event.WhichOneof("event") for event in told] == kinds
        assert all(getattr(event, kind).signed for event, kind in zip(told, kinds, strict=True))


@pytest.mark.rule("C-20c", "C-20d")
async def test_what_a_platform_repeats_is_known_and_what_is_refused_is_listed(
    gateway: Gateway, shop: PlatformShop
) -> None:
    path = f"{BASE}/shopify"
    order = _examples(path)["orders/updated"] | {"refunds": [{"transactions": [_refund("1.00")]}]}
    headers = {"X-Shopify-Topic": "orders/updated", "X-Shopify-Webhook-Id": "w1"}
    status, first = await shop.post(path, order, headers)
    assert status == 202
    assert [result["status"] for result in first["results"]] == ["refused", "accepted", "accepted"]
    assert first["results"][0]["field"] == "refunds[0].id"
    status, again = await shop.post(path, order, headers)
    assert [result["status"] for result in again["results"]] == ["refused", "duplicate", "duplicate"]
    assert (await shop.post(path, order | {"name": "#2"}, headers))[0] == 409
    await gateway.settled()
    (record,) = await stored(gateway)
    assert (record.source, record.webhook_id) == (webhook_pb2.INBOX_SOURCE_SHOPIFY, "orders/updated w1")
    assert record.state == webhook_pb2.INBOX_STATE_REFUSED
    (refusal,) = record.refusals
    assert (refusal.index, refusal.message.partition(":")[0]) == (0, "refunds[0].id")
    assert len(gateway.neighbours.segment.events) == 2


def _refund(amount: str) -> dict[str, str]:
    return {"kind": "refund", "status": "success", "amount": amount, "currency": "TWD"}


@pytest.mark.rule("C-20c")
async def test_a_shop_is_found_by_its_domain_and_its_newer_headers(
    gateway: Gateway, shop: PlatformShop
) -> None:
    path = "/v1/teams/{team_id}/shopify"
    order = _examples(path)["orders/paid"]
    raw = json.dumps(order).encode()
    code = _signed("shopify", raw)["X-Shopify-Hmac-Sha256"]
    url = f"http://127.0.0.1:{gateway.app.http_port}/v1/teams/{gateway.team_id}/shopify"
    newer = {"Shopify-Hmac-Sha256": code, "Shopify-Topic": "orders/paid", "Shopify-Webhook-Id": "w1"}
    for domain, expected in (("demo", 202), ("other.myshopify.com", 401), ("", 401)):
        headers = newer | ({"Shopify-Shop-Domain": domain} if domain else {})
        async with gateway.http.post(url, data=raw, headers=headers) as answer:
            assert answer.status == expected
    await gateway.settled()
    (event,) = gateway.neighbours.segment.events
    assert event.order_completed.shop_id == "demo"


@pytest.mark.rule("C-20c", "C-20d")
async def test_what_does_not_concern_us_is_answered_and_not_stored(
    gateway: Gateway, shop: PlatformShop
) -> None:
    status, answer = await shop.post(f"{BASE}/shopify", {"id": 1}, {"X-Shopify-Topic": "products/update"})
    assert (status, [result["status"] for result in answer["results"]]) == (200, ["ignored"])
    woocommerce = f"http://127.0.0.1:{gateway.app.http_port}{BASE}/woocommerce".format(
        team_id=gateway.team_id, shop_id="demo"
    )
    for ping, expected in ((b"webhook_id=7", 200), (b"webhook_id=7;", 401), (b"x" * 101, 401), (b"", 401)):
        async with gateway.http.post(woocommerce, data=ping) as pinged:
            assert pinged.status == expected
    call = _examples(f"{BASE}/segment")["order"]
    basic = {"X-Signature": ""}
    for user, expected in ((SECRET, 202), (f"{SECRET}x", 401), ("", 401)):
        token = base64.b64encode(f"{user}:".encode()).decode()
        headers = basic | {"Authorization": f"Basic {token}"}
        assert (await shop.post(f"{BASE}/segment", call, headers))[0] == expected
    assert (await shop.post(f"{BASE}/segment", call, basic))[0] == 401
    await gateway.settled()
    assert len(await stored(gateway)) == 1
