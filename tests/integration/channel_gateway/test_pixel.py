"""Pixels over HTTP: pages of the shop's origins, and nobody else's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import limits_pb2, webhook_pb2
from services.channel_gateway.domain.pixel import OrderToken, signed_token
from services.channel_gateway.domain.signing import decode_secret
from tests.integration.channel_gateway.conftest import TIMEOUT_S, Gateway
from tests.integration.channel_gateway.test_openapi import SPEC, schema_of, valid
from tests.integration.channel_gateway.test_webhooks import stored

PAGE = "https://shop.example"
POST = SPEC["paths"]["/v1/teams/{team_id}/pixels/{pixel_key_id}/events"]["post"]
EXAMPLES = POST["requestBody"]["content"]["application/json"]["examples"]


class Pixel:
    """Posts as a page does."""

    def __init__(self, gateway: Gateway, key: limits_pb2.PixelKey, secret: str) -> None:
        self.gateway = gateway
        self.key = key
        self.secret = decode_secret(secret)
        self.url = f"http://127.0.0.1:{gateway.app.http_port}/v1/teams/{gateway.team_id}/pixels/{key.pixel_key_id}/events"

    async def post(self, body: Any, origin: str | None = PAGE) -> tuple[int, dict[str, Any], str]:
        """Status, answer and whom it is shared with."""
        headers = {"Content-Type": "text/plain"} | ({"Origin": origin} if origin else {})
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.gateway.http.post(self.url, data=raw, headers=headers) as answer:
            shared = answer.headers.get("Access-Control-Allow-Origin", "")
            return answer.status, await answer.json(), shared

    def token(self, **changes: Any) -> str:
        """A token of the example's order."""
        until = int(self.gateway.clock.now().timestamp()) + 60
        said: dict[str, Any] = {
            "shop_id": "demo",
            "order_id": "1001",
            "currency": "TWD",
            "total": "360.00",
            "expires_at": until,
        }
        return signed_token(self.secret, OrderToken(**(said | changes)))


async def _call(gateway: Gateway, name: str, **fields: Any) -> Any:
    request = getattr(pb, f"{name}Request")(team_id=str(gateway.team_id), **fields)
    return await getattr(gateway.stub, name)(request, timeout=TIMEOUT_S)


@pytest.fixture
async def pixel(gateway: Gateway) -> Pixel:
    """A shop with a key for its pages."""
    secret = await gateway.shop()
    made = await _call(gateway, "CreatePixelKey", request_id=str(new_id()), shop_id="demo", origins=[PAGE])
    return Pixel(gateway, made.pixel_key, secret)


@pytest.mark.rule("C-20c", "C-21b")
async def test_the_examples_of_pages_are_taken_signed_and_unsigned(gateway: Gateway, pixel: Pixel) -> None:
    order = EXAMPLES["order"]["value"]
    for body, expected in (
        ({**order, "order_token": pixel.token()}, "accepted"),
        (order, "accepted"),
        (order, "duplicate"),
    ):
        status, answer, shared = await pixel.post(body)
        assert (status, shared) == (202, PAGE)
        assert valid(schema_of(POST["responses"]["202"]), answer)
        assert [result["status"] for result in answer["results"]] == [expected]
    forged = {**order, "order_token": pixel.token(shop_id="other")}
    status, answer, shared = await pixel.post([forged, {"event": "page.viewed"}])
    assert (status, [result["status"] for result in answer["results"]]) == (200, ["refused", "ignored"])
    assert answer["results"][0]["field"] == "[0].order_token"
    status, answer, shared = await pixel.post(forged)
    assert (status, shared) == (400, PAGE)
    assert valid(schema_of(POST["responses"]["400"]), answer)
    await gateway.settled()
    told = gateway.neighbours.segment.events
    assert [event.order_completed.signed for event in told] == [True, False]
    assert {event.order_completed.order_id for event in told} == {"1001"}
    records = await stored(gateway)
    assert {record.source for record in records} == {webhook_pb2.INBOX_SOURCE_PIXEL}
    assert len(records) == 2


@pytest.mark.rule("C-20c", "C-20d")
async def test_pages_of_other_origins_are_turned_away(gateway: Gateway, pixel: Pixel) -> None:
    order = EXAMPLES["order"]["value"]
    for origin in ("https://other.example", "http://shop.example", "null", None):
        status, answer, shared = await pixel.post(order, origin)
        assert (status, shared) == (403, "")
        assert valid(schema_of(POST["responses"]["403"]), answer)
    assert (await pixel.post(b" " * 65_537))[0] == 413
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    async with gateway.http.options(pixel.url, headers=asked) as asking:
        assert (asking.status, asking.headers["Access-Control-Allow-Origin"]) == (204, PAGE)
        assert asking.headers["Access-Control-Allow-Methods"] == "POST"
    async with gateway.http.options(pixel.url, headers={"Origin": "https://other.example"}) as asking:
        assert asking.status == 403
    ended = await _call(
        gateway, "RevokePixelKey", request_id=str(new_id()), pixel_key_id=pixel.key.pixel_key_id
    )
    assert ended.pixel_key.HasField("revoke_time")
    assert (await pixel.post(order))[0] == 403
    assert await stored(gateway) == []


async def test_keys_of_pixels_are_listed_newest_first(gateway: Gateway, pixel: Pixel) -> None:
    request_id = str(new_id())
    origins = ["http://localhost:3000", "null"]
    gateway.clock.advance(timedelta(seconds=1))  # keys of one moment are in any order
    made = [
        await _call(gateway, "CreatePixelKey", request_id=request_id, shop_id="demo", origins=origins)
        for _ in range(2)
    ]
    assert made[0] == made[1], "repeated, it is answered alike"
    listed: list[limits_pb2.PixelKey] = []
    token = ""
    while True:
        page = await _call(gateway, "ListPixelKeys", shop_id="demo", page_size=1, page_token=token)
        listed += page.pixel_keys
        if not (token := page.next_page_token):
            break
    assert listed == [made[0].pixel_key, pixel.key]
    for fields, code in (
        ({"shop_id": "demo", "origins": ["https://Shop.example"]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"shop_id": "demo", "origins": ["http://shop.example"]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"shop_id": "demo", "origins": ["https://shop.example:443"]}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"shop_id": "demo", "origins": []}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"shop_id": "other", "origins": [PAGE]}, grpc.StatusCode.NOT_FOUND),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _call(gateway, "CreatePixelKey", request_id=str(new_id()), **fields)
        assert caught.value.code() is code
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _call(gateway, "RevokePixelKey", request_id=str(new_id()), pixel_key_id=str(new_id()))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
