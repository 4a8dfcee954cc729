"""Content that cannot fit a channel is told when it is saved; a customer whose values are too long fails alone."""

from __future__ import annotations

import pytest

from libs.common.ids import new_id
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import content_pb2, delivery_pb2
from tests.integration.channel_gateway.conftest import (
    INSTAGRAM,
    LINE,
    MESSENGER,
    TIMEOUT_S,
    WHATSAPP,
    Gateway,
)

SHOP = "https://shop.example/"


def button_card(text: str, *buttons: content_pb2.Button) -> content_pb2.Card:
    return content_pb2.Card(button=content_pb2.ButtonCard(text=text, buttons=buttons))


def says(label: str, text: str = "") -> content_pb2.Button:
    return content_pb2.Button(label=label, message_text=text or label)


def create(gateway: Gateway, *cards: content_pb2.Card) -> pb.CreateBotModuleRequest:
    module = content_pb2.BotModule(name="Hello", cards=cards)
    return pb.CreateBotModuleRequest(team_id=str(gateway.team_id), request_id=str(new_id()), module=module)


def places(misfits: object) -> set[tuple[int, str]]:
    return {(each.channel, each.field) for each in misfits}  # type: ignore[attr-defined]


@pytest.mark.rule("C-10e")
async def test_what_fits_a_channel_in_no_case_is_told_when_it_is_saved(gateway: Gateway) -> None:
    address = content_pb2.Button(label="Shop", url=SHOP.ljust(1_500, "x"))
    branch = content_pb2.Card(
        condition=content_pb2.ConditionCard(
            figure=content_pb2.POINT_FIGURE_BALANCE,
            comparison=content_pb2.POINT_COMPARISON_AT_LEAST,
            value=1,
            else_cards=[button_card("{{customer.name}}" + "x" * 160, says("Yes", "x" * 300))],
        )
    )
    coupon = content_pb2.Card(
        coupon=content_pb2.CouponCard(coupon_id=gateway.coupon(), text="x" * 161, button_label="Claim")
    )
    request = create(
        gateway,
        content_pb2.Card(text=content_pb2.TextCard(text="歡迎" * 1_000)),
        button_card("Which?", address, says("Same"), says("Same")),
        branch,
        coupon,
    )
    saved = await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)
    inside = "module.cards[2].condition.else_cards[0].button"
    assert places(saved.misfits) == {
        (LINE, "module.cards[1].button.buttons[0].url"),
        (LINE, f"{inside}.text"),
        (LINE, "module.cards[3].coupon.text"),
        (WHATSAPP, "module.cards[1].button.buttons"),
        (WHATSAPP, f"{inside}.buttons[0].message_text"),
        (INSTAGRAM, "module.cards[0].text.text"),
    }
    messages = {each.channel: each.message for each in saved.misfits if each.field.endswith(".url")}
    assert messages == {LINE: "is too long for LINE: has 1500 UTF-16 units, at most 1000 fit, shorten it"}
    assert await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S) == saved
    read = pb.GetBotModuleRequest(team_id=request.team_id, bot_module_id=saved.module.bot_module_id)
    assert (await gateway.stub.GetBotModule(read, timeout=TIMEOUT_S)).misfits == saved.misfits

    closed = {
        (channel, field) for channel in (LINE, MESSENGER, INSTAGRAM) for field in ("module.cards[3].coupon",)
    }
    assert places(saved.notices) == closed, "points are open on WhatsApp alone"
    update = pb.UpdateBotModuleRequest(
        team_id=request.team_id,
        request_id=str(new_id()),
        module=content_pb2.BotModule(
            bot_module_id=saved.module.bot_module_id,
            cards=[button_card("Which?", *(says(f"No. {number}") for number in range(4)))],
        ),
    )
    update.update_mask.paths.append("cards")
    updated = await gateway.stub.UpdateBotModule(update, timeout=TIMEOUT_S)
    assert places(updated.misfits) == {(WHATSAPP, "module.cards[0].button.buttons")}
    assert updated.misfits[0].message.startswith("WhatsApp takes at most 3 answers: ")


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize(
    ("channel", "card"),
    [
        (LINE, button_card("Hi {{customer.name}}" + "x" * 150, says("Yes"))),
        (MESSENGER, content_pb2.Card(text=content_pb2.TextCard(text="{{customer.name}}" + "x" * 1_990))),
    ],
)
async def test_values_that_are_too_long_for_a_channel_fail_for_their_customer_alone(
    gateway: Gateway, channel: int, card: content_pb2.Card
) -> None:
    saved = await gateway.stub.CreateBotModule(create(gateway, card), timeout=TIMEOUT_S)
    assert channel not in {each.channel for each in saved.misfits}
    account = await gateway.account(channel)
    sends = [
        gateway.send(
            gateway.customer(account, channel, name=name),
            channel,
            account_id=account,
            bot_module_id=saved.module.bot_module_id,
        )
        for name in ("Mei", "Wolfeschlegelsteinhausen")
    ]
    short, long = await gateway.ask(*sends)
    assert (long.state, long.reason) == (delivery_pb2.SEND_STATE_FAILED, "CONTENT_INVALID")
    assert (short.state, short.reason) != (delivery_pb2.SEND_STATE_FAILED, "CONTENT_INVALID")


async def test_points_on_a_channel_where_they_are_closed_are_told_when_saved_and_previewed(
    gateway: Gateway,
) -> None:
    texts = ("You have {{points.balance|no}} points", "Hello {{customer.name}}")
    request = create(gateway, *(content_pb2.Card(text=content_pb2.TextCard(text=text)) for text in texts))
    saved = await gateway.stub.CreateBotModule(request, timeout=TIMEOUT_S)
    closed = {(channel, "module.cards[0].text.text") for channel in (LINE, MESSENGER, INSTAGRAM)}
    assert places(saved.notices) == closed
    assert {each.message for each in saved.notices if each.channel == LINE} == {
        "points are closed on LINE: variables of points take their defaults"
    }
    seen: dict[int, set[tuple[int, str]]] = {}
    for channel in (LINE, WHATSAPP):
        preview = pb.PreviewBotModuleRequest(
            team_id=request.team_id, bot_module_id=saved.module.bot_module_id, channel=channel
        )
        seen[channel] = places((await gateway.stub.PreviewBotModule(preview, timeout=TIMEOUT_S)).notices)
    assert seen == {LINE: {(LINE, "module.cards[0].text.text")}, WHATSAPP: set()}
