"""Bot modules offer coupons that their team has: others are refused by their path."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2
from tests.integration.channel_gateway.conftest import TIMEOUT_S, Gateway


def offer(coupon_id: str) -> content_pb2.Card:
    return content_pb2.Card(
        coupon=content_pb2.CouponCard(coupon_id=coupon_id, text="A coupon", button_label="Claim")
    )


def choice(*then_cards: content_pb2.Card) -> content_pb2.Card:
    condition = content_pb2.ConditionCard(
        figure=content_pb2.POINT_FIGURE_BALANCE,
        comparison=content_pb2.POINT_COMPARISON_AT_LEAST,
        value=1,
        then_cards=then_cards,
    )
    return content_pb2.Card(condition=condition)


def creation(gateway: Gateway, *cards: content_pb2.Card) -> pb.CreateBotModuleRequest:
    module = content_pb2.BotModule(name="Offer", cards=cards)
    return pb.CreateBotModuleRequest(team_id=str(gateway.team_id), request_id=str(new_id()), module=module)


async def refused(call: Any, request: Any) -> tuple[str, dict[str, str]]:
    """The reason, and what is wrong by path."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(request, timeout=TIMEOUT_S)
    answer = remote_error(caught.value)
    return answer.reason, {fault.field: fault.description for fault in answer.violations}


async def test_a_module_offers_no_coupon_of_another_team_or_of_nobody(gateway: Gateway) -> None:
    own, foreign, nobodys = gateway.coupon(), gateway.coupon(new_id()), str(new_id())
    request = creation(gateway, offer(own), offer(foreign), choice(offer(own), choice(offer(nobodys))))
    reason, faults = await refused(gateway.stub.CreateBotModule, request)
    assert reason == "INVALID_FIELDS"
    inside = "module.cards[2].condition.then_cards[1].condition.then_cards[0].coupon.coupon_id"
    assert set(faults) == {"module.cards[1].coupon.coupon_id", inside}
    assert "ListCoupons" in faults[inside]
    listed = pb.ListBotModulesRequest(team_id=str(gateway.team_id))
    assert not (await gateway.stub.ListBotModules(listed, timeout=TIMEOUT_S)).modules


async def test_a_module_gets_no_strange_coupon_later(gateway: Gateway) -> None:
    created = await gateway.stub.CreateBotModule(
        creation(gateway, offer(gateway.coupon())), timeout=TIMEOUT_S
    )
    update = pb.UpdateBotModuleRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), module=created.module
    )
    update.module.cards.append(offer(str(new_id())))
    reason, faults = await refused(gateway.stub.UpdateBotModule, update)
    assert (reason, list(faults)) == ("INVALID_FIELDS", ["module.cards[1].coupon.coupon_id"])
    asked = pb.GetBotModuleRequest(team_id=str(gateway.team_id), bot_module_id=created.module.bot_module_id)
    assert (await gateway.stub.GetBotModule(asked, timeout=TIMEOUT_S)).module == created.module


async def test_a_repeated_request_gets_its_first_answer_without_points(gateway: Gateway) -> None:
    request = creation(gateway, offer(gateway.coupon()))
    first = await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)
    gateway.neighbours.points.away = True
    assert await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S) == first
    request.request_id = str(new_id())
    assert await refused(gateway.stub.CreateBotModule, request) == ("DEPENDENCY_UNAVAILABLE", {})
    plain = creation(gateway)
    plain.module.cards.add().text.text = "Hello"
    await gateway.stub.CreateBotModule(plain, timeout=TIMEOUT_S)


async def test_a_module_names_a_bounded_number_of_coupons(gateway: Gateway) -> None:
    cards = [choice(*[offer(gateway.coupon()) for _ in range(10)]) for _ in range(6)]
    assert await refused(gateway.stub.CreateBotModule, creation(gateway, *cards)) == (
        "INVALID_FIELDS",
        {"module.cards": "may name at most 50 different coupons"},
    )
    await gateway.stub.CreateBotModule(creation(gateway, *cards[:5]), timeout=TIMEOUT_S)
