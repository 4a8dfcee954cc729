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
from tests.integration.channel_gateway.test_strange_coupons import refused

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


PASTED = (f"{SHOP}茶 葉", " HTTPS://Shop.Example/a ", "https://商店.tw/")
PLAIN = (f"{SHOP}%E8%8C%B6%20%E8%91%89", "https://shop.example/a", "https://xn--czrs0t.tw/")
NAMES = {LINE: "line", WHATSAPP: "whatsapp", MESSENGER: "messenger", INSTAGRAM: "instagram"}


@pytest.mark.rule("C-10a", "C-10e")
async def test_addresses_leave_as_each_channel_takes_them_however_they_were_pasted(gateway: Gateway) -> None:
    await gateway.top_up(10**9)
    cards = [
        content_pb2.Card(
            button=content_pb2.ButtonCard(
                text="Look", image_url=url, buttons=[content_pb2.Button(label="Open", url=url)]
            )
        )
        for url in PASTED
    ]
    saved = await gateway.stub.CreateBotModule(create(gateway, *cards), timeout=TIMEOUT_S)
    assert list(saved.misfits) == []
    for channel, name in NAMES.items():
        account = await gateway.account(channel)
        customer = gateway.customer(account, channel)
        person = gateway.neighbours.segment.profiles[customer].identities[0].key.external_id
        if channel != LINE:
            who = {"wa_id" if channel == WHATSAPP else "person_id": person}
            async with gateway.http.post(
                gateway.emulators.urls[name] + "/_emulator/inbound", json=who
            ) as answer:
                assert answer.status < 300
        send = gateway.send(customer, channel, account_id=account, bot_module_id=saved.module.bot_module_id)
        await gateway.ask(send)
        await gateway.settled()
        assert (await gateway.delivery(send.effect_key)).state == delivery_pb2.SEND_STATE_SENT, name
        bodies = str(await gateway.accepted(name))
        assert [bodies.count(f"'{url}'") for url in PLAIN] == [2] * 3, name


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize(
    "url", ["https://[shop/", "https://", "ftp://shop.example/", "https://shop.example/a\nb"]
)
async def test_what_is_no_address_is_refused_by_its_field(gateway: Gateway, url: str) -> None:
    link, picture = content_pb2.Button(label="Open", url=url), content_pb2.ImageCard(image_url=url)
    request = create(gateway, button_card("Look", link), content_pb2.Card(image=picture))
    name, faults = await refused(gateway.stub.CreateBotModule, request)
    assert name == "INVALID_FIELDS"
    assert set(faults) == {"module.cards[0].button.buttons[0].url", "module.cards[1].image.image_url"}


@pytest.mark.rule("C-10e")
async def test_an_address_is_as_long_as_it_leaves(gateway: Gateway) -> None:
    link = content_pb2.Button(label="Open", url=SHOP + "茶" * 120)
    saved = await gateway.stub.CreateBotModule(create(gateway, button_card("Look", link)), timeout=TIMEOUT_S)
    assert places(saved.misfits) == {(LINE, "module.cards[0].button.buttons[0].url")}
