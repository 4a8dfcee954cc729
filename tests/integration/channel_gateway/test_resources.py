"""Resources for people: created once, listed in pages, changed under an etag, refused with every fault."""

from __future__ import annotations

from typing import Any

import asyncpg
import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from libs.common.rpc.fields import FieldCheck
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2, limits_pb2, quota_pb2, webhook_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.common.v1 import channel_pb2, error_reason_pb2, money_pb2
from services.channel_gateway.servicer.shops import shop_of
from tests.integration.channel_gateway.conftest import (
    INSTAGRAM,
    LINE,
    MESSENGER,
    TIMEOUT_S,
    WHATSAPP,
    Gateway,
)


def module_request(gateway: Gateway, *texts: str, name: str = "Hello") -> pb.CreateBotModuleRequest:
    module = content_pb2.BotModule(name=name)
    for text in texts:
        module.cards.add().text.text = text
    return pb.CreateBotModuleRequest(team_id=str(gateway.team_id), request_id=str(new_id()), module=module)


async def test_a_write_is_answered_once(gateway: Gateway) -> None:
    request = module_request(gateway, "Hello")
    first = await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)
    assert await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S) == first
    request.module.name = "Other"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def refused_create(call: Any, request: Any) -> tuple[grpc.StatusCode, str, str]:
    """How a create is refused: code, reason, field."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call(request, timeout=TIMEOUT_S)
    error = remote_error(refused.value)
    return refused.value.code(), error.reason, error.metadata.get("field", "")


async def test_names_of_templates_and_ids_of_shops_are_taken_once(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    await gateway.template(account, name="hello")
    template = content_pb2.MessageTemplate(account_id=account, name="hello", language="en", parameter_count=1)
    again = pb.CreateMessageTemplateRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), template=template
    )
    taken = (grpc.StatusCode.ALREADY_EXISTS, "DUPLICATE_VALUE")
    assert await refused_create(gateway.stub.CreateMessageTemplate, again) == (*taken, "name")
    again.template.language = "de"
    await gateway.stub.CreateMessageTemplate(again, timeout=TIMEOUT_S)

    await gateway.shop("demo")
    shop = pb.CreateShopRequest(
        team_id=str(gateway.team_id),
        request_id=str(new_id()),
        shop=webhook_pb2.Shop(shop_id="demo", display_name="Another"),
    )
    assert await refused_create(gateway.stub.CreateShop, shop) == (*taken, "shop_id")


@pytest.mark.parametrize("shop_id", [".", "..", "a b", ""])
def test_an_id_of_a_shop_can_stand_in_an_address(shop_id: str) -> None:
    check = FieldCheck()
    shop_of(check, "shop.shop_id", shop_id)
    assert [each.field for each in check.violations] == ["shop.shop_id"]


async def test_names_are_kept_as_they_are_seen(gateway: Gateway) -> None:
    request = module_request(gateway, "Hi", name=" Hello\u200b ")
    module = (await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)).module
    assert module.name == "Hello"
    for odd in ("\u200b", "\u3164", "a\nb", "\x1b[31m"):
        change = pb.UpdateBotModuleRequest(
            team_id=str(gateway.team_id), request_id=str(new_id()), module=module
        )
        change.module.name = odd
        code, _, _ = await refused_create(gateway.stub.UpdateBotModule, change)
        assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_every_fault_is_named(gateway: Gateway) -> None:
    request = module_request(gateway, "Hello {{customer.age}}", "", name="")
    button = request.module.cards.add().button
    button.text = "Choose"
    button.buttons.add(label="x" * 21, url="ftp://example.com")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)
    assert {violation.field for violation in remote_error(refused.value).violations} == {
        "module.name",
        "module.cards[0].text.text",
        "module.cards[1].text.text",
        "module.cards[2].button.buttons[0].label",
        "module.cards[2].button.buttons[0].url",
    }


@pytest.mark.rule("C-10a")
async def test_cards_of_all_kinds_come_back_as_they_were(gateway: Gateway) -> None:
    request = module_request(gateway, "Hello")
    module = request.module
    module.cards.add().image.image_url = "https://example.com/a.png"
    card = module.cards.add().button
    card.text = "Choose"
    card.buttons.add(label="Shop", url="https://example.com")
    card.buttons.add(label="Claim", postback_data="c=claim")
    card.buttons.add(label="Yes", message_text="yes")
    condition = module.cards.add().condition
    condition.figure = content_pb2.POINT_FIGURE_BALANCE
    condition.comparison = content_pb2.POINT_COMPARISON_BETWEEN
    condition.value, condition.value_max = 1, 9
    condition.then_cards.add().text.text = "some"
    coupon = module.cards.add().coupon
    coupon.coupon_id, coupon.text, coupon.button_label = gateway.coupon(), "A coupon", "Claim"
    created = (await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)).module
    assert list(created.cards) == list(module.cards)

    update = pb.UpdateBotModuleRequest(
        team_id=str(gateway.team_id),
        request_id=str(new_id()),
        module=content_pb2.BotModule(bot_module_id=created.bot_module_id, name="Renamed"),
        etag=created.etag,
    )
    renamed = (await gateway.stub.UpdateBotModule(update, timeout=TIMEOUT_S)).module
    assert renamed.name == "Renamed"
    assert list(renamed.cards) == list(module.cards), "what is not given stays"
    update.request_id = str(new_id())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.UpdateBotModule(update, timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.ABORTED


async def test_lists_page_in_order(gateway: Gateway) -> None:
    made = [await gateway.module(str(number)) for number in range(5)]
    seen: list[str] = []
    request = pb.ListBotModulesRequest(team_id=str(gateway.team_id), page_size=2)
    while True:
        page = await gateway.stub.ListBotModules(request, timeout=TIMEOUT_S)
        seen += [module.bot_module_id for module in page.modules]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == sorted(made)
    request.team_id = str(new_id())
    with pytest.raises(grpc.aio.AioRpcError):
        await gateway.stub.ListBotModules(request, timeout=TIMEOUT_S)


async def test_another_team_sees_nothing(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    request = pb.GetChannelAccountRequest(team_id=str(new_id()), channel_account_id=account)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.GetChannelAccount(request, timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_account_that_the_channel_does_not_know_says_so(gateway: Gateway) -> None:
    account = account_pb2.ChannelAccount(
        channel=channel_pb2.CHANNEL_MESSENGER,
        display_name="Page",
        messenger=account_pb2.MessengerConnection(page_id="1", access_token="of no page", app_secrets=["s"]),
    )
    request = pb.CreateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=account
    )
    made = (await gateway.stub.CreateChannelAccount(request, timeout=TIMEOUT_S)).account
    assert (made.messenger.page_id, list(made.messenger.app_secrets)) == ("1", [])
    check = pb.CheckChannelAccountRequest(
        team_id=str(gateway.team_id), channel_account_id=made.channel_account_id
    )
    found = await gateway.stub.CheckChannelAccount(check, timeout=TIMEOUT_S)
    assert (found.usable, found.detail) == (False, "(#190) Error validating access token")


async def test_an_empty_secret_signs_nothing(gateway: Gateway) -> None:
    account = account_pb2.ChannelAccount(channel=LINE, display_name="Shop")
    account.line.access_token = "t"
    account.line.channel_secrets.append("")
    request = pb.CreateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=account
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.CreateChannelAccount(request, timeout=TIMEOUT_S)
    (violation,) = remote_error(refused.value).violations
    assert violation.field == "account.line.channel_secrets[0]"


async def test_renewing_a_token_keeps_the_ids_that_are_not_given(gateway: Gateway) -> None:
    account_id = await gateway.account(WHATSAPP)
    changed = account_pb2.ChannelAccount(channel_account_id=account_id)
    changed.whatsapp.access_token = "another"
    renewed = await renew(gateway, changed)
    kept = (renewed.whatsapp.phone_number_id, renewed.whatsapp.waba_id)
    assert kept == ("100000000000001", "200000000000001")
    line = account_pb2.ChannelAccount(channel_account_id=await gateway.account(LINE))
    line.line.bot_user_id = " U" + "1" * 32
    first = await renew(gateway, line)
    line.line.channel_id, line.line.bot_user_id = "17", ""
    second = await renew(gateway, line)
    assert (second.line.channel_id, second.line.bot_user_id) == ("17", "U" + "1" * 32)
    assert first.line.channel_id not in {"", "17"}


@pytest.mark.parametrize("channel", [MESSENGER, INSTAGRAM])
async def test_the_page_that_people_are_known_by_stays(gateway: Gateway, channel: int) -> None:
    changed = account_pb2.ChannelAccount(channel_account_id=await gateway.account(channel))
    connection: Any = changed.messenger if channel == MESSENGER else changed.instagram
    connection.access_token = "another"
    await renew(gateway, changed)
    field = "page_id" if channel == MESSENGER else "instagram_id"
    setattr(connection, field, "77")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await renew(gateway, changed)
    (violation,) = remote_error(refused.value).violations
    assert violation.field == f"account.{changed.WhichOneof('connection')}.{field}"


async def test_no_two_accounts_of_a_team_have_one_id_at_their_channel(gateway: Gateway) -> None:
    """What the channel tells would be taken twice."""

    async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        return refused.value.code(), remote_error(refused.value).metadata["field"]

    taken = grpc.StatusCode.ALREADY_EXISTS
    for channel, field in (
        (WHATSAPP, "account.whatsapp.phone_number_id"),
        (MESSENGER, "account.messenger.page_id"),
        (INSTAGRAM, "account.instagram.instagram_id"),
    ):
        account = await gateway.account(channel, number="7")
        assert await refusal(gateway.account(channel, number="7")) == (taken, field)
        delete = pb.DeleteChannelAccountRequest(
            team_id=str(gateway.team_id), request_id=str(new_id()), channel_account_id=account
        )
        await gateway.stub.DeleteChannelAccount(delete, timeout=TIMEOUT_S)
        await gateway.account(channel, number="7")
    lines = [account_pb2.ChannelAccount(channel_account_id=await gateway.account(LINE)) for _ in range(2)]
    for field, value in (("channel_id", "17"), ("bot_user_id", "U" + "1" * 32)):
        for account_ in lines:
            setattr(account_.line, field, value)
        await renew(gateway, lines[0])
        assert await refusal(renew(gateway, lines[1])) == (taken, f"account.line.{field}")
        setattr(lines[1].line, field, "")
        await renew(gateway, lines[0])


async def renew(gateway: Gateway, account: account_pb2.ChannelAccount) -> account_pb2.ChannelAccount:
    request = pb.UpdateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=account
    )
    return (await gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)).account


async def test_the_wallet_keeps_its_currency_and_never_goes_below_zero(gateway: Gateway) -> None:
    await gateway.top_up(5_000_000)
    with pytest.raises(grpc.aio.AioRpcError) as other:
        await gateway.top_up(1, "USD")
    assert remote_error(other.value).reason == "WALLET_CURRENCY_MISMATCH"
    with pytest.raises(grpc.aio.AioRpcError) as below:
        await gateway.top_up(-5_000_001)
    assert remote_error(below.value).reason == "WALLET_BALANCE_TOO_LOW"
    await gateway.top_up(-2_000_000)
    request = pb.ListWalletEntriesRequest(team_id=str(gateway.team_id))
    entries = (await gateway.stub.ListWalletEntries(request, timeout=TIMEOUT_S)).entries
    assert [entry.balance_after.amount_micros for entry in entries] == [3_000_000, 5_000_000]
    assert await gateway.balance() == 3_000_000


@pytest.mark.parametrize("micros", [2**63 - 1, -(2**63), 10**18 + 1])
async def test_amounts_have_a_size_that_can_be_summed(gateway: Gateway, micros: int) -> None:
    await gateway.top_up(5)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.top_up(micros)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    price = pb.SetMessagePriceRequest(
        team_id=str(gateway.team_id),
        request_id=str(new_id()),
        channel=WHATSAPP,
        price=money_pb2.Money(currency_code="HKD", amount_micros=micros),
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.SetMessagePrice(price, timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.top_up(10**18)
    assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert await gateway.balance() == 5


@pytest.mark.rule("C-50")
async def test_prices_have_defaults_and_can_be_set(gateway: Gateway) -> None:
    request = pb.ListMessagePricesRequest(team_id=str(gateway.team_id))

    async def prices() -> dict[int, quota_pb2.MessagePrice]:
        reply = await gateway.stub.ListMessagePrices(request, timeout=TIMEOUT_S)
        return {price.channel: price for price in reply.prices}

    default = await prices()
    assert (default[LINE].price.currency_code, default[LINE].price.amount_micros) == ("TWD", 200_000)
    assert (default[WHATSAPP].price.currency_code, default[WHATSAPP].price.amount_micros) == ("HKD", 500_000)
    assert default[channel_pb2.CHANNEL_MESSENGER].price.amount_micros == 0
    setting = pb.SetMessagePriceRequest(
        team_id=str(gateway.team_id),
        request_id=str(new_id()),
        channel=channel_pb2.CHANNEL_WHATSAPP,
        price=money_pb2.Money(currency_code="USD", amount_micros=70_000),
    )
    await gateway.stub.SetMessagePrice(setting, timeout=TIMEOUT_S)
    changed = (await prices())[WHATSAPP]
    assert (changed.custom, changed.price.currency_code) == (True, "USD")


async def test_a_plan_quota_is_asked_of_line(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    await gateway.line_quota(7)
    request = pb.RefreshPlanQuotaRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account_id=account
    )
    quota = (await gateway.stub.RefreshPlanQuota(request, timeout=TIMEOUT_S)).quota
    assert (quota.unlimited, quota.message_limit, quota.month) == (False, 7, "2026-03-01")
    check = pb.CheckChannelAccountRequest(team_id=str(gateway.team_id), channel_account_id=account)
    assert (await gateway.stub.CheckChannelAccount(check, timeout=TIMEOUT_S)).usable


async def test_writes_to_an_account_are_answered_once_also_after_its_deletion(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    team: dict[str, Any] = {"team_id": str(gateway.team_id)}
    update = pb.UpdateChannelAccountRequest(
        **team,
        request_id="update",
        account=account_pb2.ChannelAccount(channel_account_id=account, display_name="New"),
    )
    quota = pb.SetPlanQuotaRequest(**team, request_id="quota", account_id=account, message_limit=5)
    updated = await gateway.stub.UpdateChannelAccount(update, timeout=TIMEOUT_S)
    limited = await gateway.stub.SetPlanQuota(quota, timeout=TIMEOUT_S)
    delete = pb.DeleteChannelAccountRequest(**team, request_id="delete", channel_account_id=account)
    await gateway.stub.DeleteChannelAccount(delete, timeout=TIMEOUT_S)
    assert await gateway.stub.UpdateChannelAccount(update, timeout=TIMEOUT_S) == updated
    assert await gateway.stub.SetPlanQuota(quota, timeout=TIMEOUT_S) == limited
    quota.request_id = "other"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.SetPlanQuota(quota, timeout=TIMEOUT_S)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_preview_shows_what_the_channel_would_get(gateway: Gateway) -> None:
    module = await gateway.module("Hi {{customer.name|friend}}", "two")
    request = pb.PreviewBotModuleRequest(
        team_id=str(gateway.team_id), bot_module_id=module, channel=channel_pb2.CHANNEL_WHATSAPP
    )
    preview = await gateway.stub.PreviewBotModule(request, timeout=TIMEOUT_S)
    assert preview.messages == 2
    assert "Hi friend" in preview.requests[0]


async def test_other_services_know_the_accounts_that_there_are(gateway: Gateway) -> None:
    async def known() -> set[str]:
        connection = await asyncpg.connect(gateway.database.admin_dsn)
        try:
            rows = await connection.fetch("SELECT team_id, account_id, channel FROM platform.channel_account")
        finally:
            await connection.close()
        channels = {kept: LINE, gone: WHATSAPP}
        assert all(row["channel"] == channels[str(row["account_id"])] for row in rows)
        assert {row["team_id"] for row in rows} == {gateway.team_id}
        return {str(row["account_id"]) for row in rows}

    kept, gone = await gateway.account(LINE), await gateway.account(WHATSAPP, sink=True)
    assert await known() == {kept, gone}
    request = pb.DeleteChannelAccountRequest(
        team_id=str(gateway.team_id), request_id="delete", channel_account_id=gone
    )
    await gateway.stub.DeleteChannelAccount(request, timeout=TIMEOUT_S)
    assert await known() == {kept}


async def test_plan_quotas_are_set_together_and_each_by_itself(gateway: Gateway) -> None:
    first, second = await gateway.account(LINE), await gateway.account(LINE)
    whatsapp, strange = await gateway.account(WHATSAPP), str(new_id())
    settings = [
        limits_pb2.PlanQuotaSetting(channel_account_id=account, message_limit=limit)
        for account, limit in (
            (first, 5),
            (whatsapp, 6),
            (strange, 7),
            ("no id", 8),
            (second, -1),
            (first, 9),
        )
    ]
    settings.append(limits_pb2.PlanQuotaSetting(channel_account_id=second))
    request = pb.BatchSetPlanQuotasRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), settings=settings
    )
    answer = await gateway.stub.BatchSetPlanQuotas(request, timeout=TIMEOUT_S)
    assert await gateway.stub.BatchSetPlanQuotas(request, timeout=TIMEOUT_S) == answer
    invalid, missing = (
        error_reason_pb2.ERROR_REASON_INVALID_FIELDS,
        error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND,
    )
    assert [each.reason for each in answer.results] == [0, invalid, missing, invalid, invalid, 0, 0]
    assert [each.channel_account_id for each in answer.results][2:4] == [strange, "no id"]

    async def quota(account: str) -> tuple[bool, int]:
        read = pb.GetPlanQuotaRequest(team_id=str(gateway.team_id), account_id=account)
        found = (await gateway.stub.GetPlanQuota(read, timeout=TIMEOUT_S)).quota
        return found.unlimited, found.message_limit

    assert [await quota(first), await quota(second)] == [(False, 9), (True, 0)]
