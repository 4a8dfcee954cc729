"""Sends of several messages that are put off when some have left: these stay as they are, and the rest goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import asyncpg
import pytest

from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import account_pb2, content_pb2, delivery_pb2, quota_pb2
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.internal.v1 import send_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway, GatewayMaker
from tests.integration.channel_gateway.running_gateway import usage
from tests.integration.channel_gateway.test_cancelled_sends import cancel

SENT, FAILED = delivery_pb2.SEND_STATE_SENT, delivery_pb2.SEND_STATE_FAILED
EXHAUSTED, CANCELLED = delivery_pb2.SEND_STATE_EXHAUSTED, delivery_pb2.SEND_STATE_CANCELLED
DEFERRED = delivery_pb2.SEND_STATE_DEFERRED
WHATSAPP_PRICE = 500_000


async def lifted(gateway: Gateway, channel: str) -> None:
    async with gateway.http.delete(gateway.emulators.urls[channel] + "/_emulator/faults"):
        pass


async def left(gateway: Gateway) -> list[str]:
    """The texts that WhatsApp took."""
    return [record["body"]["text"]["body"] for record in await gateway.accepted("whatsapp")]


async def until_left(gateway: Gateway, *texts: str) -> None:
    while await left(gateway) != list(texts):
        pass


async def half_sent(gateway: Gateway, account: str, module: str) -> send_pb2.Send:
    """A send of FIRST and SECOND of which the first one has left, and the second is refused for now."""
    customer = gateway.customer(account, WHATSAPP)
    (identity,) = gateway.neighbours.segment.profiles[customer].identities
    wrote = {"wa_id": identity.key.external_id}
    url = gateway.emulators.urls["whatsapp"] + "/_emulator/inbound"
    async with gateway.http.post(url, json=wrote) as answer:
        assert answer.status < 300, await answer.text()
    await gateway.fault("whatsapp", kind="rate", skip=1, count=None)
    quiet_from = timestamp(gateway.clock.now() + timedelta(hours=1))
    send = gateway.send(customer, WHATSAPP, bot_module_id=module, cap=10, not_after=quiet_from)
    await gateway.ask(send)
    await until_left(gateway, "FIRST")
    return send


async def put_off(gateway: Gateway, send: send_pb2.Send) -> None:
    """The send's window begins before the rest of it can leave."""
    gateway.clock.advance(timedelta(hours=2))
    await gateway.settled()
    assert await told(gateway, send) == (DEFERRED, 1, 1)
    await lifted(gateway, "whatsapp")
    send.not_after.CopyFrom(timestamp(gateway.clock.now() + timedelta(hours=20)))


async def told(gateway: Gateway, send: send_pb2.Send) -> tuple[int, int, int]:
    """State, messages and how many have ids."""
    delivery = await gateway.delivery(send.effect_key)
    return delivery.state, delivery.messages, len(delivery.channel_message_ids)


async def figures(gateway: Gateway) -> quota_pb2.ChannelFigures:
    request = pb.GetSendFiguresRequest(team_id=str(gateway.team_id))
    (channel,) = (await gateway.stub.GetSendFigures(request, timeout=TIMEOUT_S)).figures
    return channel


async def all_agree(gateway: Gateway, texts: Sequence[str]) -> None:
    """Emulator, cap, wallet, figures and history know of the same messages."""
    assert await left(gateway) == list(texts)
    assert await usage(gateway) == len(texts)
    assert await gateway.balance() == 10_000_000 - WHATSAPP_PRICE * len(texts)
    counted = await figures(gateway)
    assert counted.messages_sent == len(texts)
    assert [cost.amount_micros for cost in counted.costs] == [WHATSAPP_PRICE * len(texts)]
    facts = await gateway.facts()
    assert sum(fact.messages for fact in facts) == len(texts)
    assert sum(fact.micros for fact in facts) == WHATSAPP_PRICE * len(texts)


async def prepared(gateway: Gateway) -> tuple[str, str]:
    """A WhatsApp account with money, and a module of two texts."""
    account = await gateway.account(WHATSAPP)
    await gateway.top_up(10_000_000)
    return account, await gateway.module("FIRST", "SECOND")


