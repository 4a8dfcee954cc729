"""What Meta tells of templates: their state follows by the events' own times, and journeys hear of what is gone."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from libs.common.db.pool import open_pool
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2, delivery_pb2
from services.channel_gateway.metrics import PAUSED_TEMPLATES
from services.channel_gateway.worker.rest import measure_rest
from tests.integration.channel_gateway.conftest import TIMEOUT_S, WHATSAPP, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, account, meta_headers, whatsapp

__all__ = ["whatsapp"]
NOON_S = 1_772_000_000
APPROVED, PAUSED, DISABLED = (
    content_pb2.TEMPLATE_STATE_APPROVED,
    content_pb2.TEMPLATE_STATE_PAUSED,
    content_pb2.TEMPLATE_STATE_DISABLED,
)
GONE = 4
"""Kind of a row of the history."""


async def told(
    platform: Platform, *changes: tuple[int, dict[str, Any]], waba: str = "200000000000001"
) -> None:
    """A webhook of these changes of the template `hello`, each with the minute in which it was."""
    named = {"message_template_id": 1, "message_template_name": "hello", "message_template_language": "en"}
    entries = [
        {
            "id": waba,
            "time": NOON_S + 60 * minute,
            "changes": [
                {
                    "field": "template_category_update"
                    if "new_category" in value
                    else "message_template_status_update",
                    "value": {**named, **value},
                }
            ],
        }
        for minute, value in changes
    ]
    body = json.dumps({"object": "whatsapp_business_account", "entry": entries}).encode()
    assert (await platform.post(body, meta_headers(body)))[0] == 200
    await platform.heard()


async def seen(gateway: Gateway, template_id: str) -> content_pb2.MessageTemplate:
    request = pb.GetMessageTemplateRequest(team_id=str(gateway.team_id), message_template_id=template_id)
    return (await gateway.stub.GetMessageTemplate(request, timeout=TIMEOUT_S)).template


async def asked(platform: Platform, template_id: str) -> tuple[int, str]:
    """What becomes of a send with it."""
    gateway = platform.gateway
    customer = gateway.customer(platform.account_id, WHATSAPP)
    send = gateway.send(customer, WHATSAPP, account_id=platform.account_id)
    send.template.template_id = template_id
    (result,) = await gateway.ask(send)
    return result.state, result.reason


@pytest.mark.rule("C-03d")
async def test_a_template_that_is_paused_is_not_sent_until_it_is_approved_again(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10_000_000)
    template_id = await gateway.template(whatsapp.account_id, parameters=0)
    await told(whatsapp, (1, {"event": "PAUSED", "reason": "NONE"}))
    assert (await seen(gateway, template_id)).state == PAUSED
    assert await asked(whatsapp, template_id) == (delivery_pb2.SEND_STATE_FAILED, "TEMPLATE_NOT_APPROVED")
    await told(whatsapp, (0, {"event": "APPROVED"}), (0, {"event": "FLAGGED"}))
    assert (await seen(gateway, template_id)).state == PAUSED, "that was before"
    await told(whatsapp, (2, {"event": "APPROVED"}))
    assert (await asked(whatsapp, template_id))[0] == delivery_pb2.SEND_STATE_ACCEPTED
    await gateway.settled()


@pytest.mark.rule("C-10d")
async def test_why_a_template_was_refused_is_kept_until_it_is_not(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    template_id = await gateway.template(whatsapp.account_id, parameters=0)
    await told(whatsapp, (1, {"event": "REJECTED", "reason": "INVALID_FORMAT"}))
    refused = await seen(gateway, template_id)
    assert (refused.state, refused.rejected_reason) == (
        content_pb2.TEMPLATE_STATE_REJECTED,
        "INVALID_FORMAT",
    )
    await told(whatsapp, (1, {"event": "REJECTED", "reason": "INVALID_FORMAT"}))
    assert (await seen(gateway, template_id)).etag == refused.etag, "nothing is new"
    await told(whatsapp, (2, {"event": "REJECTED", "reason": "SCAM"}), (0, {"event": "APPROVED"}))
    again = await seen(gateway, template_id)
    assert again.rejected_reason == "SCAM"
    assert again.etag != refused.etag, "another reason is a change"
    odd: tuple[object, ...] = ("NONE", "", None, 7, "no name at all", "A" * 101)
    for minute, reason in enumerate(odd, 3):
        await told(whatsapp, (minute, {"event": "REJECTED", "reason": reason}))
        found = await seen(gateway, template_id)
        assert (found.state, found.rejected_reason) == (content_pb2.TEMPLATE_STATE_REJECTED, "")
    await told(whatsapp, (20, {"event": "REJECTED", "reason": "PROMOTIONAL"}))
    request = pb.UpdateMessageTemplateRequest(
        team_id=str(gateway.team_id), request_id="by hand", update_mask=FieldMask(paths=["state"])
    )
    request.template.CopyFrom(await seen(gateway, template_id))
    assert request.template.rejected_reason == "PROMOTIONAL"
    request.template.state = APPROVED
    assert not (await gateway.stub.UpdateMessageTemplate(request, timeout=TIMEOUT_S)).template.rejected_reason


async def test_a_template_that_is_disabled_is_told_to_journeys_once(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    other = await account(gateway, WHATSAPP, phone_number_id="2", waba_id="200000000000001")
    strange = await account(gateway, WHATSAPP, phone_number_id="3", waba_id="300000000000001")
    ours = [await gateway.template(whatsapp.account_id, parameters=0)]
    for account_id in (other, strange):
        template = content_pb2.MessageTemplate(account_id=account_id, name="hello", language="en")
        request = pb.CreateMessageTemplateRequest(
            team_id=str(gateway.team_id), request_id=account_id, template=template
        )
        made = await gateway.stub.CreateMessageTemplate(request, timeout=TIMEOUT_S)
        ours.append(made.template.message_template_id)
    for _ in range(2):
        await told(whatsapp, (1, {"event": "DISABLED"}))
    states = [(await seen(gateway, each)).state for each in ours]
    assert states[:2] == [DISABLED, DISABLED]
    assert states[2] != DISABLED, "it is another business account's"
    rows = [row for row in await gateway.facts() if row.kind == GONE]
    assert len(rows) == 2
    assert await asked(whatsapp, ours[0]) == (
        delivery_pb2.SEND_STATE_EXHAUSTED,
        "WHATSAPP_TEMPLATE_MISSING",
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_in_any_order_the_last_of_each_kind_holds(whatsapp: Platform, order: tuple[int, ...]) -> None:
    template_id = await whatsapp.gateway.template(whatsapp.account_id, parameters=0)
    said = [
        (1, {"event": "REJECTED"}),
        (2, {"new_category": "UTILITY", "previous_category": "MARKETING"}),
        (3, {"event": "PAUSED"}),
    ]
    for place in order:
        await told(whatsapp, said[place], said[place])
    found = await seen(whatsapp.gateway, template_id)
    assert (found.state, found.category) == (PAUSED, "UTILITY")


async def test_what_was_told_before_undoes_nothing_that_somebody_changed(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    template_id = await gateway.template(whatsapp.account_id, parameters=0)
    paused, other = (1, {"event": "PAUSED"}), (1, {"new_category": "UTILITY"})
    await told(whatsapp, paused, other)
    template = content_pb2.MessageTemplate(
        message_template_id=template_id, state=APPROVED, category="MARKETING"
    )
    request = pb.UpdateMessageTemplateRequest(
        team_id=str(gateway.team_id), request_id="again", template=template
    )
    request.update_mask.paths.extend(["state", "category"])
    await gateway.stub.UpdateMessageTemplate(request, timeout=TIMEOUT_S)
    await told(whatsapp, other, paused)
    found = await seen(gateway, template_id)
    assert (found.state, found.category) == (APPROVED, "MARKETING")
    now = int(gateway.clock.now().timestamp() - NOON_S) // 60 + 1
    await told(whatsapp, (now, paused[1]))
    assert (await seen(gateway, template_id)).state == PAUSED


@pytest.mark.rule("C-03d")
async def test_an_answer_that_a_template_is_paused_is_kept(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await gateway.top_up(10_000_000)
    template_id = await gateway.template(whatsapp.account_id, parameters=0)
    paused = {"waba_id": "200000000000001", "name": "hello", "language": "en", "status": "PAUSED"}
    async with gateway.http.patch(
        gateway.emulators.urls["whatsapp"] + "/_emulator/templates", json=paused
    ) as answer:
        assert answer.status == 200
    assert (await asked(whatsapp, template_id))[0] == delivery_pb2.SEND_STATE_ACCEPTED
    await gateway.settled()
    assert (await seen(gateway, template_id)).state == PAUSED
    assert await asked(whatsapp, template_id) == (delivery_pb2.SEND_STATE_FAILED, "TEMPLATE_NOT_APPROVED")
    async with await open_pool(gateway.database.dsn_of("channel_gateway"), name="test") as pool:
        await measure_rest(pool, gateway.clock)
    assert PAUSED_TEMPLATES._value.get() == 1, "whoever watches is told"
