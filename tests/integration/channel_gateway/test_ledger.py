"""What messages cost is explained to the last micro, and prepaid money is of one currency."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Database
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import delivery_pb2, limits_pb2
from omnijourney.common.v1 import money_pb2
from services.channel_gateway import metrics
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway, GatewayMaker
from tests.integration.channel_gateway.running_gateway import usage
from tests.integration.channel_gateway.test_hooks import Platform, whatsapp
from tests.integration.channel_gateway.test_receipts import sent

__all__ = ["whatsapp"]
HKD = 1_000_000
PRICE = HKD // 2


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[asyncpg.Connection[Any]]:
    """A connection of the owner."""
    connection = await asyncpg.connect(database.admin_dsn)
    yield connection
    await connection.close()


async def charges(gateway: Gateway, **filters: Any) -> list[limits_pb2.MessageCharge]:
    """All of them, in pages of three."""
    request = pb.ListMessageChargesRequest(team_id=str(gateway.team_id), page_size=3, **filters)
    found: list[limits_pb2.MessageCharge] = []
    while True:
        answer = await gateway.stub.ListMessageCharges(request, timeout=TIMEOUT_S)
        found += answer.message_charges
        if not answer.next_page_token:
            return found
        request.page_token = answer.next_page_token


async def unexplained(gateway: Gateway) -> int:
    """Micros of balance and reservations that entries and charges do not make."""
    team = str(gateway.team_id)
    wallet = (await gateway.stub.GetWallet(pb.GetWalletRequest(team_id=team), timeout=TIMEOUT_S)).wallet
    listing = pb.ListWalletEntriesRequest(team_id=team, page_size=500)
    entries = (await gateway.stub.ListWalletEntries(listing, timeout=TIMEOUT_S)).entries
    cost = sum(each.amount.amount_micros for each in await charges(gateway, channel=WHATSAPP))
    paid_in = sum(each.amount.amount_micros for each in entries)
    return wallet.balance.amount_micros + wallet.reserved.amount_micros - (paid_in - cost)


async def until(true: Callable[[], Awaitable[bool]], timeout_s: float = 20.0) -> None:
    """Waits for something to become true."""
    async with asyncio.timeout(timeout_s):
        while not await true():
            await asyncio.sleep(0.05)


@pytest.mark.rule("C-50")
async def test_entries_and_charges_make_the_balance_whatever_became_of_the_sends(gateway: Gateway) -> None:
    rng = random.Random(5)
    line, sink = await gateway.account(LINE, sink=True), await gateway.account(WHATSAPP, sink=True)
    real = await gateway.account(WHATSAPP)
    module, pair = await gateway.module(), await gateway.module("one", "two")
    template_id = await gateway.template(real, parameters=0)
    await gateway.top_up(20 * HKD)
    for code in (131026, 131050, 131009):
        await gateway.fault("whatsapp", kind="code", code=code, status=400, skip=rng.randrange(3))
    sends = []
    for number in range(24):
        account = (line, sink, real, real)[number % 4]
        channel = LINE if account == line else WHATSAPP
        customer = gateway.customer(account, channel) if rng.random() < 0.8 else str(new_id())
        send = gateway.send(customer, channel, account_id=account, cap=12)
        if account == real:
            send.template.template_id = template_id
        else:
            send.bot_module_id = rng.choice((module, pair))
        sends.append(send)
    for start in range(0, len(sends), 6):
        await gateway.ask(*sends[start : start + 6])
        await gateway.top_up(rng.choice((-PRICE, 2 * HKD)))
        await gateway.settled()
        assert await unexplained(gateway) == 0
    found = await charges(gateway)
    assert len({each.delivery_id for each in found}) == len(found) > 8, "a charge a delivery"
    assert {each.amount.currency_code for each in found} == {"TWD", "HKD"}
    figures = pb.GetSendFiguresRequest(team_id=str(gateway.team_id))
    answer = await gateway.stub.GetSendFigures(figures, timeout=TIMEOUT_S)
    for each in answer.figures:
        of_channel = await charges(gateway, channel=each.channel)
        assert sum(charge.message_count for charge in of_channel) == each.messages_sent
    assert found == sorted(found, key=lambda each: each.charge_time.ToNanoseconds(), reverse=True)


async def test_charges_are_found_by_journey_and_time(gateway: Gateway) -> None:
    account = await gateway.account(LINE, sink=True)
    module = await gateway.module()
    keys: list[str] = []
    for _ in range(3):
        send = gateway.send(gateway.customer(account, LINE), LINE, account_id=account, bot_module_id=module)
        await gateway.ask(send)
        await gateway.settled()
        keys.append(send.effect_key)
        gateway.clock.advance(timedelta(hours=1))
    now = gateway.clock.now()
    journey = str(gateway.journey_id)
    first, second = now - timedelta(hours=3), now - timedelta(hours=2)
    of_range = await charges(
        gateway, journey_id=journey, start_time=timestamp(first), end_time=timestamp(second)
    )
    assert [each.delivery_id for each in of_range] == keys[:1]
    assert [each.delivery_id for each in await charges(gateway, start_time=timestamp(second))] == keys[:0:-1]
    assert not await charges(gateway, journey_id=str(new_id()))


@pytest.mark.rule("C-02c")
async def test_a_failure_told_later_is_given_back_once(whatsapp: Platform) -> None:
    gateway = whatsapp.gateway
    await whatsapp.aim(held=True)
    key, message_id = await sent(whatsapp, cap=5)
    before = await gateway.balance()
    for _ in range(2):
        await whatsapp.tell("statuses", id=message_id, status="failed", code=131026)
        await whatsapp.tell("webhooks/release", reverse=True)
        await whatsapp.heard()

    async def is_given_back() -> bool:
        return await gateway.balance() > before

    await until(is_given_back)
    assert await gateway.balance() == before + PRICE
    assert await usage(gateway) == 1, "the place under the cap stays taken"
    refund, charge = await charges(gateway)
    assert (charge.delivery_id, charge.message_count, charge.amount.amount_micros) == (key, 1, PRICE)
    assert (refund.delivery_id, refund.message_count, refund.amount.amount_micros) == (key, -1, -PRICE)
    assert await unexplained(gateway) == 0
    assert (await gateway.delivery(key)).state == delivery_pb2.SEND_STATE_SENT


async def alert_at(gateway: Gateway, micros: int | None, currency: str = "HKD") -> limits_pb2.BalanceAlert:
    """The alert with another threshold."""
    request = pb.UpdateBalanceAlertRequest(team_id=str(gateway.team_id), request_id=str(new_id()))
    request.update_mask.paths.append("threshold")
    if micros is not None:
        money = money_pb2.Money(currency_code=currency, amount_micros=micros)
        request.balance_alert.threshold.CopyFrom(money)
    return (await gateway.stub.UpdateBalanceAlert(request, timeout=TIMEOUT_S)).balance_alert


def told(way: str) -> float:
    """How often a crossing was told, by all processes together."""
    return float(metrics.BALANCE_CROSSINGS.labels(way)._value.get())


@pytest.mark.rule("C-50")
async def test_a_low_balance_is_told_once_each_time_by_two_gateways(
    gateway: Gateway, maker: GatewayMaker
) -> None:
    below, above = told("BELOW"), told("ABOVE")
    request = pb.GetBalanceAlertRequest(team_id=str(gateway.team_id))
    never = (await gateway.stub.GetBalanceAlert(request, timeout=TIMEOUT_S)).balance_alert
    assert not never.HasField("threshold")
    assert not never.firing
    async with maker.start(gateway.clock):
        await gateway.top_up(3 * HKD)
        assert not (await alert_at(gateway, 2 * HKD)).firing
        for times in (1, 2):
            await gateway.top_up(-2 * HKD)

            async def is_told(expected: float = below + times) -> bool:
                return told("BELOW") >= expected

            await until(is_told)
            alert = (await gateway.stub.GetBalanceAlert(request, timeout=TIMEOUT_S)).balance_alert
            assert (alert.firing, alert.threshold.amount_micros) == (True, 2 * HKD)
            await gateway.top_up(2 * HKD)

            async def is_told_too(expected: float = above + times) -> bool:
                return told("ABOVE") >= expected

            await until(is_told_too)
        assert (told("BELOW") - below, told("ABOVE") - above) == (2, 2)
    assert not (await alert_at(gateway, None)).HasField("threshold")
    stale = pb.UpdateBalanceAlertRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), etag=never.etag
    )
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await gateway.stub.UpdateBalanceAlert(stale, timeout=TIMEOUT_S)
    assert remote_error(refused.value).reason == "ETAG_MISMATCH"


async def set_price(gateway: Gateway, currency: str) -> None:
    """Another price of WhatsApp's messages."""
    price = money_pb2.Money(currency_code=currency, amount_micros=PRICE)
    request = pb.SetMessagePriceRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), channel=WHATSAPP, price=price
    )
    await gateway.stub.SetMessagePrice(request, timeout=TIMEOUT_S)