@pytest.mark.parametrize("meanwhile", ["nothing", "edited", "dearer", "elsewhere"])
async def test_what_quiet_hours_cut_in_two_goes_on_where_it_stopped(
    gateway: Gateway, maker: GatewayMaker, meanwhile: str
) -> None:
    account, module = await prepared(gateway)
    send = await half_sent(gateway, account, module)
    await put_off(gateway, send)
    await all_agree(gateway, ["FIRST"])
    if meanwhile == "edited":
        changed = content_pb2.BotModule(bot_module_id=module)
        changed.cards.add().text.text = "OTHER"
        request = pb.UpdateBotModuleRequest(
            team_id=str(gateway.team_id),
            request_id=str(new_id()),
            module=changed,
            update_mask={"paths": ["cards"]},  # type: ignore[arg-type]
        )
        await gateway.stub.UpdateBotModule(request, timeout=TIMEOUT_S)
    if meanwhile == "dearer":
        price = pb.SetMessagePriceRequest(
            team_id=str(gateway.team_id), request_id=str(new_id()), channel=WHATSAPP
        )
        price.price.currency_code, price.price.amount_micros = "HKD", 9_000_000
        await gateway.stub.SetMessagePrice(price, timeout=TIMEOUT_S)
    if meanwhile == "elsewhere":
        async with maker.start(gateway.clock) as other:
            other.team_id, other.journey_id = gateway.team_id, gateway.journey_id
            await other.ask(send)
            await other.settled()
    else:
        (answer,) = await gateway.ask(send)
        assert answer.state == delivery_pb2.SEND_STATE_ACCEPTED
        await gateway.settled()
    assert await told(gateway, send) == (SENT, 2, 2)
    await all_agree(gateway, ["FIRST", "SECOND"])


async def test_the_rest_goes_through_the_account_that_began(gateway: Gateway) -> None:
    account, module = await prepared(gateway)
    send = await half_sent(gateway, account, module)
    await put_off(gateway, send)
    profile = gateway.neighbours.segment.profiles[send.customer_id]
    other = await gateway.account(WHATSAPP)
    profile.identities.add(key=profile.identities[0].key).key.account_id = other
    send.account_id = other
    await gateway.ask(send)
    await gateway.settled()
    assert (await gateway.delivery(send.effect_key)).account_id == account
    await all_agree(gateway, ["FIRST", "SECOND"])


@pytest.mark.parametrize("refusal", ["no module", "no money", "blocked", "disabled"])
async def test_what_left_stays_told_when_the_rest_may_not_leave(gateway: Gateway, refusal: str) -> None:
    account, module = await prepared(gateway)
    send = await half_sent(gateway, account, module)
    await put_off(gateway, send)
    expected = {"no module": EXHAUSTED, "no money": EXHAUSTED, "blocked": delivery_pb2.SEND_STATE_SKIPPED}
    if refusal == "no module":
        await gateway.stub.DeleteBotModule(
            pb.DeleteBotModuleRequest(
                team_id=str(gateway.team_id), request_id=str(new_id()), bot_module_id=module
            ),
            timeout=TIMEOUT_S,
        )
    if refusal == "no money":
        await gateway.top_up(-9_500_000)
    if refusal == "blocked":
        gateway.neighbours.segment.profiles[send.customer_id].identities[0].blocked = True
    if refusal == "disabled":
        await disabled(gateway, account)
    (answer,) = await gateway.ask(send)
    assert answer.state == expected.get(refusal, FAILED)
    assert await told(gateway, send) == (answer.state, 1, 1)
    if refusal == "no money":
        await gateway.top_up(9_500_000)
    await all_agree(gateway, ["FIRST"])


async def disabled(gateway: Gateway, account: str) -> None:
    request = pb.UpdateChannelAccountRequest(
        team_id=str(gateway.team_id),
        request_id=str(new_id()),
        account=account_pb2.ChannelAccount(
            channel_account_id=account, state=account_pb2.ACCOUNT_STATE_DISABLED
        ),
        update_mask={"paths": ["state"]},  # type: ignore[arg-type]
    )
    await gateway.stub.UpdateChannelAccount(request, timeout=TIMEOUT_S)


@pytest.mark.parametrize("how", ["disabled", "refused", "stopped"])
async def test_a_send_that_ends_half_way_tells_what_left(gateway: Gateway, how: str) -> None:
    account, module = await prepared(gateway)
    send = await half_sent(gateway, account, module)
    if how == "disabled":
        await disabled(gateway, account)
    if how == "refused":
        await lifted(gateway, "whatsapp")
        await gateway.fault("whatsapp", kind="code", code=131026, count=None)
    if how == "stopped":
        await gateway.stop(1)
    await gateway.settled()
    assert await told(gateway, send) == (CANCELLED if how == "stopped" else FAILED, 1, 1)
    await all_agree(gateway, ["FIRST"])
    await lifted(gateway, "whatsapp")
    if how != "stopped":
        return
    send.stop_epoch = 1
    await gateway.ask(send)
    await gateway.settled()
    assert await told(gateway, send) == (SENT, 2, 2)
    await all_agree(gateway, ["FIRST", "SECOND"])


