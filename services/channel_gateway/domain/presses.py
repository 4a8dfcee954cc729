"""Buttons that say which send they are of: what they carry, and what a press of them tells. Pure.

`oj1.` key of the send `.` `p` or `m` `.` what the author gave the button: data (`p`), or the text that it says (`m`).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.channel_gateway.domain.content import Button, ButtonAction, ButtonCard, FlatCard, TextCard
from services.channel_gateway.domain.limits import LIMITS, Length
from services.channel_gateway.domain.model import Channel

_BOUND: Final = re.compile(r"oj1\.([0-9A-Za-z_-]{22})\.([pm])\.(.*)", re.DOTALL)


class Pressed(NamedTuple):
    """What a press tells."""

    data: str
    effect_key: UUID | None = None
    """Of the send whose button it is; None: it does not say."""
    text: str = ""
    """What the button says for the customer; empty where it has data."""


NOT_PRESSED: Final = Pressed("")


def bound_cards(cards: Iterable[FlatCard], effect_key: UUID, channel: Channel) -> list[FlatCard]:
    """The cards of a send, their buttons with its key. A button whose data leaves no room for it goes without."""
    return [_bound_card(card, effect_key, channel) for card in cards]


def _bound_card(card: FlatCard, effect_key: UUID, channel: Channel) -> FlatCard:
    limits = LIMITS[channel]
    if isinstance(card, ButtonCard):
        buttons = (_bound(each, effect_key, channel, limits.data) for each in card.buttons)
        return msgspec.structs.replace(card, buttons=tuple(buttons))
    if isinstance(card, TextCard) and card.quick_replies:
        longest = limits.reply_data(len(card.quick_replies), limits.data)
        replies = (_bound(each, effect_key, channel, longest) for each in card.quick_replies)
        return msgspec.structs.replace(card, quick_replies=tuple(replies))
    return card


def _bound(button: Button, effect_key: UUID, channel: Channel, longest: Length) -> Button:
    """`longest` is what it carries at most."""
    match button.action:
        case ButtonAction.POSTBACK:
            kind = "p"
        case ButtonAction.MESSAGE if channel is not Channel.LINE:
            kind = "m"  # elsewhere it carries what it says
        case _:
            return button
    key = base64.urlsafe_b64encode(effect_key.bytes).rstrip(b"=").decode()
    value = f"oj1.{key}.{kind}.{button.value}"
    return button if longest.over(value) else msgspec.structs.replace(button, value=value)


def pressed(data: str) -> Pressed:
    """What a button that carried `data` tells; one that is not ours has data only."""
    found = _BOUND.fullmatch(data)
    if found is None:
        return Pressed(data)
    try:
        effect_key = UUID(bytes=base64.urlsafe_b64decode(f"{found[1]}=="))
    except (binascii.Error, ValueError):
        return Pressed(data)
    return Pressed(found[3], effect_key) if found[2] == "p" else Pressed("", effect_key, found[3])
