"""Which parts of a message are links, and the message with short ones in their place. Pure.

A link in a text is an `http` or `https` address of printable ASCII. It ends before blanks, other scripts and the
punctuation of a sentence. One that runs into a letter of another script is left as it is: whether the letter belongs to
it is known to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Protocol
from uuid import UUID

import msgspec

from services.channel_gateway.domain.addresses import has_host
from services.channel_gateway.domain.content import (
    Button,
    ButtonAction,
    ButtonCard,
    FlatCard,
    ImageCard,
    TemplateContent,
    TextCard,
)

TARGET_LENGTH_MAX: Final = 2_000
"""Longer addresses go out as they are."""
_LINK: Final = re.compile(r"(?<![A-Za-z0-9+.-])https?://[!-~]+", re.IGNORECASE)
_SENTENCE: Final = ".,;:!?'\"*_~`"
_CLOSING: Final = {")": "(", "]": "[", "}": "{", ">": "<"}
_NEVER_INSIDE: Final = re.compile(r"[<>\"\\^`{|}]")
"""What no address holds: a link ends there."""


_SCHEMES: Final = ("http", "https")


class Shorten(Protocol):
    """Knows the short form of an address in the message of one send."""

    def __call__(self, url: str) -> str | None:
        """The token; None: the address goes out as it is."""
        ...


@lru_cache(maxsize=4_096)
def is_target(url: str) -> bool:
    """Whether an address may be what a link leads to: `http` or `https`, a host, and nobody's name before it, by
    which it would look like another host's."""
    if len(url) > TARGET_LENGTH_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return has_host(url, _SCHEMES)


def links_in(text: str) -> Iterator[tuple[int, int]]:
    """Where the links of a text are, each as start and end."""
    for match in _LINK.finditer(text):
        start, end = match.span()
        inside = _NEVER_INSIDE.search(text, start, end)
        end = _end(text, start, inside.start() if inside else end)
        if not text[end : end + 1].isascii() and text[end].isalnum():
            continue
        if is_target(text[start:end]):
            yield start, end


def _end(text: str, start: int, end: int) -> int:
    """The end without what belongs to the sentence: points, and brackets that were opened before the link."""
    while end > start:
        last = text[end - 1]
        if last in _SENTENCE or (
            last in _CLOSING and text.count(_CLOSING[last], start, end) < text.count(last, start, end)
        ):
            end -= 1
        else:
            break
    return end


def shortened(text: str, address: Callable[[str], str | None]) -> str:
    """The text with the short form of each link that has one."""
    if "://" not in text:
        return text
    parts: list[str] = []
    at = 0
    for start, end in links_in(text):
        short = address(text[start:end])
        if short is not None:
            parts += (text[at:start], short)
            at = end
    return "".join((*parts, text[at:])) if at else text


def tracked_cards(cards: Sequence[FlatCard], base: str, shorten: Shorten) -> list[FlatCard]:
    """Cards with short links below the address `base`. Pictures stay where they are: nobody clicks on them."""

    def address(url: str) -> str | None:
        token = shorten(url)
        return None if token is None else f"{base}/{token}"

    return [_tracked(card, address) for card in cards]


def _tracked(card: FlatCard, address: Callable[[str], str | None]) -> FlatCard:
    if isinstance(card, TextCard):
        text = shortened(card.text, address)
        return card if text is card.text else msgspec.structs.replace(card, text=text)
    if isinstance(card, ImageCard):
        caption = shortened(card.caption, address)
        return card if caption is card.caption else msgspec.structs.replace(card, caption=caption)
    buttons = tuple(_tracked_button(button, address) for button in card.buttons)
    title, text = shortened(card.title, address), shortened(card.text, address)
    if title is card.title and text is card.text and all(map(_is, buttons, card.buttons)):
        return card
    return ButtonCard(text=text, buttons=buttons, title=title, image_url=card.image_url)


def _is(one: Button, other: Button) -> bool:
    return one is other


def _tracked_button(button: Button, address: Callable[[str], str | None]) -> Button:
    if button.action is not ButtonAction.URL or not is_target(button.value):
        return button
    short = address(button.value)
    return button if short is None else msgspec.structs.replace(button, value=short)


def tracked_template(content: TemplateContent, base: str, shorten: Shorten) -> TemplateContent:
    """A template's content with short links. The address of a button ends in its parameter: one that is a whole address
    becomes the token alone, and stands in the template behind `base`."""

    def address(url: str) -> str | None:
        token = shorten(url)
        return None if token is None else f"{base}/{token}"

    texts = (*content.parameters, content.header_parameter, *(text for _, text in content.button_parameters))
    if not any("://" in text for text in texts):
        return content
    return msgspec.structs.replace(
        content,
        parameters=tuple(shortened(text, address) for text in content.parameters),
        header_parameter=shortened(content.header_parameter, address),
        button_parameters=tuple(
            (index, (shorten(text) if is_target(text) else None) or text)
            for index, text in content.button_parameters
        ),
    )


class LinkWriter(Protocol):
    """Gives links of sends their short form."""

    @property
    def base(self) -> str:
        """The address that stands before tokens, without `/` at the end."""
        ...

    def of(self, team_id: UUID, effect_key: UUID) -> Shorten:
        """For the message of one send."""
        ...
