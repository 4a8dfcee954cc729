"""Answers below a text, as each channel has them: saved, sent through its adapter, and pressed."""

from __future__ import annotations

from typing import Any

import pytest

from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2, delivery_pb2
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, WHATSAPP, Gateway
from tests.integration.channel_gateway.test_content_fit import create, places, says
from tests.integration.channel_gateway.test_hooks import Platform, line, whatsapp
from tests.integration.channel_gateway.test_pages import person_of
from tests.integration.channel_gateway.test_strange_coupons import refused

__all__ = ["line", "whatsapp"]


def asks(count: int, **more: Any) -> content_pb2.Card:
    """A question with so many answers."""
    replies = [content_pb2.Button(label=f"No. {n}", postback_data=f"n={n}") for n in range(count)]
    return content_pb2.Card(text=content_pb2.TextCard(text="Which?", quick_replies=replies, **more))


async def sent(platform: Platform, channel: int, customer: str, card: content_pb2.Card) -> tuple[str, Any]:
    """The key of a send of the card, and the message that its channel took."""
    gateway = platform.gateway
    saved = await gateway.stub.CreateBotModule(create(gateway, card), timeout=TIMEOUT_S)
    read = pb.GetBotModuleRequest(team_id=str(gateway.team_id), bot_module_id=saved.module.bot_module_id)
    assert (await gateway.stub.GetBotModule(read, timeout=TIMEOUT_S)).module.cards == [card]
    send = gateway.send(
        customer, channel, account_id=platform.account_id, bot_module_id=saved.module.bot_module_id
    )
    await gateway.ask(send)
    await gateway.settled()
    assert (await gateway.delivery(send.effect_key)).state == delivery_pb2.SEND_STATE_SENT
    (message,) = await gateway.accepted("line" if channel == LINE else "whatsapp")
    return send.effect_key, message["body"]


async def pressed(platform: Platform) -> tuple[str, str, str]:
    """What segment is told of the last press."""
    press = (await platform.heard())[-1].message_received
    return press.text, press.button_data, press.effect_key


@pytest.mark.rule("C-10a")
@pytest.mark.rule("C-01b")
async def test_thirteen_quick_replies_stand_below_a_text_on_line(line: Platform) -> None:
    await line.aim()
    customer = line.gateway.customer(line.account_id, LINE)
    key, body = await sent(line, LINE, customer, asks(13, list_label="All"))
    items = body["messages"][0]["quickReply"]["items"]
    assert [each["action"]["label"] for each in items] == [f"No. {n}" for n in range(13)]
    person, data = person_of(line.gateway, customer), items[12]["action"]["data"]
    await line.tell("acts", acts=[{"kind": "postback", "user_id": person, "data": data}])
    assert await pressed(line) == ("", "n=12", key)


@pytest.mark.rule("C-10a")
@pytest.mark.rule("C-01b")
async def test_on_whatsapp_more_than_three_are_a_list_whose_rows_are_pressed(whatsapp: Platform) -> None:
    await whatsapp.aim()
    await whatsapp.gateway.top_up(10**9)
    customer = whatsapp.gateway.customer(whatsapp.account_id, WHATSAPP)
    person = person_of(whatsapp.gateway, customer)
    await whatsapp.tell("inbound", wa_id=person)
    key, body = await sent(whatsapp, WHATSAPP, customer, asks(4, list_label="All"))
    action = body["interactive"]["action"]
    assert (body["interactive"]["type"], action["button"]) == ("list", "All")
    (section,) = action["sections"]
    await whatsapp.tell("inbound", wa_id=person, row=section["rows"][3])
    assert await pressed(whatsapp) == ("No. 3", "n=3", key)
    assert (await whatsapp.gateway.delivery(key)).receipt == delivery_pb2.RECEIPT_KIND_REPLIED


@pytest.mark.rule("C-10e")
async def test_quick_replies_that_cannot_be_are_refused_or_told_when_saved(gateway: Gateway) -> None:
    condition = content_pb2.ConditionCard(
        figure=content_pb2.POINT_FIGURE_BALANCE, comparison=content_pb2.POINT_COMPARISON_AT_LEAST, value=1
    )
    condition.then_cards.append(asks(2))
    inside = content_pb2.Card(condition=condition)
    text = content_pb2.Card(text=content_pb2.TextCard(text="Bye"))
    link = content_pb2.Button(label="Shop", url="https://shop.example/")
    linked = content_pb2.Card(text=content_pb2.TextCard(text="Look", quick_replies=[link]))
    for cards, field in (
        ((asks(2), text), "module.cards[0].text.quick_replies"),
        ((inside, text), "module.cards[0].condition.then_cards[0].text.quick_replies"),
        ((asks(14),), "module.cards[0].text.quick_replies"),
        ((linked,), "module.cards[0].text.quick_replies[0].url"),
    ):
        assert field in (await refused(gateway.stub.CreateBotModule, create(gateway, *cards)))[1]
    saved = await gateway.stub.CreateBotModule(create(gateway, text, inside), timeout=TIMEOUT_S)
    assert places(saved.misfits) == set()
    twice = content_pb2.TextCard(text="Which?", quick_replies=[says("Yes"), says("Yes")])
    saved = await gateway.stub.CreateBotModule(
        create(gateway, content_pb2.Card(text=twice)), timeout=TIMEOUT_S
    )
    assert places(saved.misfits) == {(WHATSAPP, "module.cards[0].text.quick_replies")}
    saved = await gateway.stub.CreateBotModule(create(gateway, asks(13)), timeout=TIMEOUT_S)
    assert places(saved.misfits) == {
        (WHATSAPP, "module.cards[0].text.quick_replies"),
        (WHATSAPP, "module.cards[0].text.list_label"),
    }
