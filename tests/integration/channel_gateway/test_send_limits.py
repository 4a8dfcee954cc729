"""Caps, quotas and balances hold, whoever sends: a send takes all of its messages or none."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from libs.common.ids import new_id
from libs.common.mailbox.mail import Outcome
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import send_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway
from tests.integration.channel_gateway.running_gateway import outcome, usage

HKD = 500_000
"""Price of a WhatsApp message."""
ACCEPTED = delivery_pb2.SEND_STATE_ACCEPTED
SENT = delivery_pb2.SEND_STATE_SENT
EXHAUSTED = delivery_pb2.SEND_STATE_EXHAUSTED


async def ask_at_once(gateways: list[Gateway], sends: list[send_pb2.Send], size: int) -> Counter[str]:
    """Asks for batches of `size` all at once; how often which answer came."""
    batches = [sends[start : start + size] for start in range(0, len(sends), size)]
    answers = await asyncio.gather(
        *(gateways[number % len(gateways)].ask(*batch) for number, batch in enumerate(batches))
    )
    return Counter(answer.reason or "ACCEPTED" for batch in answers for answer in batch)


@pytest.mark.rule("C-02b")
async def test_a_cap_of_n_lets_exactly_n_leave_through_two_gateways(gateway: Gateway, maker: Any) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    sends = [
        gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module, cap=37) for _ in range(200)
    ]
    async with maker.start(gateway.clock) as other:
        counts = await ask_at_once([gateway, other], sends, 8)
        assert counts == {"ACCEPTED": 37, "LINE_CAP_REACHED": 163}
        await gateway.settled()
    assert len(await gateway.accepted("line")) == 37
    assert await usage(gateway) == 37


async def test_a_plan_quota_is_never_exceeded(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    request = pb.SetPlanQuotaRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account_id=account, message_limit=20
    )
    await gateway.stub.SetPlanQuota(request, timeout=TIMEOUT_S)
    sends = [gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module) for _ in range(60)]
    counts = await ask_at_once([gateway], sends, 5)
    assert counts == {"ACCEPTED": 20, "LINE_QUOTA_EXHAUSTED": 40}
    await gateway.settled()
    assert len(await gateway.accepted("line")) == 20


async def test_a_quota_that_only_line_knows_of_exhausts_the_send(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    await gateway.line_quota(1)
    first, second = gateway.customer(account, LINE), gateway.customer(account, LINE)
    await gateway.ask(gateway.send(first, LINE, bot_module_id=module))
    await gateway.settled()
    await gateway.ask(gateway.send(second, LINE, bot_module_id=module))
    await gateway.settled()
    assert (await outcome(gateway, first)).outcome == Outcome.SENT
    refused = await outcome(gateway, second)
    assert (refused.outcome, refused.reason) == (Outcome.EXHAUSTED, "LINE_QUOTA_EXHAUSTED")


@pytest.mark.rule("C-05")
async def test_a_send_takes_all_of_its_messages_or_none(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP, sink=True)
    module = await gateway.module("one", "two")
    await gateway.top_up(7 * HKD)
    sends = [
        gateway.send(gateway.customer(account, WHATSAPP), WHATSAPP, bot_module_id=module) for _ in range(9)
    ]
    counts = await ask_at_once([gateway], sends, 2)
    assert counts == {"ACCEPTED": 3, "WHATSAPP_BALANCE_EXHAUSTED": 6}
    await gateway.settled()
    assert await gateway.balance() == HKD, "a balance below the price of the send counts as exhausted"
    figures = await gateway.stub.GetSendFigures(
        pb.GetSendFiguresRequest(team_id=str(gateway.team_id)), timeout=TIMEOUT_S
    )
    assert [(f.sends_sent, f.messages_sent) for f in figures.figures] == [(3, 6)]
