"""A journey's cap, while processes of the gateway are killed in the middle of it: no message too many leaves, and no
place is lost. What is left of them then keeps an account's rate together, and stops together.

`OMNIJOURNEY_TEST_SENDERS=8` is the full form, with a cap of 1,000: the short one has fewer processes and sends.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Final

import grpc
import pytest

from libs.client.internal import Internal
from libs.common.clock import SteppedClock
from libs.common.ids import new_id
from libs.embedded.ports import free_port
from libs.testing.fixtures import SECRET_KEY
from omnijourney.channel_gateway.v1 import account_pb2, delivery_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.internal.v1 import send_pb2, sends_service_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, Gateway, GatewayMaker
from tests.integration.channel_gateway.running_gateway import usage

SENDERS: Final = int(os.environ.get("OMNIJOURNEY_TEST_SENDERS", "3"))
CAP: Final = 1_000 if SENDERS >= 8 else 50 * SENDERS
BATCH: Final = 16
ASKED_AT_ONCE: Final = 8
START_S: Final = 60.0
POINTS: Final = ("gateway.after_reserve", "gateway.after_mark", "gateway.before_record")
"""Where processes die of themselves, one each, with the first batch that they have; a further one is killed from
outside."""


class SenderProcess:
    """A process of the gateway."""

    def __init__(self, maker: GatewayMaker, crash_points: str = "") -> None:
        """Starts it."""
        self.port = free_port()
        servers, target = maker.servers, maker.neighbours.target
        values = {
            "CHANNEL_GATEWAY_PORT": str(self.port),
            "CHANNEL_GATEWAY_METRICS_PORT": "0",
            "HTTP_PORT": "0",
            "POSTGRES_DSN": maker.database.dsn_of("channel_gateway"),
            "REDIS_URL": servers.redis_url,
            "TOKEN": servers.token,
            "SECRET_KEYS": SECRET_KEY,
            "SEGMENT_TARGET": target,
            "POINTS_TARGET": target,
            "LINE_URL": maker.emulators.urls["line"],
            "CRASH_POINTS": crash_points,
        }
        environment = {f"OMNIJOURNEY_{name}": value for name, value in values.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.channel_gateway"],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.channel = servers.channel(self.port)

    async def ready(self) -> Internal:
        """The calls of a journey, when it takes them."""
        async with asyncio.timeout(START_S):
            await self.channel.channel_ready()
        return Internal(self.channel)

    async def kill(self) -> None:
        """As a crash."""
        self.process.kill()
        await asyncio.to_thread(self.process.wait, 10)

    async def close(self) -> None:
        """After the test, however it went."""
        await self.kill()
        await self.channel.close()


class Fleet:
    """Processes of the gateway: some die, and others come."""

    def __init__(self, maker: GatewayMaker, stack: AsyncExitStack) -> None:
        """Nobody yet."""
        self._maker = maker
        self._stack = stack
        self._turn = itertools.count()
        self.senders: list[SenderProcess] = []
        self.calls: list[Internal] = []

    async def start(self, crash_points: Sequence[str]) -> None:
        """Starts a process for each of these."""
        made = [SenderProcess(self._maker, each) for each in crash_points]
        for each in made:
            self._stack.push_async_callback(each.close)
        self.calls += await asyncio.gather(*(each.ready() for each in made))
        self.senders += made

    async def ask(self, sends: Sequence[send_pb2.Send]) -> list[send_pb2.SendResult]:
        """Asks the processes in turn, so that each gets something, and another one where that died over it, as a
        journey does."""
        request = sends_service_pb2.SendMessagesRequest(sends=sends)
        while True:
            calls = self.calls[next(self._turn) % len(self.calls)]
            try:
                return list((await calls.sends.SendMessages(request, timeout=TIMEOUT_S)).results)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                self.calls = [each for each in self.calls if each is not calls] or self.calls
                await asyncio.sleep(0.01)

    def dead(self) -> int:
        """How many have died."""
        return sum(each.process.poll() is not None for each in self.senders)


@asynccontextmanager
async def fleet_of(maker: GatewayMaker, senders: int) -> AsyncIterator[Fleet]:
    """So many processes, all but the first of which die, each at one of the points."""
    async with AsyncExitStack() as stack:
        fleet = Fleet(maker, stack)
        points = itertools.islice(itertools.cycle(POINTS), senders - 1)
        await fleet.start(["", *(f"{point}:1:0" for point in points)])
        yield fleet


async def asked(fleet: Fleet, sends: Sequence[send_pb2.Send]) -> Counter[str]:
    """Asks for all sends in batches, several at once; how often which answer came."""
    batches = [sends[start : start + BATCH] for start in range(0, len(sends), BATCH)]
    room = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(batch: Sequence[send_pb2.Send]) -> list[send_pb2.SendResult]:
        async with room:
            return await fleet.ask(batch)

    answers = await asyncio.gather(*map(one, batches))
    # What has had its place before its process died is told as it stands by now.
    return Counter(
        answer.reason if answer.reason == "LINE_CAP_REACHED" else "PLACE"
        for part in answers
        for answer in part
    )


@pytest.mark.rule("C-02b")
@pytest.mark.rule("C-02c")
@pytest.mark.rule("C-02d")
@pytest.mark.timeout(300)
async def test_a_cap_holds_over_processes_that_are_killed_and_no_place_is_lost(maker: GatewayMaker) -> None:
    async with maker.start(SteppedClock(datetime.now(UTC))) as gateway, fleet_of(maker, SENDERS) as fleet:
        account, module = await gateway.account(LINE), await gateway.module()
        sends = made(gateway, account, module, 2 * CAP)
        # One in ten is of nobody whom LINE knows: their places come back.
        strangers = [identity(gateway, send) for send in sends[::10]]
        gateway.emulators.emulators["line"].state.people.update(dict.fromkeys(strangers, "unknown"))  # type: ignore[attr-defined]
        await gateway.fault("line", kind="delay", seconds=0.05, count=None)
        half = asyncio.create_task(asked(fleet, sends[:CAP]))
        while not await gateway.accepted("line"):
            await asyncio.sleep(0.02)
        await fleet.senders[0].kill()
        await fleet.start([""])
        counts = await half + await asked(fleet, sends[CAP:])
        await gateway.settled(120)
        assert fleet.dead() == SENDERS, "all died but the last"
        sent = await accepted_keys(gateway)
        assert counts["PLACE"] + counts["LINE_CAP_REACHED"] == len(sends)
        assert len(sent) <= CAP
        assert await usage(gateway) == len(sent), "each place is that of a message that left"
        # What is free is found by others, to the last place.
        more = await asked(fleet, made(gateway, account, module, CAP))
        await gateway.settled(60)
        assert more["PLACE"] == CAP - len(sent)
        assert len(await accepted_keys(gateway)) == await usage(gateway) == CAP
        states = [(await gateway.delivery(send.effect_key)).state for send in sends[:50]]
        failed = (delivery_pb2.SEND_STATE_FAILED, delivery_pb2.SEND_STATE_EXHAUSTED)
        assert {delivery_pb2.SEND_STATE_SENT} < set(states) <= {delivery_pb2.SEND_STATE_SENT, *failed}
        other = fleet.senders[-1]  # it dies at no point
        assert other.process.poll() is None
        await keep_the_rate_together(gateway, Internal(other.channel))
        await stop_together(gateway, Internal(other.channel))


async def keep_the_rate_together(gateway: Gateway, other: Internal) -> None:
    """This process and another one have forty sends each, of an account that may send forty a second."""
    account, module = await gateway.account(LINE, rate_per_second=40), await gateway.module()
    before, began_s = len(await gateway.accepted("line")), time.monotonic()
    sends = [
        gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module, account_id=account)
        for _ in range(80)
    ]
    await gateway.ask(*sends[:40])
    await other.sends.SendMessages(sends_service_pb2.SendMessagesRequest(sends=sends[40:]), timeout=TIMEOUT_S)
    await gateway.settled(60)
    assert len(await gateway.accepted("line")) == before + 80
    # Each may have saved up two sends. A slow machine sends slower: the bound holds on any.
    assert time.monotonic() - began_s >= (80 - 4) / 40


async def stop_together(gateway: Gateway, other: Internal) -> None:
    """The account that this process disables sends nothing more in the other one, either."""
    account, module = await gateway.account(LINE, rate_per_second=4), await gateway.module()
    sends = [
        gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module, account_id=account)
        for _ in range(80)
    ]
    await gateway.ask(*sends[:40])
    await other.sends.SendMessages(sends_service_pb2.SendMessagesRequest(sends=sends[40:]), timeout=TIMEOUT_S)
    disabled = account_pb2.ChannelAccount(
        channel_account_id=account, state=account_pb2.ACCOUNT_STATE_DISABLED
    )
    request = pb.UpdateChannelAccountRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), account=disabled
    )
    await gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)
    before = len(await gateway.accepted("line"))
    await gateway.settled()
    # At four a second, the eighty would take twenty seconds. A busy machine may take two until both have heard of it.
    assert len(await gateway.accepted("line")) <= before + 12
    last = [(await gateway.delivery(send.effect_key)).state for send in (sends[39], sends[79])]
    assert last == [delivery_pb2.SEND_STATE_FAILED] * 2


def made(gateway: Gateway, account: str, module: str, count: int) -> list[send_pb2.Send]:
    """Sends of one journey with a cap."""
    return [
        gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module, cap=CAP)
        for _ in range(count)
    ]


def identity(gateway: Gateway, send: send_pb2.Send) -> str:
    """Who gets a send, as the channel knows them."""
    return gateway.neighbours.segment.profiles[send.customer_id].identities[0].key.external_id


async def accepted_keys(gateway: Gateway) -> set[str]:
    """The keys of the messages that the channel took; each once."""
    keys = [record["retry_key"] for record in await gateway.accepted("line")]
    assert len(keys) == len(set(keys))
    return set(keys)
