"""What cannot fit a channel is found before a journey is published: each limit of each channel, from the data."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from services.channel_gateway.clients.channels.line import LineWriter
from services.channel_gateway.clients.channels.pages import PageWriter
from services.channel_gateway.clients.channels.sink import SinkAdapter
from services.channel_gateway.clients.channels.whatsapp import WhatsappWriter
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    Card,
    FlatCard,
    ImageCard,
    ModuleContent,
    TextCard,
)
from services.channel_gateway.domain.limits import LIMITS, Limits
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.prepare import Catalogue, ContentRefusedError, Writer, send_to_nobody
from services.channel_gateway.domain.references import MessageReference, message_findings, module_misfits
from services.channel_gateway.domain.render import filled
from tests.unit.channel_gateway.build import ACCOUNT, MODULE, TEAM, module

PICTURE, SHOP = "https://cdn.example/", "https://shop.example/"
CLAIM = Button("Claim", ButtonAction.POSTBACK, "c=claim")
WRITERS: dict[Channel, Writer] = {
    Channel.LINE: LineWriter(),
    Channel.WHATSAPP: WhatsappWriter(),
    Channel.MESSENGER: PageWriter(Channel.MESSENGER),
    Channel.INSTAGRAM: PageWriter(Channel.INSTAGRAM),
}
NAME = "{{customer.name}}"
"""Fills at least one character, in any unit."""


def messages(channel: Channel, card: Card) -> list[str]:
    reference = MessageReference(channel, ACCOUNT, ModuleContent(MODULE))
    catalogue = Catalogue({}, {}, {(TEAM, MODULE): module(card)}, {}, {}, {})
    findings = message_findings(TEAM, reference, catalogue, SinkAdapter.writer, {})
    assert {fault.field for fault in findings.faults} <= {"bot_module_id"}
    return [fault.message for fault in findings.faults]


def with_button(**changes: object) -> ButtonCard:
    return ButtonCard("Look", (msgspec.structs.replace(CLAIM, **changes),))


def replied(count: int, **changes: object) -> TextCard:
    """A text with so many quick replies, the first of them changed."""
    replies = [Button(f"No. {n}", ButtonAction.POSTBACK, f"n={n}") for n in range(count)]
    replies[0] = msgspec.structs.replace(replies[0], **changes)
    return TextCard("Which?", tuple(replies), "All of them")


def saved(channel: Channel, card: Card) -> list[tuple[str, str]]:
    """What is told when a module of the card is saved."""
    found = module_misfits("module.cards", [card])
    return [(each.field, each.message) for each in found if each.channel is channel]


def rendered(channel: Channel, card: FlatCard) -> str:
    """What the channel's writer says of the card when it is filled in; empty if it takes it."""
    send = send_to_nobody(TEAM, channel, ModuleContent(MODULE))
    try:
        WRITERS[channel].write_cards(send, "U1", [filled(card, lambda text: text.replace(NAME, "x"))])
    except ContentRefusedError as refused:
        return str(refused)
    return ""


