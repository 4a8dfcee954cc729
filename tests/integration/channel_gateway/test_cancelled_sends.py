"""One send that is taken back: nothing of it leaves after the answer, whichever process had it."""

from __future__ import annotations

import asyncio
import contextlib

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.mailbox.mail import Outcome
from omnijourney.internal.v1 import sends_service_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, Gateway, GatewayMaker
from tests.integration.channel_gateway.test_reserve_and_mark import after_the_commit, outcomes


async def cancel(gateway: Gateway, effect_key: str) -> bool:
    request = sends_service_pb2.CancelSendRequest(team_id=str(gateway.team_id), effect_key=effect_key)
    return (await gateway.internal.sends.CancelSend(request, timeout=TIMEOUT_S)).cancelled


@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_a_send_that_waits_is_cancelled_alone_and_gives_its_place_back(
    gateway: Gateway, maker: GatewayMaker, where: str
) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    people = [gateway.customer(account, LINE) for _ in range(3)]
    await gateway.fault("line", kind="rate", count=None)
    first, second, third = (gateway.send(person, LINE, bot_module_id=module, cap=2) for person in people)
    await gateway.ask(first, second)
    async with maker.start(gateway.clock) as other:
        other.team_id, other.journey_id = gateway.team_id, gateway.journey_id
        cancelled = False
        while not cancelled:
            with contextlib.suppress(grpc.aio.AioRpcError):  # on the wire for as long as it may be asked for
                cancelled = await cancel(gateway if where == "here" else other, first.effect_key)
        assert await outcomes(gateway, people[0]) == [(Outcome.CANCELLED, "ENROLMENT_ENDED")]
        assert not await cancel(other, first.effect_key)
        await gateway.ask(third)
        async with gateway.http.delete(gateway.emulators.urls["line"] + "/_emulator/faults"):
            pass
        await gateway.settled()
    assert len(await gateway.accepted("line")) == 2
    assert [(await outcomes(gateway, person))[-1] for person in people[1:]] == [(Outcome.SENT, "")] * 2


async def test_a_send_on_the_wire_is_waited_for(
    gateway: Gateway, maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await gateway.account(LINE)
    customer = gateway.customer(account, LINE)
    send = gateway.send(customer, LINE, bot_module_id=await gateway.module())
    left_before: list[int] = []
    async with maker.start(gateway.clock) as other:
        other.team_id, other.journey_id = gateway.team_id, gateway.journey_id
        begun: list[asyncio.Task[None]] = []

        async def take_back() -> None:
            assert not await cancel(other, send.effect_key)
            left_before.append(len(await gateway.accepted("line")))

        async def meanwhile() -> None:
            begun.append(asyncio.create_task(take_back()))
            await asyncio.sleep(0.3)

        after_the_commit(monkeypatch, meanwhile)
        await gateway.ask(send)
        await asyncio.gather(*begun)
        await gateway.settled()
    assert left_before == [1], "the answer came after the request that was marked before it"
    assert await outcomes(gateway, customer) == [(Outcome.SENT, "")]


async def test_a_send_that_nobody_knows_cannot_leave(gateway: Gateway) -> None:
    assert not await cancel(gateway, str(new_id()))