async def currency_asked_for(call: Awaitable[Any]) -> str:
    """In which currency the refusal of a call says that things are."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    error = remote_error(refused.value)
    assert error.reason == "WALLET_CURRENCY_MISMATCH"
    return str(error.metadata["currency"])


@pytest.mark.rule("J-07l")
async def test_money_in_another_currency_than_the_price_is_told_when_either_is_set(gateway: Gateway) -> None:
    assert await currency_asked_for(gateway.top_up(1000 * HKD, "TWD")) == "HKD"
    await gateway.top_up(HKD)
    assert await currency_asked_for(set_price(gateway, "TWD")) == "HKD"
    assert await currency_asked_for(alert_at(gateway, HKD, "TWD")) == "HKD"
    await gateway.top_up(-HKD)
    await set_price(gateway, "TWD")
    await gateway.top_up(3 * HKD, "TWD")
    assert await currency_asked_for(gateway.top_up(HKD)) == "TWD"
    listing = pb.ListWalletEntriesRequest(team_id=str(gateway.team_id))
    entries = (await gateway.stub.ListWalletEntries(listing, timeout=TIMEOUT_S)).entries
    assert [each.amount.currency_code for each in entries] == ["TWD", "HKD", "HKD"]


@pytest.mark.rule("J-07l")
async def test_money_in_another_currency_is_never_a_balance_of_zero(
    gateway: Gateway, admin: asyncpg.Connection[Any]
) -> None:
    account = await gateway.account(WHATSAPP, sink=True)
    module = await gateway.module()
    await gateway.top_up(5 * HKD)
    await admin.execute("UPDATE channel_gateway.wallet SET currency = 'TWD'")  # as the release before took it
    send = gateway.send(
        gateway.customer(account, WHATSAPP), WHATSAPP, account_id=account, bot_module_id=module
    )
    (answer,) = await gateway.ask(send)
    assert (answer.state, answer.reason) == (delivery_pb2.SEND_STATE_FAILED, "WALLET_CURRENCY_MISMATCH")
    assert await gateway.balance() == 5 * HKD