def bounds(limits: Limits) -> Iterator[tuple[str, int, Card, Card]]:
    """(path, limit, the longest card that fits, one that is longer by one)."""

    def pair(path: str, most: int, make: object) -> tuple[str, int, Card, Card]:
        return path, most, make(most), make(most + 1)  # type: ignore[operator]

    yield pair("text: text", limits.text.most, lambda n: TextCard("x" * n))
    yield pair("text: text", limits.text.most, lambda n: TextCard(NAME + "x" * (n - 1)))
    caption = (limits.caption or limits.text).most
    yield pair("image: caption", caption, lambda n: ImageCard(PICTURE, caption="x" * n))
    yield pair("button: text", limits.card_text.most, lambda n: ButtonCard("x" * n, (CLAIM,)))
    yield pair("button: buttons[0].label", limits.label.most, lambda n: with_button(label="x" * n))
    yield pair("button: buttons[0].postback_data", limits.data.most, lambda n: with_button(value="x" * n))
    says = ButtonAction.MESSAGE
    yield pair(
        "button: buttons[0].message_text", limits.said.most, lambda n: with_button(action=says, value="x" * n)
    )
    yield pair(
        "button: buttons[0].label", limits.label.most, lambda n: with_button(action=says, label="x" * n)
    )
    answers = limits.text if limits.says_below else limits.card_text
    yield pair("button: text", answers.most, lambda n: ButtonCard("x" * n, (Button("Yes", says, "Yes"),)))
    yield pair(
        "text: text", limits.replied_text.most, lambda n: TextCard("x" * n, (Button("Yes", says, "Yes"),))
    )
    yield pair("text: quick_replies[0].label", limits.label.most, lambda n: replied(1, label="x" * n))
    yield pair("text: quick_replies[0].postback_data", limits.data.most, lambda n: replied(1, value="x" * n))
    if limits.reply_buttons:
        listed = limits.reply_buttons + 1
        row = "text: quick_replies[0].postback_data"
        yield pair(row, limits.row_data.most, lambda n: replied(listed, value="x" * n))
    yield pair(
        "button: image_url",
        limits.image.most,
        lambda n: ButtonCard("Look", (CLAIM,), image_url=PICTURE.ljust(n, "x")),
    )
    yield pair(
        "image: preview_url",
        limits.image.most,
        lambda n: ImageCard(PICTURE, preview_url=PICTURE.ljust(n, "x")),
    )
    yield pair(
        "button: buttons[0].url",
        limits.address.most,
        lambda n: with_button(action=ButtonAction.URL, value=SHOP.ljust(n, "x")),
    )
    yield pair("image: image_url", limits.image.most, lambda n: ImageCard(PICTURE.ljust(n, "x")))
    if limits.title is not None:
        head = limits.title.most
        yield pair("button: title", head, lambda n: ButtonCard("Look", (CLAIM,), title="x" * n))
        headed = limits.headed_text.most
        yield pair("button: text", headed, lambda n: ButtonCard("x" * n, (CLAIM,), title="Now"))


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("channel", list(LIMITS))
def test_each_limit_of_a_channel_is_told_when_saved_published_and_rendered(channel: Channel) -> None:
    for path, most, fits, longer in bounds(LIMITS[channel]):
        assert (messages(channel, fits), saved(channel, fits)) == ([], []), path
        (message,) = messages(channel, longer)
        assert message.startswith(f"cards[0].{path}: is too long for {LIMITS[channel].name}"), message
        assert f"at most {most} fit" in message
        ((field, said),) = saved(channel, longer)
        assert (field, said) == ("module.cards[0]." + path.replace(": ", "."), message.split(": ", 2)[2])
        assert rendered(channel, fits) == "", path  # type: ignore[arg-type]  # cards without conditions
        assert rendered(channel, longer).startswith(path.split(": ")[1]), path  # type: ignore[arg-type]  # as above


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("channel", list(LIMITS))
def test_too_many_answers_are_told_when_saved_published_and_rendered(channel: Channel) -> None:
    limits = LIMITS[channel]
    most = limits.quick_replies if limits.says_below else limits.buttons
    answers = tuple(Button(f"No. {n}", ButtonAction.MESSAGE, f"n={n}") for n in range(most + 1))
    fits, longer = ButtonCard("Which?", answers[:-1]), ButtonCard("Which?", answers)
    assert (messages(channel, fits), saved(channel, fits), rendered(channel, fits)) == ([], [], "")
    told = f"buttons: {limits.name} takes at most {most} "
    assert messages(channel, longer)[0].startswith(f"cards[0].button: {told}")
    assert saved(channel, longer)[0][0] == "module.cards[0].button.buttons"
    assert rendered(channel, longer).startswith(told)


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("channel", list(LIMITS))
def test_too_many_quick_replies_are_told_when_saved_published_and_rendered(channel: Channel) -> None:
    limits = LIMITS[channel]
    fits, longer = replied(limits.quick_replies), replied(limits.quick_replies + 1)
    assert (messages(channel, fits), saved(channel, fits), rendered(channel, fits)) == ([], [], "")
    told = f"quick_replies: {limits.name} takes at most {limits.quick_replies}: "
    assert messages(channel, longer)[0].startswith(f"cards[0].text: {told}")
    assert saved(channel, longer)[0][0] == "module.cards[0].text.quick_replies"
    assert rendered(channel, longer).startswith(told)


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("channel", list(LIMITS))
def test_a_list_that_nothing_opens_and_replies_that_are_alike_are_told_where_it_matters(
    channel: Channel,
) -> None:
    whatsapp = channel is Channel.WHATSAPP
    unnamed = msgspec.structs.replace(replied(4), list_label="")
    alike = replied(2, label="No. 1")
    for card, field in ((unnamed, "list_label"), (alike, "quick_replies")):
        told = [f"module.cards[0].text.{field}"] * whatsapp
        assert [path for path, _ in saved(channel, card)] == told
        assert len(messages(channel, card)) == len(told)
        assert rendered(channel, card).startswith(field) == whatsapp
    few = msgspec.structs.replace(replied(3), list_label="")
    assert saved(channel, few) == [], "so many are buttons"


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("channel", list(LIMITS))
def test_too_many_buttons_are_told_at_publication(channel: Channel) -> None:
    limits = LIMITS[channel]
    buttons = tuple(Button(f"No. {n}", ButtonAction.POSTBACK, f"n={n}") for n in range(limits.buttons + 1))
    assert messages(channel, ButtonCard("Which?", buttons[:-1])) == []
    (message,) = messages(channel, ButtonCard("Which?", buttons))
    assert message.startswith(f"cards[0].button: buttons: {limits.name} takes at most {limits.buttons} ")
