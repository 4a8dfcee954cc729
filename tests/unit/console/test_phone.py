"""What the gateway would send to each channel, read as a phone shows it."""

from __future__ import annotations

import pytest

from libs.common.ids import new_id
from libs.console.phone import Bubble, bubbles_of
from omnijourney.common.v1 import channel_pb2
from services.channel_gateway.clients.channels.line import LineWriter
from services.channel_gateway.clients.channels.pages import PageWriter
from services.channel_gateway.clients.channels.whatsapp import WhatsappWriter
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    ImageCard,
    ModuleContent,
    TextCard,
)
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.prepare import Writer, send_to_nobody

pytestmark = pytest.mark.rule("X-07")
PICTURE = "https://shop.example/a.png"
SHOP = Button("Shop", ButtonAction.URL, "https://shop.example/")
YES, NO = Button("Yes", ButtonAction.MESSAGE, "yes"), Button("No", ButtonAction.POSTBACK, "no")
MANY = tuple(Button(f"Size {number}", ButtonAction.POSTBACK, str(number)) for number in range(5))
WRITERS: dict[Channel, Writer] = {
    Channel.LINE: LineWriter(),
    Channel.WHATSAPP: WhatsappWriter(),
    Channel.MESSENGER: PageWriter(Channel.MESSENGER),
    Channel.INSTAGRAM: PageWriter(Channel.INSTAGRAM),
}


def shown(channel: Channel, *cards: TextCard | ImageCard | ButtonCard) -> list[Bubble]:
    send = send_to_nobody(new_id(), channel, ModuleContent(new_id()))
    return bubbles_of(part.decode() for part in WRITERS[channel].write_cards(send, "1", list(cards)))


@pytest.mark.parametrize("channel", list(WRITERS), ids=lambda each: each.name)
def test_texts_and_pictures_look_alike_everywhere(channel: Channel) -> None:
    assert shown(channel, TextCard("Hello"), ImageCard(PICTURE)) == [
        Bubble(text="Hello"),
        Bubble(picture=PICTURE),
    ]


def test_a_caption_stands_where_the_channel_has_it() -> None:
    assert shown(Channel.WHATSAPP, ImageCard(PICTURE, caption="New")) == [Bubble(text="New", picture=PICTURE)]
    for channel in set(WRITERS) - {Channel.WHATSAPP}:
        assert shown(channel, ImageCard(PICTURE, caption="New")) == [Bubble(picture=PICTURE), Bubble("New")]


def test_buttons_stand_as_each_channel_takes_them() -> None:
    card = ButtonCard(text="Look", title="Sale", image_url=PICTURE, buttons=(SHOP,))
    whole = Bubble("Look", "Sale", PICTURE, ("Shop",))
    assert shown(Channel.LINE, card) == [whole]
    assert shown(Channel.MESSENGER, card) == [whole]
    assert shown(Channel.INSTAGRAM, card) == [whole]
    picture, link = shown(Channel.WHATSAPP, card)
    assert (picture, link.presses) == (Bubble(picture=PICTURE), ("Shop",))
    replies = ButtonCard(text="Well?", image_url=PICTURE, buttons=(YES, NO))
    assert shown(Channel.WHATSAPP, replies) == [Bubble("Well?", "", PICTURE, ("Yes", "No"))]
    long = ButtonCard(text="x" * 200, image_url=PICTURE, buttons=(SHOP,))
    assert shown(Channel.MESSENGER, long) == [Bubble(picture=PICTURE), Bubble("x" * 200, presses=("Shop",))]


def test_answers_stand_below_or_behind_a_list() -> None:
    few = TextCard("Well?", quick_replies=(YES, NO))
    below = [Bubble("Well?", answers=("Yes", "No"))]
    for channel in (Channel.LINE, Channel.MESSENGER, Channel.INSTAGRAM):
        assert shown(channel, few) == below
    assert shown(Channel.WHATSAPP, few) == [Bubble("Well?", presses=("Yes", "No"))]
    (behind,) = shown(Channel.WHATSAPP, TextCard("Size?", quick_replies=MANY, list_label="Choose"))
    assert (behind.presses, len(behind.answers)) == (("Choose",), 5)


def test_every_channel_of_the_contract_can_be_shown() -> None:
    assert {int(channel) for channel in WRITERS} == set(channel_pb2.Channel.values()) - {0}
