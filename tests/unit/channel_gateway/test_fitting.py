"""What cannot fit a channel is found before a journey is published: each limit of each channel, from the data."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from services.channel_gateway.clients.channels.sink import SinkAdapter
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    Card,
    ImageCard,
    ModuleContent,
    TextCard,
)
from services.channel_gateway.domain.limits import LIMITS, Limits
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.prepare import Catalogue
from services.channel_gateway.domain.references import MessageReference, message_findings
from tests.unit.channel_gateway.build import ACCOUNT, MODULE, TEAM, module

PICTURE, SHOP = "https://cdn.example/", "https://shop.example/"
CLAIM = Button("Claim", ButtonAction.POSTBACK, "c=claim")
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
def test_each_limit_of_a_channel_is_told_at_publication_with_its_path(channel: Channel) -> None:
    for path, most, fits, longer in bounds(LIMITS[channel]):
        assert messages(channel, fits) == [], path
        (message,) = messages(channel, longer)
        assert message.startswith(f"cards[0].{path}: is too long for {LIMITS[channel].name}"), message
        assert f"at most {most} fit" in message


@pytest.mark.rule("C-10e")
@pytest.mark.parametrize("channel", list(LIMITS))
def test_too_many_buttons_are_told_at_publication(channel: Channel) -> None:
    limits = LIMITS[channel]
    buttons = tuple(Button(f"No. {n}", ButtonAction.POSTBACK, f"n={n}") for n in range(limits.buttons + 1))
    assert messages(channel, ButtonCard("Which?", buttons[:-1])) == []
    (message,) = messages(channel, ButtonCard("Which?", buttons))
    assert message.startswith(f"cards[0].button: buttons: {limits.name} takes at most {limits.buttons} ")
