"""`docs/openapi.yaml` says what the edge does: its paths, its limits, its answers, and it takes the examples."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from libs.common.hints import Reason
from services.channel_gateway.domain import heard, shop_events
from services.channel_gateway.domain.platforms import Platform as Platforms
from services.channel_gateway.servicer.http import channel_hooks, connections, head, listener, router
from tests.integration.channel_gateway.conftest import LINE, WHATSAPP, Gateway
from tests.integration.channel_gateway.test_hooks import (
    INSTAGRAM,
    PAGE,
    SECRET,
    TOKEN,
    Platform,
    account,
    kinds,
    meta_headers,
)
from tests.integration.channel_gateway.test_webhooks import Shop, order

FILE = Path(__file__).parents[3] / "docs" / "openapi.yaml"
SPEC: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
POST = SPEC["paths"]["/v1/teams/{team_id}/shops/{shop_id}/events"]["post"]
CHANNELS = "/v1/teams/{team_id}/accounts/{account_id}/events"
SCHEMAS = SPEC["components"]["schemas"]


def valid(schema: dict[str, Any], value: object) -> bool:
    """Whether a value fits a schema of the file."""
    whole = {**schema, "components": SPEC["components"]}
    return Draft202012Validator(whole).is_valid(value)


def schema_of(answer: dict[str, Any]) -> dict[str, Any]:
    """The schema of an answer's body."""
    while "$ref" in answer:
        answer = SPEC["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    return answer["content"]["application/json"]["schema"]  # type: ignore[no-any-return]


def test_the_file_is_openapi() -> None:
    validate(SPEC)


def test_the_limits_are_those_of_the_code() -> None:
    many = POST["requestBody"]["content"]["application/json"]["schema"]["oneOf"][1]
    assert many["maxItems"] == shop_events.EVENTS_MAX
    assert SCHEMAS["ShopOrder"]["properties"]["items"]["maxItems"] == shop_events.ITEMS_MAX
    assert SCHEMAS["RequiredLine100"]["maxLength"] == shop_events.EVENT_ID_LENGTH_MAX
    assert set(SCHEMAS["Reason"]["enum"]) == {reason.name for reason in Reason}
    text = " ".join(FILE.read_text("utf-8").split())
    for limit in (
        f"{head.BODY_BYTES_MAX:,} bytes",
        f"line of {listener.LINE_BYTES_MAX:,} bytes",
        f"fields of {listener.FIELD_BYTES_MAX:,} bytes and {listener.FIELDS_MAX} of them",
        f"{connections.HEAD_S:g} s for the head, {connections.BODY_S:g} s for the body",
        f"{connections.IDLE_S:g} s between two requests",
    ):
        assert limit in text
    shop = "/v1/teams/{team_id}/shops/{shop_id}"
    platforms = {f"{shop}/{platform}" for platform in Platforms} | {"/v1/teams/{team_id}/shopify"}
    pixels = "/v1/teams/{team_id}/pixels/{pixel_key_id}/events"
    assert set(SPEC["paths"]) == {"/healthz", f"{shop}/events", CHANNELS, "/l/{token}", pixels, *platforms}
    assert router.PIXEL_EVENTS.fullmatch(
        pixels.format(team_id=uuid.UUID(int=0), pixel_key_id=uuid.UUID(int=1))
    )
    for each in platforms:
        assert router.PLATFORM_HOOKS.fullmatch(each.format(team_id=uuid.UUID(int=0), shop_id="a.b"))
    token = SPEC["paths"]["/l/{token}"]["parameters"][0]["schema"]["pattern"]
    assert f"^/l/{token[1:]}" == f"^{router.LINKS.pattern.replace('(', '').replace(')', '')}$"
    channels = SPEC["paths"][CHANNELS]
    assert channels["get"]["parameters"][2]["schema"]["pattern"] == f"^{channel_hooks.CHALLENGE.pattern}$"
    assert SCHEMAS["LineWebhook"]["properties"]["events"]["maxItems"] == heard.ITEMS_MAX
    assert f"{head.HOOK_BYTES_MAX:,} bytes and {heard.ITEMS_MAX:,} events" in text
    path = CHANNELS.format(team_id=uuid.UUID(int=0), account_id=uuid.UUID(int=1))
    assert router.CHANNEL_EVENTS.fullmatch(path)
    patterns = {each["name"]: each["schema"].get("pattern") for each in POST["parameters"]}
    assert patterns["webhook-id"] == f"^{head.ID.pattern}$"
    assert patterns["webhook-timestamp"] == f"^{head.TIMESTAMP.pattern}$"
    assert patterns["webhook-signature"] == f"^{head.SIGNATURE.pattern}$"
    assert router.SHOP_EVENTS.fullmatch(
        f"/v1/teams/{'0' * 8}-{'-'.join(['0' * 4] * 3)}-{'0' * 12}/shops/a.b/events"
    )


@pytest.fixture
async def shop(gateway: Gateway) -> Shop:
    """A shop with a key."""
    return Shop(gateway, await gateway.shop())


async def test_the_examples_are_taken_and_recorded(gateway: Gateway, shop: Shop) -> None:
    content = POST["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        assert valid(content["schema"], example["value"])
        status, answer = await shop.post(example["value"])
        assert status == 202
        assert valid(schema_of(POST["responses"]["202"]), answer)
        assert {result["status"] for result in answer["results"]} == {"accepted"}
        assert not any("left_out" in result for result in answer["results"])
    await gateway.settled()
    assert len(gateway.neighbours.segment.events) == len(content["examples"])
    for example in POST["responses"]["202"]["content"]["application/json"]["examples"].values():
        assert valid(schema_of(POST["responses"]["202"]), example["value"])


async def test_answers_fit_what_the_file_says_of_them(gateway: Gateway, shop: Shop) -> None:
    faulty = order(2, event_id=7)
    mixed = [order(1, customer={"phone": "x"}), faulty, order(1, customer={"phone": "x"})]
    for posted, expected in (
        (mixed, 202),
        ([faulty], 400),
        (b"{", 400),
        (order(3), 202),
        (b" " * 1_048_577, 413),
    ):
        status, answer = await shop.post(posted)
        assert status == expected
        assert valid(schema_of(POST["responses"][str(status)]), answer), answer
        fields = {name.lower() for name in POST["responses"][str(status)].get("headers", {})}
        assert fields <= {name.lower() for name in shop.answered}
    status, answer = await shop.post(order(1), signature="v1,none")
    assert valid(schema_of(POST["responses"]["401"]), answer)
    await shop.post(order(4), "w4")
    status, answer = await shop.post(order(5), "w4")
    assert status == 409
    assert valid(schema_of(POST["responses"]["409"]), answer)
    base = f"http://127.0.0.1:{gateway.app.http_port}"
    async with gateway.http.get(base + "/healthz") as answered:
        health = SPEC["paths"]["/healthz"]["get"]["responses"]["200"]
        assert valid(schema_of(health), await answered.json())
    for path, expected in ((shop.url.removeprefix(base), 405), ("/nowhere", 404)):
        async with gateway.http.get(base + path) as answered:
            assert answered.status == expected
            assert valid(schema_of(POST["responses"][str(expected)]), await answered.json())


async def hooked(gateway: Gateway, example: str) -> Platform:
    """The account that an example is for."""
    channel, ids = {
        "line": (LINE, {}),
        "whatsapp": (WHATSAPP, {"phone_number_id": "100000000000001"}),
        "messenger": (PAGE, {"page_id": "77"}),
        "instagram": (INSTAGRAM, {"instagram_id": "88"}),
    }[example]
    return Platform(gateway, await account(gateway, channel, **ids), "line")


def signed(example: str, body: bytes) -> dict[str, str]:
    """As the platform signs."""
    if example != "line":
        return meta_headers(body)
    digest = hmac.digest(SECRET.encode(), body, hashlib.sha256)
    return {"x-line-signature": base64.b64encode(digest).decode()}


async def test_the_examples_of_channels_are_taken_and_recorded(gateway: Gateway) -> None:
    post = SPEC["paths"][CHANNELS]["post"]
    content = post["requestBody"]["content"]["application/json"]
    counts = {"line": 4, "whatsapp": 1, "messenger": 2, "instagram": 1}
    assert set(content["examples"]) == set(counts)
    for name, example in content["examples"].items():
        assert valid(content["schema"], example["value"])
        platform = await hooked(gateway, name)
        body = json.dumps(example["value"]).encode()
        status, answer = await platform.post(body, signed(name, body))
        assert (status, answer) == (200, {"events": counts[name]})
        assert valid(schema_of(post["responses"]["200"]), answer)
        for spoilt, expected in ((b"{", "400"), (b"{}", "401")):
            status, answer = await platform.post(spoilt, signed(name, b"{"))
            assert str(status) == expected
            assert valid(schema_of(post["responses"][expected]), answer)
    await gateway.settled()
    told = gateway.neighbours.segment.events
    assert sorted(kinds(told)) == sorted(
        ["contact_added", "contact_blocked", *["message_received"] * (sum(counts.values()) - 2)]
    )


async def test_answers_to_the_trial_of_an_address_fit_the_file(gateway: Gateway) -> None:
    responses = SPEC["paths"][CHANNELS]["get"]["responses"]
    platform = await hooked(gateway, "whatsapp")
    asked = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "7"}
    async with gateway.http.get(platform.url, params=asked) as answered:
        assert (answered.status, answered.content_type, await answered.text()) == (200, "text/plain", "7")
    async with gateway.http.get(platform.url) as answered:
        assert answered.status == 403
        assert valid(schema_of(responses["403"]), await answered.json())
