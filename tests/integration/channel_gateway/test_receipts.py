"""What WhatsApp tells of messages reaches deliveries and the history, each step once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from omnijourney.channel_gateway.v1 import delivery_pb2
from tests.integration.channel_gateway.conftest import WHATSAPP, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, account, meta_headers, whatsapp

__all__ = ["whatsapp"]
DELIVERED, READ, FAILED = (
    delivery_pb2.RECEIPT_KIND_DELIVERED,
    delivery_pb2.RECEIPT_KIND_READ,
    delivery_pb2.RECEIPT_KIND_FAILED,
)


async def sent(platform: Platform, **changes: Any) -> tuple[str, str]:
    """A message that the platform took: the key of the effect, and its id there."""
    gateway = platform.gateway
    await gateway.top_up(10_000_000)
    customer = gateway.customer(platform.account_id, WHATSAPP)
    template_id = await gateway.template(platform.account_id, parameters=0)
    send = gateway.send(customer, WHATSAPP, account_id=platform.account_id, **changes)
    send.template.template_id = template_id
    (result,) = await gateway.ask(send)
    assert result.state == delivery_pb2.SEND_STATE_ACCEPTED
    await gateway.settled()
    (message,) = await gateway.accepted("whatsapp")
    return send.effect_key, message["id"]


def status_body(number: str, status: Mapping[str, object]) -> bytes:
    """A webhook with one status."""
    value = {"metadata": {"phone_number_id": number}, "statuses": [status]}
    entry = {"id": "9", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


async def steps(gateway: Gateway, effect_key: str) -> list[int]:
    """Of the history, in order."""
    rows = [row for row in await gateway.facts() if row.kind == 2]
    return [
        row.outcome or 0
        for row in rows
        if row.key is not None and row.key.hex() == effect_key.replace("-", "")
    ]


@pytest.mark.rule("C-20b")
async def test_delivered_and_read_are_told_once(whatsapp: Platform) -> None:
    await whatsapp.aim(times=2)
    key, message_id = await sent(whatsapp)
    await whatsapp.heard()
    delivery = await whatsapp.gateway.delivery(key)
    assert (delivery.state, delivery.receipt) == (delivery_pb2.SEND_STATE_SENT, DELIVERED)
    await whatsapp.tell("statuses", id=message_id, status="read")
    await whatsapp.heard()
    assert (await whatsapp.gateway.delivery(key)).receipt == READ
    assert await steps(whatsapp.gateway, key) == [DELIVERED, READ]


@pytest.mark.rule("C-20b")
async def test_read_before_delivered_is_both(whatsapp: Platform) -> None:
    await whatsapp.aim(held=True)
    key, message_id = await sent(whatsapp)
    await whatsapp.tell("statuses", id=message_id, status="read")
    assert (await whatsapp.gateway.delivery(key)).receipt == 0
    await whatsapp.tell("webhooks/release", reverse=True)
    await whatsapp.heard()
    assert (await whatsapp.gateway.delivery(key)).receipt == READ
    assert await steps(whatsapp.gateway, key) == [DELIVERED, READ]


@pytest.mark.rule("C-20b", "C-03d")
async def test_a_failure_after_acceptance_is_told_and_stays(whatsapp: Platform) -> None:
    await whatsapp.aim(held=True)
    key, message_id = await sent(whatsapp)
    await whatsapp.tell("statuses", id=message_id, status="failed", code=131026)
    await whatsapp.tell("webhooks/release", reverse=True)
    await whatsapp.heard()
    assert (await whatsapp.gateway.delivery(key)).receipt == FAILED
    assert await steps(whatsapp.gateway, key) == [FAILED]
    failed = [row for row in await whatsapp.gateway.facts() if row.kind == 2 and row.outcome == FAILED]
    assert [row.reason for row in failed] == ["UNDELIVERABLE"], "as a send that is refused for it"
    (left,) = whatsapp.gateway.neighbours.segment.events
    person = (await whatsapp.gateway.accepted("whatsapp"))[0]["recipient"]
    assert left.contact_blocked.identity.external_id == person, "who has no WhatsApp is remembered"


async def test_another_account_tells_nothing_of_a_send(whatsapp: Platform) -> None:
    await whatsapp.aim(held=True)
    key, _ = await sent(whatsapp)
    other = await account(whatsapp.gateway, WHATSAPP, phone_number_id="2", waba_id="9")
    events = whatsapp.url
    whatsapp.url = events.replace(whatsapp.account_id, other)
    status = {"id": "wamid.1", "status": "read", "timestamp": "1750030073", "recipient_id": "886912000001"}
    for callback in (
        f"{whatsapp.gateway.team_id.hex}:{key.replace('-', '')}:0",
        f"{whatsapp.gateway.team_id.hex}:{'0' * 32}:0",
        "something else",
    ):
        body = status_body("2", {**status, "biz_opaque_callback_data": callback})
        assert await whatsapp.post(body, meta_headers(body)) == (200, {"events": 1})
    await whatsapp.heard()
    assert (await whatsapp.gateway.delivery(key)).receipt == 0
    assert await steps(whatsapp.gateway, key) == []
