"""What the channels take, as data: lengths in the unit in which each counts, and how many of a thing. Pure.

The figures are those of the channels' references for their send calls; none of them is in code elsewhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final, NamedTuple

from services.channel_gateway.domain.model import Channel

_JOINER: Final = "\u200d"
_SELECTORS: Final = range(0xFE00, 0xFE10)
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)


def utf16_units(text: str) -> int:
    """Length in UTF-16: one beyond the basic plane is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut_to_utf16(text: str, most: int) -> str:
    """The beginning of a text, of at most so many units; nothing of a character is left over."""
    return text.encode("utf-16-le", "surrogatepass")[: 2 * most].decode("utf-16-le", "ignore")


def utf8_bytes(text: str) -> int:
    """Length in UTF-8."""
    return len(text.encode("utf-8", "surrogatepass"))


def graphemes(text: str) -> int:
    """Length in what people see as one, never less: marks, joiners and modifiers belong to what precedes them."""
    count, joined = 0, False
    for char in text:
        if char == _JOINER:
            joined = True
            continue
        modifies = ord(char) in _SELECTORS or ord(char) in _SKIN_TONES or unicodedata.combining(char)
        count += not (joined or modifies)
        joined = False
    return count


class Unit(NamedTuple):
    """How a channel counts a text."""

    name: str
    """For people."""
    of: Callable[[str], int]


CHARACTERS: Final = Unit("characters", len)
UTF16: Final = Unit("UTF-16 units", utf16_units)
UTF8: Final = Unit("bytes", utf8_bytes)
GRAPHEMES: Final = Unit("characters", graphemes)


class Length(NamedTuple):
    """The longest text that is taken."""

    most: int
    unit: Unit = CHARACTERS

    def over(self, text: str) -> str:
        """By how much a text is too long, for people; empty if it fits."""
        # No unit counts less than a quarter of a character's: most texts need no counting.
        length = self.unit.of(text) if len(text) * 4 > self.most else 0
        return f"has {length} {self.unit.name}, at most {self.most} fit" if length > self.most else ""


class Limits(NamedTuple):
    """Of one channel."""

    name: str
    """For people."""
    text: Length
    """Of a message of text, which a caption is where pictures have none."""
    caption: Length | None
    """None: a caption is a text of its own."""
    card_text: Length
    """Of a card with buttons; with its title, where they are one text."""
    headed_text: Length
    """Of a card with a title or a picture above it, where that takes less."""
    title: Length | None
    """None: it stands in the text."""
    label: Length
    buttons: int
    """Of one message, whatever they do, or those that answer where others go apart."""
    quick_replies: int
    """Answers below a text."""
    replied_text: Length
    """That has answers below it."""
    address: Length
    """That a button opens."""
    data: Length
    """That a button sends back."""
    said: Length
    """Text that a button says as the customer."""
    image: Length
    """Address of a picture."""
    distinct_answers: bool = False
    """Answers of one message differ in what stands on them and in what they send back."""
    says_below: bool = False
    """The buttons of a card that all say something are quick replies below it."""
    reply_buttons: int = 0
    """So many quick replies are buttons, and more of them a list; 0: the channel has no lists."""
    row_data: Length = Length(0)
    """That a row of a list sends back."""

    def is_list(self, replies: int) -> bool:
        """Whether so many quick replies are shown as a list."""
        return 0 < self.reply_buttons < replies

    def reply_data(self, replies: int, otherwise: Length) -> Length:
        """What one of so many quick replies carries, of which the channel takes `otherwise` as a button."""
        return self.row_data if self.is_list(replies) else otherwise


LIMITS: Final = {
    Channel.LINE: Limits(
        name="LINE",
        text=Length(5_000, UTF16),
        caption=None,
        card_text=Length(160, GRAPHEMES),
        headed_text=Length(60, GRAPHEMES),
        title=Length(40, GRAPHEMES),
        label=Length(20, GRAPHEMES),
        buttons=4,
        quick_replies=13,
        replied_text=Length(5_000, UTF16),
        address=Length(1_000, UTF16),
        data=Length(300, UTF16),
        said=Length(300, UTF16),
        image=Length(2_000),
    ),
    Channel.WHATSAPP: Limits(
        name="WhatsApp",
        text=Length(4_096),
        caption=Length(1_024),
        card_text=Length(1_024),
        headed_text=Length(1_024),
        title=None,
        label=Length(20),
        buttons=3,
        quick_replies=10,
        replied_text=Length(1_024),
        address=Length(2_000),
        data=Length(256),
        said=Length(256),
        image=Length(2_000),
        distinct_answers=True,
        reply_buttons=3,
        row_data=Length(200),
    ),
    Channel.MESSENGER: Limits(
        name="Messenger",
        text=Length(2_000),
        caption=None,
        card_text=Length(640),
        headed_text=Length(640),
        title=None,
        label=Length(20),
        buttons=3,
        quick_replies=13,
        replied_text=Length(2_000),
        address=Length(2_000),
        data=Length(1_000),
        said=Length(1_000),
        image=Length(2_000),
        says_below=True,
    ),
    Channel.INSTAGRAM: Limits(
        name="Instagram",
        text=Length(1_000, UTF8),
        caption=None,
        card_text=Length(640),
        headed_text=Length(640),
        title=None,
        label=Length(20),
        buttons=3,
        quick_replies=13,
        replied_text=Length(1_000, UTF8),
        address=Length(2_000),
        data=Length(1_000),
        said=Length(1_000),
        image=Length(2_000),
        says_below=True,
    ),
}
