"""Frequency caps through the running gateway: set, held over journeys and processes, waited for."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.values import datetime_of, duration
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import delivery_pb2, limits_pb2
from omnijourney.internal.v1 import send_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway, GatewayMaker

ACCEPTED = delivery_pb2.SEND_STATE_ACCEPTED
SKIPPED = delivery_pb2.SEND_STATE_SKIPPED
DEFERRED = delivery_pb2.SEND_STATE_DEFERRED
REACHED = "FREQUENCY_CAP_REACHED"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def rule(most: int, period: timedelta = DAY, channel: int = 0) -> limits_pb2.FrequencyRule:
    return limits_pb2.FrequencyRule(channel=channel, message_max=most, period=duration(period))  # type: ignore[arg-type]


async def set_cap(gateway: Gateway, *rules: limits_pb2.FrequencyRule, **said: Any) -> limits_pb2.FrequencyCap:
    asked: dict[str, Any] = {
        "team_id": str(gateway.team_id),
        "request_id": str(new_id()),
        "frequency_cap": limits_pb2.FrequencyCap(rules=rules),
        "update_mask": {"paths": ["rules"]},
    }
    request = pb.UpdateFrequencyCapRequest(**(asked | said))
    return (await gateway.stub.UpdateFrequencyCap(request, timeout=TIMEOUT_S)).frequency_cap


async def get_cap(gateway: Gateway) -> limits_pb2.FrequencyCap:
    request = pb.GetFrequencyCapRequest(team_id=str(gateway.team_id))
    return (await gateway.stub.GetFrequencyCap(request, timeout=TIMEOUT_S)).frequency_cap


async def test_a_cap_is_none_until_it_is_set_and_changes_as_its_etag_allows(gateway: Gateway) -> None:
    none = await get_cap(gateway)
    assert (list(none.rules), none.etag) == ([], "0")
    first = await set_cap(gateway, rule(2), rule(1, HOUR, LINE), etag=none.etag)
    assert await get_cap(gateway) == first
    assert [(each.channel, each.message_max, each.period.ToTimedelta()) for each in first.rules] == [
        (0, 2, DAY),
        (LINE, 1, HOUR),
    ]
    with pytest.raises(grpc.aio.AioRpcError) as old:
        await set_cap(gateway, rule(3), etag=none.etag)
    assert old.value.code() is grpc.StatusCode.ABORTED
    assert (await set_cap(gateway, update_mask={})).rules == first.rules, "an empty mask clears nothing"
    repeated = {"request_id": str(new_id()), "etag": first.etag}
    second = await set_cap(gateway, rule(3), **repeated)
    assert second.etag != first.etag
    await set_cap(gateway)
    assert await set_cap(gateway, rule(3), **repeated) == second, "the first answer again"
    assert list((await get_cap(gateway)).rules) == []


@pytest.mark.parametrize(
    "faulty",
    [
        rule(0),
        rule(1_001),
        rule(1, HOUR - timedelta(microseconds=1)),
        rule(1, 90 * DAY + timedelta(microseconds=1)),
        limits_pb2.FrequencyRule(message_max=1),
        limits_pb2.FrequencyRule(channel=9, message_max=1, period=duration(DAY)),  # type: ignore[arg-type]
    ],
)
async def test_a_faulty_rule_is_refused(gateway: Gateway, faulty: limits_pb2.FrequencyRule) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await set_cap(gateway, rule(1), faulty)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert list((await get_cap(gateway)).rules) == []


async def test_a_customer_gets_no_more_than_the_cap_whatever_journeys_ask(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module("Hello")
    anna, ben = gateway.customer(account, LINE), gateway.customer(account, LINE)
    await set_cap(gateway, rule(2))

    def sends(customer: str, count: int) -> list[Any]:
        return [
            gateway.send(customer, LINE, bot_module_id=module, journey_id=str(new_id())) for _ in range(count)
        ]

    of_anna, of_ben = sends(anna, 3), sends(ben, 2)
    answers = await gateway.ask(*of_anna, *of_ben)
    assert [each.state for each in answers] == [ACCEPTED, ACCEPTED, SKIPPED, ACCEPTED, ACCEPTED]
    assert answers[2].reason == REACHED
    assert [each.state for each in await gateway.ask(*sends(anna, 1))] == [SKIPPED]
    again = (await gateway.ask(of_anna[2]))[0]
    assert (again.state, again.reason, again.replayed) == (SKIPPED, REACHED, True)
    await gateway.settled()
    assert len(await gateway.accepted("line")) == 4
    gateway.clock.advance(DAY)
    assert [each.state for each in await gateway.ask(*sends(anna, 3))] == [ACCEPTED, ACCEPTED, SKIPPED]


async def test_who_waits_is_told_when_there_is_room_and_gets_it_then(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module, large = await gateway.module("Hello"), await gateway.module(*"123456")
    customer = gateway.customer(account, LINE)
    await set_cap(gateway, rule(1, 6 * HOUR))
    await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
    await gateway.settled()
    sent_at = gateway.clock.now()
    gateway.clock.advance(HOUR)
    waiting = gateway.send(customer, LINE, bot_module_id=module, waits_for_room=True)
    never = gateway.send(customer, LINE, bot_module_id=large, waits_for_room=True)
    told, too_large = await gateway.ask(waiting, never)
    assert (told.state, told.reason, datetime_of(told.room_time)) == (DEFERRED, REACHED, sent_at + 6 * HOUR)
    assert (too_large.state, too_large.reason) == (SKIPPED, REACHED), (
        "two messages of up to five cards: the cap allows one"
    )
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await gateway.delivery(waiting.effect_key)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
    gateway.clock.advance(5 * HOUR)
    (answer,) = await gateway.ask(waiting)
    assert (answer.state, answer.replayed) == (ACCEPTED, False)
    await gateway.settled()
    assert len(await gateway.accepted("line")) == 2


async def test_who_would_wait_for_long_looks_again_within_a_day(gateway: Gateway) -> None:
    account = await gateway.account(LINE)
    module = await gateway.module("Hello")
    customer = gateway.customer(account, LINE)
    await set_cap(gateway, rule(1, 30 * DAY))
    await gateway.ask(gateway.send(customer, LINE, bot_module_id=module))
    await gateway.settled()
    (told,) = await gateway.ask(gateway.send(customer, LINE, bot_module_id=module, waits_for_room=True))
    assert datetime_of(told.room_time) == gateway.clock.now() + DAY


async def test_a_rule_of_a_channel_leaves_others_alone(gateway: Gateway) -> None:
    line, whatsapp = await gateway.account(LINE), await gateway.account(WHATSAPP)
    module = await gateway.module("Hello")
    await gateway.top_up(10**9)
    on_line, on_whatsapp = gateway.customer(line, LINE), gateway.customer(whatsapp, WHATSAPP)
    await set_cap(gateway, rule(1, DAY, LINE))
    template = send_pb2.TemplateContent(
        template_id=await gateway.template(whatsapp, parameters=1), parameters=["Mei"]
    )
    sends = [gateway.send(on_line, LINE, bot_module_id=module) for _ in range(2)]
    sends += [gateway.send(on_whatsapp, WHATSAPP, template=template) for _ in range(2)]
    assert [each.state for each in await gateway.ask(*sends)] == [ACCEPTED, SKIPPED, ACCEPTED, ACCEPTED]


async def test_what_did_not_leave_counts_no_more(gateway: Gateway) -> None:
    account = await gateway.account(WHATSAPP)
    template = send_pb2.TemplateContent(
        template_id=await gateway.template(account, parameters=1), parameters=["Mei"]
    )
    await gateway.top_up(10**9)
    customer = gateway.customer(account, WHATSAPP)
    await set_cap(gateway, rule(1))
    await gateway.fault("whatsapp", kind="code", code=131009, status=400)
    states = []
    for _ in range(3):
        (answer,) = await gateway.ask(gateway.send(customer, WHATSAPP, template=template))
        states.append(answer.state)
        await gateway.settled()
    assert states == [ACCEPTED, ACCEPTED, SKIPPED], "the first failed, the second was got"


async def test_processes_share_the_room_exactly_and_a_cap_holds_in_all_of_them_at_once(
    maker: GatewayMaker,
) -> None:
    async with maker.start() as one, maker.start() as two:
        two.team_id, two.neighbours = one.team_id, one.neighbours
        account = await one.account(LINE)
        module = await one.module("Hello")
        customer = one.customer(account, LINE)
        (before,) = await two.ask(two.send(customer, LINE, bot_module_id=module))
        assert before.state == ACCEPTED, "it keeps from now on what it knows of the team"
        await set_cap(one, rule(7))
        sends = [one.send(customer, LINE, bot_module_id=module, journey_id=str(new_id())) for _ in range(40)]
        answers = await asyncio.gather(*((one, two)[place % 2].ask(send) for place, send in enumerate(sends)))
        states = [answer.state for (answer,) in answers]
        assert (states.count(ACCEPTED), states.count(SKIPPED)) == (7, 33)
        await set_cap(two)
        (after,) = await one.ask(one.send(customer, LINE, bot_module_id=module))
        assert after.state == ACCEPTED
