"""Sends that are marked for the wire by the commit that reserves them: crashes, stops and full lanes around it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import asyncpg
import grpc
import pytest

from libs.common import crash
from libs.common.ids import new_id
from libs.common.mailbox.mail import Outcome, SendOutcome
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import send_pb2, sends_service_pb2
from services.channel_gateway.store.sends import SendStore
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway, GatewayMaker

WAITING, MARKED = 8, 9
NAMES: dict[int, str] = {LINE: "line", WHATSAPP: "whatsapp"}


async def states(gateway: Gateway) -> Counter[int]:
    """How many deliveries stand where in the database."""
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    try:
        rows = await connection.fetch("SELECT state FROM channel_gateway.delivery")
    finally:
        await connection.close()
    return Counter(row["state"] for row in rows)


async def outcomes(gateway: Gateway, customer: str) -> list[tuple[int, str]]:
    """Outcomes and reasons in a customer's mail."""
    bodies = [mail.body for mail in await gateway.mail(customer)]
    return [(body.outcome, body.reason) for body in bodies if isinstance(body, SendOutcome)]


async def content_of(gateway: Gateway, channel: int, account: str) -> Mapping[str, Any]:
    """Something that can be sent on the channel."""
    if channel == LINE:
        return {"bot_module_id": await gateway.module()}
    await gateway.top_up(10_000_000)
    template = await gateway.template(account, parameters=1)
    return {"template": send_pb2.TemplateContent(template_id=template, parameters=["Mei"])}


def after_the_commit(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Awaitable[None]]) -> None:
    """Has something happen once, between the commit of a reservation and its requests."""
    store = SendStore.store
    left = [work]

    async def and_then(self: SendStore, *arguments: Any) -> Any:
        written = await store(self, *arguments)
        if left:
            await left.pop()()
        return written

    monkeypatch.setattr(SendStore, "store", and_then)


async def test_what_finds_no_room_waits_and_the_rest_is_marked_at_once(gateway: Gateway) -> None:
    account = await gateway.account(LINE, concurrency_max=2)
    module = await gateway.module()
    await gateway.fault("line", kind="delay", seconds=0.5, count=None)
    sends = [gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module) for _ in range(5)]
    await gateway.ask(*sends)
    assert await states(gateway) == {MARKED: 2, WAITING: 3}
    await gateway.ask(gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module))
    assert await states(gateway) == {MARKED: 2, WAITING: 4}, "nobody overtakes those that wait"
    await gateway.settled()
    assert await states(gateway) == {delivery_pb2.SEND_STATE_SENT: 6}
    assert len(await gateway.accepted("line")) == 6
    assert {(await gateway.delivery(send.effect_key)).attempts for send in sends} == {1}


@pytest.mark.usefixtures("looks_soon")
@pytest.mark.parametrize(
    ("channel", "told", "left"),
    [
        (LINE, (Outcome.SENT, ""), 1),
        (WHATSAPP, (Outcome.UNKNOWN, "SENDER_LOST"), 0),
    ],
)
async def test_a_process_that_dies_before_the_request_leaves_a_marked_send(
    maker: GatewayMaker,
    monkeypatch: pytest.MonkeyPatch,
    channel: int,
    told: tuple[Outcome, str],
    left: int,
) -> None:
    def die(point: str) -> None:
        if point == "gateway.after_mark":
            raise RuntimeError(point)

    async with maker.start() as first:
        account = await first.account(channel)
        content = await content_of(first, channel, account)
        customer = first.customer(account, channel)
        with monkeypatch.context() as patched:
            patched.setattr(crash, "reach", die)
            with pytest.raises(grpc.aio.AioRpcError):
                await first.ask(first.send(customer, channel, **content))
        assert await states(first) == {MARKED: 1}
    async with maker.start() as second:
        second.team_id = first.team_id
        await second.settled()
        assert await outcomes(second, customer) == [told]
        assert len(await second.accepted(NAMES[channel])) == left


