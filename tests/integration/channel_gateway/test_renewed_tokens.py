"""A channel's word on a token that has been issued anew says nothing of the account."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.ids import new_id
from libs.emulators.line import FIRST_CHANNEL_ID
from omnijourney.channel_gateway.v1 import account_pb2, delivery_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, Gateway, GatewayMaker


async def token_of_the_channel(gateway: Gateway, token: str) -> None:
    """From now on the emulator takes that one only."""
    account = {"channel_id": FIRST_CHANNEL_ID, "token": token}
    async with gateway.http.post(
        gateway.emulators.urls["line"] + "/_emulator/accounts", json=account
    ) as answer:
        assert answer.status == 201, await answer.text()


@pytest.mark.rule("C-03c", "C-02d")
async def test_a_token_that_another_process_was_given_is_used_before_the_account_is_given_up(
    gateway: Gateway, maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is heard of the change before the channel refuses the old token.
    monkeypatch.setattr("services.channel_gateway.worker.rate_shares.RENEW_S", 1.8)
    account, module = await gateway.account(LINE, rate_per_second=1), await gateway.module()
    sends = [gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module) for _ in range(2)]
    await gateway.ask(*sends)
    while not await gateway.accepted("line"):
        await asyncio.sleep(0.01)
    async with maker.start(gateway.clock) as other:
        other.team_id = gateway.team_id
        await token_of_the_channel(gateway, "issued-anew")
        renewed = account_pb2.ChannelAccount(
            channel_account_id=account, line=account_pb2.LineConnection(access_token="issued-anew")
        )
        request = pb.UpdateChannelAccountRequest(
            team_id=str(gateway.team_id), request_id=str(new_id()), account=renewed
        )
        await other.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)
        await gateway.settled()
    states = [(await gateway.delivery(send.effect_key)).state for send in sends]
    assert states == [delivery_pb2.SEND_STATE_SENT] * 2
    get = pb.GetChannelAccountRequest(team_id=str(gateway.team_id), channel_account_id=account)
    found = (await gateway.stub.GetChannelAccount(get, timeout=TIMEOUT_S)).account
    assert found.state == account_pb2.ACCOUNT_STATE_ACTIVE
