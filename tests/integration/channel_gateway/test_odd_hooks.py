"""What is signed and cannot be understood is kept with its reason, and what stands beside it is worked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import webhook_pb2
from tests.integration.channel_gateway.conftest import TIMEOUT_S, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, meta_headers, whatsapp

__all__ = ["whatsapp"]
NUMBER = "100000000000001"


def wrote(key: str) -> dict[str, Any]:
    return {
        "from": "886912000001",
        "id": key,
        "timestamp": "1772000000",
        "type": "text",
        "text": {"body": key},
    }


async def refusals(gateway: Gateway) -> list[tuple[int, str]]:
    request = pb.ListInboxRecordsRequest(team_id=str(gateway.team_id))
    records = (await gateway.stub.ListInboxRecords(request, timeout=TIMEOUT_S)).records
    assert {record.state for record in records} <= {
        webhook_pb2.INBOX_STATE_RECORDED,
        webhook_pb2.INBOX_STATE_REFUSED,
    }
    return sorted((each.index, each.message) for record in records for each in record.refusals)


@pytest.mark.rule("C-20b", "C-20d")
async def test_odd_parts_of_a_signed_body_are_set_aside_with_their_reasons(whatsapp: Platform) -> None:
    named = {"metadata": {"phone_number_id": NUMBER}}
    changes = [
        {"field": "messages", "value": {**named, "messages": [wrote("1"), 7, wrote("2")], "statuses": {}}},
        {"field": "messages", "value": {"metadata": 7, "messages": [wrote("3")]}},
        {"field": "account_update", "value": {"event": "?"}},
        "no change",
        {"field": "messages", "value": {**named, "contacts": 7, "messages": [wrote("4")]}},
    ]
    entries = [{"id": "9", "time": None, "changes": changes}, 7, {"changes": 7}]
    deep = "[" * 1_000 + "]" * 1_000
    body = json.dumps({"object": "whatsapp_business_account", "entry": entries, "more": "deep"})
    written = body.replace('"deep"', deep).encode()
    assert (await whatsapp.post(written, meta_headers(written)))[0] == 200
    keys = [event.message_received.text for event in await whatsapp.heard()]
    assert keys == ["1", "2", "4"]
    unnamed = "it does not say of which account it is"
    assert sorted(reason for _, reason in await refusals(whatsapp.gateway)) == [
        "contacts has not its form",
        "has not the form of such an event",
        *[unnamed] * 4,
        "statuses has not its form",
    ]


@pytest.mark.rule("C-20d")
async def test_what_is_wrong_with_one_of_thousands_is_its_own(whatsapp: Platform) -> None:
    messages: list[Any] = [{**wrote(f"w{number}"), "type": "reaction"} for number in range(1_000)]
    messages[500] = {**wrote("odd"), "timestamp": "9" * 30}
    value = {"metadata": {"phone_number_id": NUMBER}, "messages": messages}
    entry = {"id": "9", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    assert (await whatsapp.post(body, meta_headers(body)))[0] == 200
    assert len(await whatsapp.heard()) == 999
    assert await refusals(whatsapp.gateway) == [(500, "its time is none")]
