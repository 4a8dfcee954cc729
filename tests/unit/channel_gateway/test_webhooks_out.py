"""Outgoing webhooks: where they may go, when they are tried again, what they say."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from aiohttp import web

from libs.common.feeds.rows import FactRow
from libs.common.ids import new_id
from libs.testing.history_rows import NOON, TEAM
from omnijourney.segment.v1 import attribute_pb2, history_pb2
from services.channel_gateway.clients.webhook_calls import WebhookCalls, headers_of
from services.channel_gateway.convert.contact_events import contact_events
from services.channel_gateway.domain.signing import encode_secret
from services.channel_gateway.domain.webhooks_out import (
    EVENT_TYPES,
    JITTER,
    WAITS_S,
    Due,
    SigningKey,
    Subscription,
    SubscriptionState,
    is_allowed,
    url_fault,
    wait_after,
)

LOOPBACK = (ip_network("127.0.0.0/8"),)
PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "nonsense",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_called(address: str) -> None:
    assert not is_allowed(address, ())


def test_public_addresses_are_called_and_private_ones_that_the_installation_names() -> None:
    assert is_allowed("93.184.215.14", ())
    assert is_allowed("2606:2800:21f:cb07:6820:80da:af6b:8b2c", ())
    assert is_allowed("127.0.0.1", LOOPBACK)
    assert is_allowed("::ffff:127.0.0.1", LOOPBACK)
    assert not is_allowed("10.0.0.1", LOOPBACK)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/hook",
        "ftp://shop.example/",
        "http://shop.example/",
        "https://",
        "https://user:word@shop.example/",
        "https://shop.example/#there",
        "https://shop.example:port/",
        "https://shop.example/ x",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::ffff:10.0.0.1]/",
        "http://localhost/",
        "https://localhost/",
        "https://shop.example/" + "x" * 2_000,
        "https://商店.example/",
    ],
)
def test_addresses_that_nothing_may_be_sent_to_are_refused(url: str) -> None:
    assert url_fault(url, ())


def test_addresses_of_shops_are_taken() -> None:
    assert not url_fault("https://shop.example/hook?a=1", ())
    assert not url_fault("http://127.0.0.1:8080/hook", LOOPBACK)
    assert not url_fault("http://localhost/hook", LOOPBACK)


@pytest.mark.rule("C-40b")
def test_attempts_go_on_for_a_day_with_jitter_and_then_end() -> None:
    chances = random.Random(1)
    waits = [wait_after(number, 0.0, chances.random()) for number in range(1, len(WAITS_S) + 2)]
    assert waits[-1] is None
    for wait, full in zip(waits, WAITS_S, strict=False):
        assert wait is not None
        assert full * (1 - JITTER) <= wait <= full * (1 + JITTER)
    assert timedelta(hours=24).total_seconds() < sum(WAITS_S) < timedelta(hours=30).total_seconds()
    assert len({wait_after(1, 0.0, chances.random()) for _ in range(5)}) > 1
    assert wait_after(1, 60.0, 0.5) == 60.0
    assert (wait_after(1, 1e9, 0.5) or 0) <= 3_600


def test_a_key_that_was_replaced_signs_for_a_day_more() -> None:
    one = Subscription(
        *(TEAM, new_id(), "https://shop.example", ("contact.created",), SubscriptionState.ACTIVE),
        *((SigningKey(b"1"),), NOON, NOON, 1),
    )
    two = one.with_key(b"2", NOON)
    assert two.secrets(NOON) == [b"2", b"1"]
    assert two.secrets(NOON + timedelta(hours=24)) == [b"2"]
    assert two.with_key(b"3", NOON).secrets(NOON) == [b"3", b"2"]


def row(kind: int, *detail: str | None) -> FactRow:
    """A row of segment's history."""
    return FactRow(1, 1, TEAM.bytes, TEAM.bytes, NOON, kind, event=TEAM.bytes, detail=detail)


def test_what_a_webhook_says() -> None:
    number = str(int(attribute_pb2.ATTRIBUTE_TYPE_TEXT))
    rows = [
        row(history_pb2.FACT_KIND_ATTRIBUTE_CHANGED, "tier", number, None, "gold"),
        row(history_pb2.FACT_KIND_TAG_REMOVED, "VIP"),
        row(history_pb2.FACT_KIND_CONTACT_ADDED, "1", "account", "U1"),
        row(history_pb2.FACT_KIND_CUSTOMER_MERGED, "other"),
        row(history_pb2.FACT_KIND_CUSTOMER_CREATED, ""),
        FactRow(1, 1, TEAM.bytes, TEAM.bytes, NOON, history_pb2.FACT_KIND_TAG_APPLIED),
    ]
    bodies = [json.loads(event.body) for event in contact_events(rows)]
    assert [body["type"] for body in bodies] == [
        "contact.attribute_changed",
        "contact.tag_changed",
        "contact.bound",
        "contact.merged",
        "contact.created",
    ]
    assert bodies[0]["data"]["attribute"] == {
        "key": "tier",
        "type": "TEXT",
        "old_value": None,
        "new_value": "gold",
    }
    assert (bodies[1]["data"]["tag"], bodies[1]["data"]["change"]) == ("VIP", "removed")
    assert bodies[2]["data"]["identity"] == {"channel": "LINE", "account_id": "account", "external_id": "U1"}
    assert bodies[0]["timestamp"] == "2026-03-01T12:00:00Z"