async def test_a_begun_send_of_the_release_before_is_written_again_without_what_left(
    gateway: Gateway,
) -> None:
    account, module = await prepared(gateway)
    send = await half_sent(gateway, account, module)
    await put_off(gateway, send)
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    await connection.execute(
        "UPDATE channel_gateway.delivery SET parts = NULL WHERE effect_key = $1", send.effect_key
    )
    await connection.close()
    await gateway.ask(send)
    await gateway.settled()
    await all_agree(gateway, ["FIRST", "SECOND"])


async def test_line_takes_the_rest_of_a_push_under_a_key_of_its_own(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    texts = [str(number) for number in range(7)]
    customer = gateway.customer(account, LINE)
    await gateway.fault("line", kind="rate", skip=1, count=None)
    send = gateway.send(
        customer,
        LINE,
        bot_module_id=await gateway.module(*texts),
        cap=2,
        not_after=timestamp(gateway.clock.now() + timedelta(hours=1)),
    )
    await gateway.ask(send)
    while len(await gateway.accepted("line")) < 1:
        pass
    gateway.clock.advance(timedelta(hours=2))
    await gateway.settled()
    await lifted(gateway, "line")
    send.not_after.CopyFrom(timestamp(gateway.clock.now() + timedelta(hours=20)))
    await gateway.ask(send)
    await gateway.settled()
    records = await gateway.accepted("line")
    assert [message["text"] for record in records for message in record["body"]["messages"]] == texts
    assert await usage(gateway) == 2


async def in_doubt(gateway: Gateway, fault: str, *texts: str, skip: int = 0) -> send_pb2.Send:
    """A send on LINE of which an answer says nothing of whether its message was taken, put off before that could be
    repeated; `skip` messages have left before."""
    account, module = await gateway.account(LINE), await gateway.module(*texts or ("Hello",))
    await gateway.fault("line", kind=fault, count=1, skip=skip)
    quiet_from = timestamp(gateway.clock.now() + timedelta(hours=1))
    customer = gateway.customer(account, LINE)
    send = gateway.send(
        customer, LINE, bot_module_id=module, account_id=account, cap=10, not_after=quiet_from
    )
    await gateway.ask(send)
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    doubtful = "SELECT doubtful AND state = 8 FROM channel_gateway.delivery WHERE effect_key = $1"
    while not await connection.fetchval(doubtful, send.effect_key):
        await asyncio.sleep(0.01)
    await connection.close()
    gateway.clock.advance(timedelta(hours=2))
    await gateway.settled()
    delivery = await gateway.delivery(send.effect_key)
    assert (delivery.state, delivery.messages) == (DEFERRED, skip + 1)
    assert await usage(gateway) == skip + 1, "it may have left"
    send.not_after.CopyFrom(timestamp(gateway.clock.now() + timedelta(hours=20)))
    return send


@pytest.mark.rule("C-04b", "C-04c")
@pytest.mark.parametrize("fault", ["error_after", "error_before"])
async def test_a_doubtful_send_goes_on_under_its_key_after_quiet_hours(gateway: Gateway, fault: str) -> None:
    send = await in_doubt(gateway, fault)
    (answer,) = await gateway.ask(send)
    assert answer.state == delivery_pb2.SEND_STATE_ACCEPTED
    await gateway.settled()
    assert await told(gateway, send) == (SENT, 1, 1)
    assert (len(await gateway.accepted("line")), await usage(gateway)) == (1, 1)
    facts = await gateway.facts()
    assert [fact.messages for fact in facts] == [0, 1], "counted once, when it is known"


@pytest.mark.rule("C-04a", "C-04c")
@pytest.mark.parametrize("meanwhile", ["forgotten", "blocked", "stopped"])
async def test_a_doubtful_send_that_does_not_go_on_is_unknown_and_keeps_its_place(
    gateway: Gateway, meanwhile: str
) -> None:
    send = await in_doubt(gateway, "error_after")
    if meanwhile == "forgotten":
        connection = await asyncpg.connect(gateway.database.admin_dsn)
        query = "UPDATE channel_gateway.delivery SET first_attempt_at = first_attempt_at - interval '1 day'"
        await connection.execute(query)
        await connection.close()
    if meanwhile == "blocked":
        gateway.neighbours.segment.profiles[send.customer_id].identities[0].blocked = True
    if meanwhile == "stopped":
        await gateway.stop(1)
    await gateway.ask(send)
    await gateway.settled()
    assert await told(gateway, send) == (delivery_pb2.SEND_STATE_UNKNOWN, 1, 0)
    assert (len(await gateway.accepted("line")), await usage(gateway)) == (1, 1)


@pytest.mark.rule("C-04a", "C-04c")
async def test_a_doubtful_send_that_nobody_asks_for_again_is_unknown_once_its_key_is_forgotten(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.channel_gateway.worker.recovery.PUT_OFF_EVERY_S", 0.0)
    send = await in_doubt(gateway, "error_after")
    connection = await asyncpg.connect(gateway.database.admin_dsn)
    for table in ("put_off_send", "delivery"):
        aged = "SET first_attempt_at = first_attempt_at - interval '1 day'"
        await connection.execute(f"UPDATE channel_gateway.{table} {aged}")
    await connection.close()
    while (await gateway.delivery(send.effect_key)).state != delivery_pb2.SEND_STATE_UNKNOWN:
        await asyncio.sleep(0.02)
    await settled_as_unknown(gateway, send)


async def settled_as_unknown(gateway: Gateway, send: send_pb2.Send) -> None:
    """It keeps its place, is counted once, and stays as it is whoever asks for it again."""
    for _ in range(2):
        assert await told(gateway, send) == (delivery_pb2.SEND_STATE_UNKNOWN, 1, 0)
        assert (len(await gateway.accepted("line")), await usage(gateway)) == (1, 1)
        assert [fact.messages for fact in await gateway.facts()] == [0, 1], "counted once"
        connection = await asyncpg.connect(gateway.database.admin_dsn)
        assert await connection.fetchval("SELECT count(*) FROM channel_gateway.put_off_send") == 0
        await connection.close()
        send.stop_epoch = 1
        (answer,) = await gateway.ask(send)
        assert answer.state == delivery_pb2.SEND_STATE_UNKNOWN


@pytest.mark.rule("J-03b", "J-03f", "C-04b")
async def test_a_doubtful_send_of_a_journey_that_is_stopped_is_unknown_at_once(gateway: Gateway) -> None:
    send = await in_doubt(gateway, "error_after")
    assert (await gateway.stop(1)).cancelled == 1
    assert (await gateway.delivery(send.effect_key)).reason == error_reason_pb2.ERROR_REASON_JOURNEY_STOPPED
    await settled_as_unknown(gateway, send)
    assert (await gateway.stop(1)).cancelled == 0


@pytest.mark.rule("C-04b")
async def test_a_doubtful_send_that_is_cancelled_is_unknown_at_once(gateway: Gateway) -> None:
    send = await in_doubt(gateway, "error_after")
    assert await cancel(gateway, send.effect_key)
    assert (await gateway.delivery(send.effect_key)).reason == error_reason_pb2.ERROR_REASON_ENROLMENT_ENDED
    await settled_as_unknown(gateway, send)
    assert not await cancel(gateway, send.effect_key)


@pytest.mark.rule("C-04b", "C-05")
@pytest.mark.parametrize("ends", ["stopped", "forgotten"])
async def test_of_a_send_that_is_in_doubt_half_way_each_message_is_counted_once(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    monkeypatch.setattr("services.channel_gateway.worker.recovery.PUT_OFF_EVERY_S", 0.0)
    send = await in_doubt(gateway, "error_after", *map(str, range(11)), skip=1)
    assert await told(gateway, send) == (DEFERRED, 2, 1), "of three"
    assert [fact.messages for fact in await gateway.facts()] == [1]
    if ends == "stopped":
        await gateway.stop(1)
    else:
        connection = await asyncpg.connect(gateway.database.admin_dsn)
        aged = "SET first_attempt_at = first_attempt_at - interval '1 day'"
        await connection.execute(f"UPDATE channel_gateway.put_off_send {aged}")
        await connection.execute(f"UPDATE channel_gateway.delivery {aged}")
        await connection.close()
        while (await gateway.delivery(send.effect_key)).state != delivery_pb2.SEND_STATE_UNKNOWN:
            await asyncio.sleep(0.02)
    assert await told(gateway, send) == (delivery_pb2.SEND_STATE_UNKNOWN, 2, 1)
    assert [fact.messages for fact in await gateway.facts()] == [1, 1]
    assert (len(await gateway.accepted("line")), await usage(gateway)) == (2, 2)
