"""Previews with a customer's values, tests to one person, and what was sent, read afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import asyncpg
import grpc
import pytest

from libs.common.db.pool import open_pool
from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import delivery_pb2
from services.channel_gateway.store.figures import FigureStore
from services.channel_gateway.worker.forgetting import Forgetting
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway
from tests.integration.channel_gateway.test_frequency import rule, set_cap
from tests.integration.channel_gateway.test_strange_coupons import refused
from tools.paths import ROOT

(_MIGRATION,) = (ROOT / "services/channel_gateway/sql/migrations").glob("*_overdue_contents.sql")
ACCEPTED, SENT = delivery_pb2.SEND_STATE_ACCEPTED, delivery_pb2.SEND_STATE_SENT


def trial_of(gateway: Gateway, account: str, customer: str, **said: Any) -> pb.SendTestMessageRequest:
    asked = {"request_id": str(new_id()), "customer_id": customer, "channel_account_id": account}
    return pb.SendTestMessageRequest(team_id=str(gateway.team_id), **(asked | said))


async def answer_to(gateway: Gateway, request: pb.SendTestMessageRequest) -> delivery_pb2.Delivery:
    return (await gateway.stub.SendTestMessage(request, timeout=TIMEOUT_S)).delivery


async def content(gateway: Gateway, effect_key: str) -> list[Any]:
    request = pb.GetDeliveryContentRequest(team_id=str(gateway.team_id), effect_key=effect_key)
    answer = await gateway.stub.GetDeliveryContent(request, timeout=TIMEOUT_S)
    return [json.loads(message) for message in answer.messages]


async def preview(
    gateway: Gateway, module: str, channel: int, customer: str, data: Mapping[str, str] | None = None
) -> list[Any]:
    request = pb.PreviewBotModuleRequest(
        team_id=str(gateway.team_id),
        bot_module_id=module,
        channel=channel,  # type: ignore[arg-type]
        customer_id=customer,
        trigger_data=data,
    )
    answer = await gateway.stub.PreviewBotModule(request, timeout=TIMEOUT_S)
    return [json.loads(each) for each in answer.requests]


@pytest.mark.rule("C-10f")
async def test_a_preview_and_a_test_say_what_the_customer_would_read(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    await gateway.top_up(1_000_000)
    customer = gateway.customer(account, WHATSAPP, name="Mei")
    gateway.neighbours.points.balances[customer] = (120, 300)
    (identity,) = gateway.neighbours.segment.profiles[customer].identities
    url = gateway.emulators.urls["whatsapp"] + "/_emulator/inbound"
    async with gateway.http.post(url, json={"wa_id": identity.key.external_id}) as answer:
        assert answer.status < 300
    module = await gateway.module("{{customer.name|friend}}: {{points.balance|0}} points")
    (shown,) = await preview(gateway, module, WHATSAPP, customer)
    assert shown["text"]["body"] == "Mei: 120 points"
    (nobodys,) = await preview(gateway, module, WHATSAPP, "")
    assert nobodys["text"]["body"] == "friend: 0 points"

    request = trial_of(gateway, account, customer, bot_module_id=module)
    accepted = await answer_to(gateway, request)
    assert (accepted.state, accepted.test, accepted.journey_id, accepted.node_id) == (ACCEPTED, True, "", "")
    await gateway.settled()
    assert await answer_to(gateway, request) == accepted, "the first answer again, and nothing more is sent"
    await gateway.settled()
    (record,) = await gateway.accepted("whatsapp")
    assert record["body"]["text"]["body"] == "Mei: 120 points"
    assert (await gateway.delivery(accepted.effect_key)).state == SENT
    assert await gateway.balance() == 500_000, "it is paid"
    listed = pb.ListDeliveriesRequest(team_id=str(gateway.team_id))
    (delivery,) = (await gateway.stub.ListDeliveries(listed, timeout=TIMEOUT_S)).deliveries
    assert delivery.test
    assert await gateway.mail(customer) == []
    assert await gateway.facts() == []
    figures = pb.GetSendFiguresRequest(team_id=str(gateway.team_id))
    assert not (await gateway.stub.GetSendFigures(figures, timeout=TIMEOUT_S)).figures


@pytest.mark.rule("C-10f")
async def test_previews_and_tests_take_values_for_the_data_of_a_trigger(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    customer = gateway.customer(account, LINE, name="Mei")
    module = await gateway.module("{{customer.name|friend}}: {{trigger.code|no code}}")
    for whose, name in ((customer, "Mei"), ("", "friend")):
        (shown,) = await preview(gateway, module, LINE, whose, {"code": "A7"})
        assert shown["messages"][0]["text"] == f"{name}: A7"
    request = trial_of(gateway, account, customer, bot_module_id=module, trigger_data={"code": "A7"})
    await answer_to(gateway, request)
    await gateway.settled()
    (record,) = await gateway.accepted("line")
    assert record["body"]["messages"][0]["text"] == "Mei: A7"
    for faulty in ({"a key": "x"}, {"code": "x" * 1_001}, {f"k{n}": "" for n in range(21)}):
        with pytest.raises(grpc.aio.AioRpcError) as refused_one:
            await preview(gateway, module, LINE, customer, faulty)
        assert refused_one.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_test_is_of_one_content_of_the_team(gateway: Gateway) -> None:
    account, other = await gateway.account(WHATSAPP), await gateway.account(LINE)
    template = await gateway.template(account)
    customer = gateway.customer(account, WHATSAPP)
    module = await gateway.module("Hi")
    send = gateway.stub.SendTestMessage

    async def fields(**said: Any) -> set[str]:
        name, faults = await refused(send, trial_of(gateway, account, customer, **said))
        assert name == "INVALID_FIELDS"
        return set(faults)

    assert await fields() == {"bot_module_id"}
    assert await fields(bot_module_id=module, message_template_id=template) == {"bot_module_id"}
    assert await fields(message_template_id=template, parameters=["one of two"]) == {"parameters"}
    assert await fields(message_template_id=template, channel_account_id=other) == {"message_template_id"}
    for strange in ("bot_module_id", "message_template_id", "channel_account_id", "customer_id"):
        said = {"bot_module_id": module} if strange != "message_template_id" else {}
        with pytest.raises(grpc.aio.AioRpcError) as missing:
            await send(
                trial_of(gateway, account, customer, **(said | {strange: str(new_id())})), timeout=TIMEOUT_S
            )
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND
    request = trial_of(gateway, account, customer, bot_module_id=module)
    await send(request, timeout=TIMEOUT_S)
    request.bot_module_id = await gateway.module("Other")
    with pytest.raises(grpc.aio.AioRpcError) as reused:
        await send(request, timeout=TIMEOUT_S)
    assert reused.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_a_test_that_does_not_fit_is_refused_and_not_sent(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    customer = gateway.customer(account, LINE, name="M" * 41)
    module = await gateway.module()
    request = pb.UpdateBotModuleRequest(
        team_id=str(gateway.team_id),
        request_id=str(new_id()),
        update_mask={"paths": ["cards"]},  # type: ignore[arg-type]
    )
    request.module.bot_module_id = module
    card = request.module.cards.add().button
    card.title, card.text = "{{customer.name}}", "Look"
    card.buttons.add(label="Go", url="https://shop.example")
    await gateway.stub.UpdateBotModule(request, timeout=TIMEOUT_S)
    name, faults = await refused(
        gateway.stub.SendTestMessage, trial_of(gateway, account, customer, bot_module_id=module)
    )
    assert (name, set(faults)) == ("INVALID_FIELDS", {"bot_module_id"})
    assert await gateway.accepted("line") == []


async def test_a_test_is_held_to_what_holds_every_message_but_caps(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module("Hi")
    await set_cap(gateway, rule(1))
    blocked = gateway.customer(account, LINE, blocked=True)
    refusal = await answer_to(gateway, trial_of(gateway, account, blocked, bot_module_id=module))
    assert refusal.state == delivery_pb2.SEND_STATE_SKIPPED
    assert await gateway.facts() == []
    customer = gateway.customer(account, LINE)
    for _ in range(2):
        await answer_to(gateway, trial_of(gateway, account, customer, bot_module_id=module))
    await gateway.settled()
    assert len(await gateway.accepted("line")) == 2
    (answer,) = await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
    assert answer.state == ACCEPTED, "tests take no room under the cap"


@pytest.mark.rule("C-10g")
async def test_what_was_sent_can_be_read_for_as_long_as_it_is_kept(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    customer = gateway.customer(account, LINE, name="Mei")
    module = await gateway.module("Dear {{customer.name}}", *map(str, range(5)))
    send = gateway.send(customer, LINE, bot_module_id=module)
    unbound = gateway.send(str(new_id()), LINE, bot_module_id=module)
    await gateway.ask(send, unbound)
    await gateway.settled()
    sent = [record["body"] for record in await gateway.accepted("line")]
    assert len(sent) == 2
    assert await content(gateway, send.effect_key) == sent
    with pytest.raises(grpc.aio.AioRpcError) as nothing:
        await content(gateway, unbound.effect_key)
    assert nothing.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(grpc.aio.AioRpcError) as nobody:
        await content(gateway, str(new_id()))
    assert nobody.value.code() is grpc.StatusCode.NOT_FOUND

    kept_days = 90
    async with await open_pool(gateway.database.dsn_of("channel_gateway"), name="test") as pool:
        forgetting = Forgetting(FigureStore(pool), gateway.clock, kept_days, "contents")
        gateway.clock.advance(timedelta(days=kept_days))
        assert await forgetting.step(10) == 0
        gateway.clock.advance(timedelta(seconds=60))
        young = gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module)
        await gateway.ask(young)
        await gateway.settled()
        assert [await forgetting.step(1), await forgetting.step(10)] == [1, 0]
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await content(gateway, send.effect_key)
        assert gone.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert len(await content(gateway, young.effect_key)) == 2
        gateway.clock.advance(timedelta(days=kept_days + 1))
        assert await forgetting.step(10) == 1


@pytest.mark.rule("S-08c")
async def test_what_is_settled_after_its_time_or_was_put_off_loses_its_contents_then(
    gateway: Gateway,
) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module("Hi")
    waits, put_off, written_again, plain = sends = [
        gateway.send(gateway.customer(account, LINE), LINE, bot_module_id=module) for _ in range(4)
    ]
    await gateway.ask(*sends)
    await gateway.settled()
    owner = await asyncpg.connect(gateway.database.admin_dsn)
    change = "UPDATE channel_gateway.delivery SET state = $2, parts = $3 WHERE effect_key = $1"
    parts = await owner.fetchval(
        "SELECT parts FROM channel_gateway.delivery WHERE effect_key = $1", plain.effect_key
    )
    with_content = "SELECT array_agg(effect_key::text) FROM channel_gateway.delivery WHERE parts IS NOT NULL"
    await owner.execute(change, waits.effect_key, ACCEPTED, parts)
    for send in (put_off, written_again):
        await owner.execute(change, send.effect_key, delivery_pb2.SEND_STATE_DEFERRED, parts)
    async with await open_pool(gateway.database.dsn_of("channel_gateway"), name="test") as pool:
        forgetting = Forgetting(FigureStore(pool), gateway.clock, 1, "contents")
        gateway.clock.advance(timedelta(days=2))
        assert [await forgetting.step(10), await forgetting.step(10)] == [3, 0]
        assert await owner.fetchval(with_content) == [waits.effect_key]
        await owner.execute(change, waits.effect_key, SENT, parts)
        await owner.execute(change, written_again.effect_key, SENT, parts)
        assert await forgetting.step(1) == 1
        assert await forgetting.step(10) == 1
        assert await owner.fetchval(with_content) is None
        noted = "SELECT effect_key::text FROM channel_gateway.overdue_content"
        assert [row[0] for row in await owner.fetch(noted)] == [put_off.effect_key]
        gateway.clock.advance(timedelta(days=31))
        await forgetting.step(10)
        assert await owner.fetch(noted) == []
    # What the release before had passed over is noted by the migration.
    await owner.execute(change, waits.effect_key, SENT, parts)
    await owner.execute("SET search_path = channel_gateway; DROP TABLE overdue_content")
    await owner.execute(_MIGRATION.read_text(encoding="utf-8"))
    assert [row[0] for row in await owner.fetch(noted)] == [waits.effect_key]
    await owner.close()