# ---- calls ----

Handler = Callable[[web.Request], Any]


@asynccontextmanager
async def receiving(handler: Handler) -> AsyncIterator[int]:
    """A receiver on loopback; its port."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def taken(_: web.Request) -> web.Response:
    return web.Response(status=204)


@pytest.mark.rule("C-40c")
async def test_no_name_leads_to_a_private_address_also_where_it_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return await taken(request)

    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    async with receiving(handler) as port, WebhookCalls(()) as calls:
        for host in ("localhost", "127.0.0.1", "127.1", "2130706433", "0x7f000001", "[::1]"):
            called = await calls.call(f"http://{host}:{port}/", [b"k"], Due(new_id(), "ping", b"{}", 0))
            assert called.status == 0, host

        def resolve(host: str, port: int, **_: Any) -> Any:
            # First for the check, then for the connection: if there were two, the second would be another.
            (address,) = next(answers, ["127.0.0.1"])
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        next(answers)
        called = await calls.call(f"http://shop.example:{port}/", [b"k"], Due(new_id(), "ping", b"{}", 0))
        assert called.refused
    assert not asked


async def test_names_are_looked_up_beside_all_other_work_in_threads() -> None:
    going_on = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        held = asyncio.create_task(asyncio.to_thread(going_on.wait))
        try:
            async with receiving(taken) as port, WebhookCalls(LOOPBACK) as calls, asyncio.timeout(10):
                webhook = Due(new_id(), "ping", b"{}", 0)
                called = await calls.call(f"http://localhost:{port}/", [b"k"], webhook)
        finally:
            going_on.set()
            await held
    assert called.status == 204


async def test_nothing_leaves_that_nobody_could_sign() -> None:
    async with receiving(taken) as port, WebhookCalls(LOOPBACK) as calls:
        called = await calls.call(f"http://127.0.0.1:{port}/", [], Due(new_id(), "ping", b"{}", 0))
    assert (called.status, called.is_taken) == (0, False)


async def test_redirects_are_not_followed_and_answers_without_end_are_not_read() -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        if request.path == "/moved":
            raise web.HTTPFound("/elsewhere")
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        for _ in range(1_000):
            await response.write(b"x" * 65_536)
        return response

    webhook = Due(new_id(), "ping", b"{}", 0)
    async with receiving(handler) as port, WebhookCalls(LOOPBACK) as calls:
        moved = await calls.call(f"http://127.0.0.1:{port}/moved", [b"k"], webhook)
        endless = await calls.call(f"http://127.0.0.1:{port}/endless", [b"k"], webhook)
    assert (moved.status, moved.is_taken) == (302, False)
    assert (endless.status, endless.is_taken) == (200, True)
    assert asked == ["/moved", "/endless"]


ROOT = Path(__file__).parents[3]


def test_the_example_of_the_docs_verifies_what_is_sent_and_nothing_else() -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "webhooks.md").read_text("utf-8"), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code[1], names)
    webhook = Due(new_id(), "ping", b'{"type":"ping"}', 0)
    headers = headers_of([b"k" * 32, b"j" * 32], webhook)
    for key in (b"k" * 32, b"j" * 32):
        names["verify"](encode_secret(key), headers, webhook.body)
    with pytest.raises(ValueError, match="not signed"):
        names["verify"](encode_secret(b"x" * 32), headers, webhook.body)
    with pytest.raises(ValueError, match="not signed"):
        names["verify"](encode_secret(b"k" * 32), headers, b"{}")
    with pytest.raises(ValueError, match="too old"):
        names["verify"](encode_secret(b"k" * 32), {**headers, "webhook-timestamp": "1"}, webhook.body)


def test_webhooks_are_as_the_openapi_file_says() -> None:
    spec = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text("utf-8"))
    schema = {"$ref": "#/components/schemas/ContactEvent", "components": spec["components"]}
    number = str(int(attribute_pb2.ATTRIBUTE_TYPE_TEXT))
    rows = [
        row(history_pb2.FACT_KIND_ATTRIBUTE_CHANGED, "tier", number, None, "gold"),
        row(history_pb2.FACT_KIND_TAG_APPLIED, "VIP"),
        row(history_pb2.FACT_KIND_CONTACT_REMOVED, "4", "account", "U1"),
        row(history_pb2.FACT_KIND_CUSTOMER_CREATED, "m1"),
    ]
    for event in contact_events(rows):
        jsonschema.validate(json.loads(event.body), schema)
    kinds = set(spec["components"]["schemas"]["ContactEvent"]["properties"]["type"]["enum"])
    assert kinds == {*EVENT_TYPES, "ping"}
