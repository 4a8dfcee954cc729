"""What the gateway's changes leave in the audit log."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2, webhook_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.common.v1 import money_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway


async def _last(gateway: Gateway) -> Any:
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        return await connection.fetchrow(
            "SELECT * FROM platform.audit_entry ORDER BY audit_entry_id DESC LIMIT 1"
        )
    finally:
        await connection.close()


async def _call(gateway: Gateway, name: str, **fields: Any) -> Any:
    """The entry of a write."""
    request = getattr(pb, f"{name}Request")(team_id=str(gateway.team_id), request_id=str(new_id()), **fields)
    await getattr(gateway.stub, name)(request, timeout=TIMEOUT_S)
    entry = await _last(gateway)
    assert entry["method"].endswith(f"/{name}")
    assert entry["request_id"] == request.request_id
    return entry


@pytest.mark.rule("X-02d")
async def test_changes_and_deletions_show_what_was_there(gateway: Gateway) -> None:
    account_id, module_id, key = await gateway.account(LINE), await gateway.module("Hi"), await gateway.shop()
    renamed = account_pb2.ChannelAccount(channel_account_id=account_id, display_name="New")
    renamed.line.access_token = "another-token"
    changed = await _call(gateway, "UpdateChannelAccount", account=renamed)
    assert (changed["resource_type"], changed["resource_id"]) == ("ChannelAccount", account_id)
    assert changed["fields"] == ["display_name", "line.access_token"]
    assert json.loads(changed["before"])["display_name"] == "Shop"
    assert "token" not in changed["before"] + changed["after"]
    module = content_pb2.BotModule(bot_module_id=module_id, name="Bye")
    assert json.loads((await _call(gateway, "UpdateBotModule", module=module))["before"])["name"] == "Hello"
    shop = webhook_pb2.Shop(shop_id="demo", display_name="Other")
    assert (await _call(gateway, "UpdateShop", shop=shop))["fields"] == ["display_name"]
    keys = pb.ListShopKeysRequest(team_id=str(gateway.team_id), shop_id="demo")
    (shown,) = (await gateway.stub.ListShopKeys(keys, timeout=TIMEOUT_S)).keys
    revoked = await _call(gateway, "RevokeShopKey", shop_id="demo", shop_key_id=shown.shop_key_id)
    assert (revoked["resource_type"], revoked["resource_id"]) == ("ShopKey", shown.shop_key_id)
    assert key not in str(dict(revoked))
    for name, kind, fields in (
        ("DeleteBotModule", "BotModule", {"bot_module_id": module_id}),
        ("DeleteShop", "Shop", {"shop_id": "demo"}),
        ("DeleteChannelAccount", "ChannelAccount", {"channel_account_id": account_id}),
    ):
        gone = await _call(gateway, name, **fields)
        assert (gone["resource_type"], gone["resource_id"]) == (kind, next(iter(fields.values())))
        assert json.loads(gone["before"])
        assert gone["after"] == ""


async def test_limits_and_money_show_what_was_there(gateway: Gateway) -> None:
    account_id = await gateway.account(WHATSAPP)
    template_id = await gateway.template(account_id)
    template = content_pb2.MessageTemplate(message_template_id=template_id, category="UTILITY")
    changed = await _call(gateway, "UpdateMessageTemplate", template=template)
    assert changed["fields"] == ["category"]
    gone = await _call(gateway, "DeleteMessageTemplate", message_template_id=template_id)
    assert json.loads(gone["before"])["category"] == "UTILITY"
    price = money_pb2.Money(currency_code="HKD", amount_micros=1_000_000)
    for before in ("500000", "1000000"):
        entry = await _call(gateway, "SetMessagePrice", channel=WHATSAPP, price=price)
        assert before in entry["before"]
    await gateway.top_up(5_000_000)
    await gateway.top_up(7_000_000)
    money = await _last(gateway)
    assert json.loads(money["before"])["balance"]["amount_micros"] == "5000000"
    assert json.loads(money["after"])["wallet"]["balance"]["amount_micros"] == "12000000"
    assert json.loads(money["after"])["entry"]["amount"]["amount_micros"] == "7000000"
    assert (money["resource_type"], money["fields"]) == ("Wallet", ["balance.amount_micros"])
