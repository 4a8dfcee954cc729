"""However long a broadcast's line is, the next message of another journey or team leaves within a few sends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import send_pb2
from tests.integration.channel_gateway.conftest import LINE, Gateway, GatewayMaker

BROADCAST: Final = int(os.environ.get("OMNIJOURNEY_TEST_BROADCAST", "1200"))
BATCH: Final = 100
CONCURRENCY: Final = 8
RATE: Final = 80
"""Messages a second of the account that two processes share. What leaves in a second, and as much again for a machine
that is slow, may come before a message of the other process."""
LANE: Final = 300
"""Fewer than the broadcast has: the rest of it lies in the table."""
BEGUN: Final = 100
"""Sends of the broadcast that have left when the others come."""
ROUND: Final = 2 * CONCURRENCY
"""Sends that may be on their way when a message comes, and as many whose turn has come in the commit of its own."""


@pytest.mark.rule("C-02e")
async def test_a_broadcast_lets_the_next_message_of_others_pass(maker: GatewayMaker) -> None:
    async with maker.start(lane_sends_max=LANE) as gateway:
        account, module = await gateway.account(LINE, concurrency_max=CONCURRENCY), await gateway.module()
        broadcast = [message(gateway, account, module) for _ in range(BROADCAST)]
        # Long enough on the wire that the lane is never empty, and none leaves before all have come.
        await gateway.fault("line", kind="delay", seconds=0.01, count=None)
        asking = asyncio.create_task(ask_all(gateway, broadcast))
        while len(await gateway.accepted("line")) < BEGUN:
            await asyncio.sleep(0.02)
        await asking
        assert len(await gateway.accepted("line")) < BROADCAST // 2, "the broadcast is still under way"
        places = [await place_of_next(gateway, account, module) for _ in range(3)]
        other = another_team(gateway)
        places.append(await place_of_next(other, await other.account(LINE), await other.module()))
        left = len(await gateway.accepted("line"))
        assert left < BROADCAST, "the broadcast is still under way"
        assert max(places) <= ROUND, f"of {BROADCAST}, others came after {places}"


@pytest.mark.rule("C-02e")
async def test_a_broadcast_of_one_process_lets_the_next_message_of_another_process_pass(
    maker: GatewayMaker,
) -> None:
    async with maker.start() as first, maker.start() as second:
        second.team_id = first.team_id
        account, module = await first.account(LINE, rate_per_second=RATE), await first.module()
        await ask_all(first, [message(first, account, module) for _ in range(10 * RATE)])
        places = [await place_of_next(second, account, module) for _ in range(2)]
        assert len(await first.accepted("line")) < 10 * RATE, "the broadcast is still under way"
        assert max(places) <= 2 * RATE, f"others came after {places}"


async def ask_all(gateway: Gateway, sends: Sequence[send_pb2.Send]) -> None:
    """All are accepted, and wait."""
    for start in range(0, len(sends), BATCH):
        answers = await gateway.ask(*sends[start : start + BATCH])
        assert {answer.state for answer in answers} == {delivery_pb2.SEND_STATE_ACCEPTED}


async def place_of_next(gateway: Gateway, account: str, module: str) -> int:
    """A message of a journey that has sent nothing yet: how many left after it was accepted, and before it."""
    gateway.journey_id = new_id()
    send = message(gateway, account, module)
    await gateway.ask(send)
    before = len(await gateway.accepted("line"))
    recipient = gateway.neighbours.segment.profiles[send.customer_id].identities[0].key.external_id
    while True:
        recipients = [record["recipient"] for record in await gateway.accepted("line")]
        if recipient in recipients:
            return recipients.index(recipient) - before
        await asyncio.sleep(0.005)


def another_team(gateway: Gateway) -> Gateway:
    """The same gateway, for a team of its own."""
    return replace(gateway, team_id=new_id(), journey_id=new_id())


def message(gateway: Gateway, account: str, module: str) -> send_pb2.Send:
    """Of the journey to somebody who has had none."""
    return gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module)
