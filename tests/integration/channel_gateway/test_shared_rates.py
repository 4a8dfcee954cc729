"""An account's rate and state hold over all processes of the gateway."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from uuid import UUID

import pytest

from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import account_pb2, delivery_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from services.channel_gateway.store.rates import Ask, RateStore
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, Gateway, GatewayMaker

LENGTH = timedelta(minutes=5)
"""Longer than a test takes."""
OVER = timedelta(minutes=-5)


@pytest.mark.rule("C-02d")
async def test_shares_never_make_more_than_the_rate_and_come_back_from_the_dead(gateway: Gateway) -> None:
    account = UUID(await gateway.account(LINE, sink=True))
    first, second = new_id(), new_id()
    async with await open_pool(gateway.database.dsn_of("channel_gateway"), name="test") as pool:

        async def share(sender: UUID, held: float, weight: int = 1, length: timedelta = LENGTH) -> float:
            asks = [Ask(gateway.team_id, account, weight, held)]
            return (await RateStore(pool).renew(sender, asks, length))[0].share

        assert await share(first, 0.0) == 10_000, "all of it, for one alone"
        assert await share(second, 0.0) == 0
        assert await share(first, 10_000) == 5_000
        assert await share(second, 0.0) == 0, "the first may not have heard yet that it is to go slower"
        assert await share(first, 5_000) == 5_000
        assert await share(second, 0.0) == 5_000
        assert await share(second, 5_000, weight=4) == 5_000
        assert await share(first, 5_000) == 2_000, "a fifth, beside one that has more to do"
        assert await share(first, 2_000, length=OVER) == 2_000
        assert await share(second, 5_000) == 10_000, "whoever did not renew is gone"


@pytest.mark.rule("C-02d")
async def test_two_processes_together_send_no_faster_than_the_account_may(maker: GatewayMaker) -> None:
    async with maker.start() as first, maker.start() as second:
        second.team_id = first.team_id
        account, module = await first.account(LINE), await first.module()
        await change(first, account_pb2.ChannelAccount(channel_account_id=account, rate_per_second=40))
        began_s = time.monotonic()
        for gateway in (first, second):
            customers = [gateway.customer(account, LINE) for _ in range(40)]
            sends = [gateway.send(each, LINE, bot_module_id=module) for each in customers]
            answers = await gateway.ask(*sends)
            assert {answer.state for answer in answers} == {delivery_pb2.SEND_STATE_ACCEPTED}
        await first.settled()
        await second.settled()
        assert len(await first.accepted("line")) == 80
        # Each may have saved up two sends. A slow machine sends slower: the bound holds on any.
        assert time.monotonic() - began_s >= (80 - 4) / 40


@pytest.mark.rule("C-02d")
@pytest.mark.parametrize("how", ["disabled", "deleted", "refused by its channel"])
async def test_an_account_that_ends_in_one_process_stops_in_the_other(maker: GatewayMaker, how: str) -> None:
    async with maker.start() as first, maker.start() as second:
        second.team_id = first.team_id
        account, module = await first.account(LINE), await first.module()
        await change(first, account_pb2.ChannelAccount(channel_account_id=account, rate_per_second=2))
        customers = [first.customer(account, LINE) for _ in range(40)]
        sends = [first.send(each, LINE, bot_module_id=module) for each in customers]
        await first.ask(*sends)
        match how:
            case "disabled":
                state = account_pb2.ACCOUNT_STATE_DISABLED
                await change(second, account_pb2.ChannelAccount(channel_account_id=account, state=state))
            case "deleted":
                request = pb.DeleteChannelAccountRequest(
                    team_id=str(first.team_id), request_id=str(new_id()), channel_account_id=account
                )
                await second.stub.DeleteChannelAccount(request, timeout=TIMEOUT_S)
            case _:
                await refuse(second, account, module)
        before = len(await first.accepted("line"))
        await first.settled()
        # At two a second, the forty would take twenty seconds.
        assert len(await first.accepted("line")) <= before + 3
        assert (await first.delivery(sends[-1].effect_key)).state == delivery_pb2.SEND_STATE_FAILED


async def change(gateway: Gateway, account: account_pb2.ChannelAccount) -> None:
    request = pb.UpdateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=account
    )
    await gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)


async def refuse(gateway: Gateway, account: str, module: str) -> None:
    """Has the channel refuse the account when the gateway sends through it."""
    customer = gateway.customer(account, LINE)
    recipient = gateway.neighbours.segment.profiles[customer].identities[0].key.external_id
    await gateway.fault("line", kind="code", status=401, text="Authentication failed", recipient=recipient)
    send = gateway.send(customer, LINE, bot_module_id=module)
    await gateway.ask(send)
    async with asyncio.timeout(TIMEOUT_S):
        while (await gateway.delivery(send.effect_key)).state != delivery_pb2.SEND_STATE_FAILED:
            await asyncio.sleep(0.02)
