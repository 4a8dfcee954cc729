"""What WhatsApp says of accounts and templates after it took a message ends them as what it answers at once does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.clients.channels.meta_rules import WHATSAPP as RULES
from services.channel_gateway.domain.facts import GoneKind
from tests.integration.channel_gateway.conftest import MESSENGER, START, TIMEOUT_S, Gateway
from tests.integration.channel_gateway.test_hooks import Platform, account, meta_headers, whatsapp
from tests.integration.channel_gateway.test_receipts import sent, status_body

__all__ = ["whatsapp"]
ACTIVE = account_pb2.ACCOUNT_STATE_ACTIVE
UNUSABLE = account_pb2.ACCOUNT_STATE_UNUSABLE
GONE = 4
"""Kind of a row of the history."""
LOCKING = sorted(code for code, rule in RULES.items() if rule.account_unusable and not 200 < code < 300)


async def state_of(gateway: Gateway, account_id: str) -> tuple[int, str]:
    request = pb.GetChannelAccountRequest(team_id=str(gateway.team_id), channel_account_id=account_id)
    found = (await gateway.stub.GetChannelAccount(request, timeout=TIMEOUT_S)).account
    return found.state, found.state_reason


async def failed(platform: Platform, *codes: int, ago_s: int = 0) -> None:
    """Messages failed that were taken."""
    at = str(int(START.timestamp()) - ago_s)
    for code in codes:
        status = {"id": f"wamid.{new_id().hex}", "status": "failed", "timestamp": at}
        body = status_body("100000000000001", {**status, "errors": [{"code": code}]})
        assert (await platform.post(body, meta_headers(body)))[0] == 200
    await platform.heard()


async def gone(gateway: Gateway) -> list[tuple[int | None, str]]:
    return [(row.outcome, row.reason) for row in await gateway.facts() if row.kind == GONE]


@pytest.mark.rule("C-03c", "C-20b")
async def test_a_lock_that_is_told_later_ends_the_account_and_an_old_one_does_not(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    assert {131031, 368, 190, 133010, 131037} <= set(LOCKING)
    await failed(whatsapp, *LOCKING, ago_s=1)
    assert await state_of(gateway, whatsapp.account_id) == (ACTIVE, ""), "it was made since"
    await failed(whatsapp, 131053, 131026)
    assert await state_of(gateway, whatsapp.account_id) == (ACTIVE, ""), "these say nothing of it"
    for code in LOCKING:
        await failed(whatsapp, code)
        found = await state_of(gateway, whatsapp.account_id)
        assert found == (UNUSABLE, f"a message failed later with {code}")
        again = account_pb2.ChannelAccount(channel_account_id=whatsapp.account_id, state=ACTIVE)
        request = pb.UpdateChannelAccountRequest(
            team_id=str(gateway.team_id), request_id=str(new_id()), account=again
        )
        await gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)


async def noticed(platform: Platform, field: str, value: dict[str, Any]) -> tuple[int, str]:
    """State and reason of the account after something was told of its business account."""
    entry = {
        "id": "200000000000001",
        "time": int(START.timestamp()),
        "changes": [{"field": field, "value": value}],
    }
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    assert (await platform.post(body, meta_headers(body)))[0] == 200
    await platform.heard()
    return await state_of(platform.gateway, platform.account_id)


@pytest.mark.rule("C-03c", "C-20b")
async def test_what_whatsapp_says_of_the_business_account_is_seen_at_the_account(whatsapp: Platform) -> None:
    number = {"display_phone_number": "15550783881", "current_limit": "TIER_2K"}
    quality = "phone_number_quality_update"
    flagged = (ACTIVE, f"{quality}: 15550783881: FLAGGED TIER_2K")
    assert await noticed(whatsapp, quality, number | {"event": "FLAGGED"}) == flagged
    assert await noticed(whatsapp, "account_update", {"event": "VERIFIED_ACCOUNT"}) == flagged
    assert await noticed(whatsapp, "security", {"event": "PIN_CHANGED"}) == (
        ACTIVE,
        "security: a number: PIN_CHANGED",
    )
    assert (await noticed(whatsapp, quality, number | {"event": "UNFLAGGED"}))[1].startswith("security")
    lowered = await noticed(whatsapp, quality, {"event": "DOWNGRADE", "current_limit": "TIER_250"})
    assert lowered == (ACTIVE, f"{quality}: a number: DOWNGRADE TIER_250")
    assert await noticed(whatsapp, quality, {"event": "UPGRADE"}) == (ACTIVE, "")
    assert await noticed(whatsapp, "account_update", {"event": "ACCOUNT_DELETED"}) == (
        UNUSABLE,
        "WhatsApp: the business account was deleted",
    )


@pytest.mark.rule("C-03c", "C-20b")
async def test_that_the_channel_is_not_paid_is_told_to_journeys(whatsapp: Platform) -> None:
    await failed(whatsapp, 131042)
    assert await gone(whatsapp.gateway) == [(GoneKind.PAYMENT, "WHATSAPP_BALANCE_EXHAUSTED")]
    assert (await state_of(whatsapp.gateway, whatsapp.account_id))[0] == ACTIVE


@pytest.mark.rule("C-03d")
@pytest.mark.parametrize(
    ("code", "state", "facts"),
    [
        (132001, content_pb2.TEMPLATE_STATE_PAUSED, []),
        (132015, content_pb2.TEMPLATE_STATE_PAUSED, []),
        (132016, content_pb2.TEMPLATE_STATE_DISABLED, [(GoneKind.TEMPLATE, "GONE_AT_CHANNEL")]),
    ],
)
async def test_what_is_told_later_of_a_template_is_kept(
    whatsapp: Platform, code: int, state: int, facts: list[Any]
) -> None:
    gateway = whatsapp.gateway
    key, message_id = await sent(whatsapp)
    for _ in range(2):
        await whatsapp.tell("statuses", id=message_id, status="failed", code=code)
        await whatsapp.heard()
    listed = await gateway.stub.ListMessageTemplates(
        pb.ListMessageTemplatesRequest(team_id=str(gateway.team_id)), timeout=TIMEOUT_S
    )
    assert [each.state for each in listed.templates] == [state], key
    assert await gone(gateway) == facts


@pytest.mark.rule("C-03c", "C-20b")
@pytest.mark.parametrize(("action", "state"), [("warning", ACTIVE), ("unblock", ACTIVE), ("block", UNUSABLE)])
async def test_a_page_that_is_blocked_for_its_policy_is_unusable(
    gateway: Gateway, action: str, state: int
) -> None:
    platform = Platform(gateway, await account(gateway, MESSENGER, page_id="7"), "messenger")
    at_ms = int(START.timestamp() * 1_000)
    enforced = {"action": action, "reason": "The page sent spam."}
    event = {"recipient": {"id": "7"}, "timestamp": at_ms, "policy_enforcement": enforced}
    body = json.dumps(
        {"object": "page", "entry": [{"id": "7", "time": at_ms, "messaging": [event]}]}
    ).encode()
    assert (await platform.post(body, meta_headers(body)))[0] == 200
    await gateway.settled()
    assert (await state_of(gateway, platform.account_id))[0] == state