@pytest.mark.usefixtures("looks_soon")
@pytest.mark.parametrize("channel", [LINE, WHATSAPP])
async def test_a_reservation_whose_commit_nobody_heard_of_is_sent_once(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, channel: int
) -> None:
    account = await gateway.account(channel)
    content = await content_of(gateway, channel, account)
    customer = gateway.customer(account, channel)

    async def cut_off() -> None:
        raise ConnectionResetError("the answer to the commit was lost")

    after_the_commit(monkeypatch, cut_off)
    send = gateway.send(customer, channel, **content)
    with pytest.raises(grpc.aio.AioRpcError):
        await gateway.ask(send)
    (again,) = await gateway.ask(send)
    assert (again.state, again.replayed) == (delivery_pb2.SEND_STATE_ACCEPTED, True)
    await gateway.settled()
    assert await outcomes(gateway, customer) == [(Outcome.SENT, "")]
    assert len(await gateway.accepted(NAMES[channel])) == 1


async def test_a_stop_between_the_commit_and_the_request_lets_nothing_leave(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await gateway.account(WHATSAPP)
    content = await content_of(gateway, WHATSAPP, account)
    customer = gateway.customer(account, WHATSAPP)
    answers: list[sends_service_pb2.StopSendsResponse] = []

    async def stop() -> None:
        answers.append(await gateway.stop(1))

    after_the_commit(monkeypatch, stop)
    await gateway.ask(gateway.send(customer, WHATSAPP, cap=5, **content))
    await gateway.settled()
    assert [(answer.cancelled, answer.on_the_wire) for answer in answers] == [(0, 1)]
    assert await outcomes(gateway, customer) == [(Outcome.CANCELLED, "JOURNEY_STOPPED")]
    assert await gateway.accepted("whatsapp") == []
    assert await gateway.balance() == 10_000_000


async def test_a_stop_elsewhere_waits_for_what_is_marked_here(
    gateway: Gateway, maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    customer = gateway.customer(account, LINE)
    left_before: list[int] = []
    async with maker.start(gateway.clock) as other:
        other.team_id, other.journey_id = gateway.team_id, gateway.journey_id
        stops: list[asyncio.Task[None]] = []

        async def stop() -> None:
            await other.stop(1)
            left_before.append(len(await gateway.accepted("line")))

        async def stop_meanwhile() -> None:
            stops.append(asyncio.create_task(stop()))
            await asyncio.sleep(0.3)

        after_the_commit(monkeypatch, stop_meanwhile)
        await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
        await asyncio.gather(*stops)
        await gateway.settled()
    assert left_before == [1], "the answer to the stop came after the request that was marked before it"
    assert await outcomes(gateway, customer) == [(Outcome.SENT, "")]


@pytest.mark.parametrize("where", ["here", "elsewhere"])
async def test_what_is_recalled_leaves_once_when_it_is_asked_for_again(
    gateway: Gateway, maker: GatewayMaker, where: str
) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module()
    people = [gateway.customer(account, LINE) for _ in range(3)]
    await gateway.fault("line", kind="rate", count=None)
    sends = [gateway.send(person, LINE, bot_module_id=module, cap=3) for person in people]
    await gateway.ask(*sends[:2])
    async with maker.start(gateway.clock) as other:
        other.team_id, other.journey_id = gateway.team_id, gateway.journey_id
        recalling = gateway if where == "here" else other
        recalled = 0
        while recalled < 2:
            with contextlib.suppress(grpc.aio.AioRpcError):  # on the wire just now
                recalled += await recalling.recall(1)
        for person in people[:2]:
            assert await outcomes(gateway, person) == [(Outcome.DEFERRED, "DO_NOT_DISTURB")]
        (late,) = await gateway.ask(sends[2])
        assert late.state == delivery_pb2.SEND_STATE_CANCELLED, "a turn of before hands over what is recalled"
        for send in sends:
            send.stop_epoch = 1
        again = await gateway.ask(*sends)
        assert [each.state for each in again] == [delivery_pb2.SEND_STATE_ACCEPTED] * 3
        async with gateway.http.delete(gateway.emulators.urls["line"] + "/_emulator/faults"):
            pass
        await gateway.settled()
    assert len(await gateway.accepted("line")) == 3
    assert [(await outcomes(gateway, person))[-1] for person in people] == [(Outcome.SENT, "")] * 3


async def test_content_and_accounts_changed_elsewhere_are_noticed_by_the_next_send(
    gateway: Gateway, maker: GatewayMaker
) -> None:
    account = await gateway.account(LINE)
    module, kept = await gateway.module(), await gateway.module()
    customer = gateway.customer(account, LINE)
    async with maker.start(gateway.clock) as other:
        for content in (module, kept):
            await gateway.ask(gateway.send(customer, LINE, bot_module_id=content))
        gone = pb.DeleteBotModuleRequest(
            team_id=str(gateway.team_id), request_id=str(new_id()), bot_module_id=module
        )
        await other.stub.DeleteBotModule(gone, timeout=TIMEOUT_S)
        (refused,) = await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
        assert (refused.state, refused.reason) == (delivery_pb2.SEND_STATE_EXHAUSTED, "BOT_MODULE_MISSING")
        deleted = pb.DeleteChannelAccountRequest(
            team_id=str(gateway.team_id), request_id=str(new_id()), channel_account_id=account
        )
        await other.stub.DeleteChannelAccount(deleted, timeout=TIMEOUT_S)
        (homeless,) = await gateway.ask(gateway.send(customer, LINE, bot_module_id=kept))
        assert (homeless.state, homeless.reason) == (delivery_pb2.SEND_STATE_FAILED, "ACCOUNT_MISSING")


async def test_a_price_set_elsewhere_is_paid_by_the_next_send(gateway: Gateway, maker: GatewayMaker) -> None:
    account = await gateway.account(WHATSAPP)
    content = await content_of(gateway, WHATSAPP, account)
    customer = gateway.customer(account, WHATSAPP)
    await gateway.ask(gateway.send(customer, WHATSAPP, **content))
    assert await gateway.balance() == 9_500_000
    async with maker.start(gateway.clock) as other:
        price = pb.SetMessagePriceRequest(
            team_id=str(gateway.team_id), request_id=str(new_id()), channel=WHATSAPP
        )
        price.price.currency_code, price.price.amount_micros = "HKD", 700_000
        await other.stub.SetMessagePrice(price, timeout=TIMEOUT_S)
    await gateway.ask(gateway.send(customer, WHATSAPP, **content))
    assert await gateway.balance() == 8_800_000


@pytest.mark.rule("J-03d")
async def test_a_stop_elsewhere_holds_what_comes_back_from_the_channel_to_be_repeated(
    gateway: Gateway, maker: GatewayMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channel_gateway.worker.attempts.delay_of", lambda *_: 60.0)
    account, module = await gateway.account(LINE), await gateway.module()
    customer = gateway.customer(account, LINE)
    await gateway.fault("line", kind="error_before")
    async with maker.start(gateway.clock) as other:
        other.team_id, other.journey_id = gateway.team_id, gateway.journey_id
        stops: list[asyncio.Task[None]] = []

        async def stop() -> None:
            while True:
                with contextlib.suppress(
                    grpc.aio.AioRpcError
                ):  # on the wire for as long as it may be asked for
                    await other.stop(1)
                    return

        async def stop_meanwhile() -> None:
            """The request leaves when the stop has looked for what waits, and waits itself for what is on the wire."""
            stops.append(asyncio.create_task(stop()))
            connection = await asyncpg.connect(gateway.database.admin_dsn)
            stopped = "SELECT max(epoch) = 1 FROM channel_gateway.journey_stop"
            while not await connection.fetchval(stopped):
                await asyncio.sleep(0.01)
            await connection.close()

        after_the_commit(monkeypatch, stop_meanwhile)
        await gateway.ask(gateway.send(customer, LINE, bot_module_id=module, cap=5))
        await asyncio.gather(*stops)
        assert await outcomes(gateway, customer) == [(Outcome.UNKNOWN, "JOURNEY_STOPPED")]
    assert await gateway.accepted("line") == []
