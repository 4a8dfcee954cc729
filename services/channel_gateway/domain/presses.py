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

from services.channel_gateway.domain.content import Button, ButtonAction, ButtonCard, FlatCard
from services.channel_gateway.domain.model import Channel

DATA_LENGTH_MAX: Final = {
    Channel.LINE: 300,
    Channel.WHATSAPP: 256,
    Channel.MESSENGER: 1_000,
    Channel.INSTAGRAM: 1_000,
}
"""Characters that a button carries on each channel."""
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
    return [
        _bound_card(card, effect_key, channel) if isinstance(card, ButtonCard) else card for card in cards
    ]


def _bound_card(card: ButtonCard, effect_key: UUID, channel: Channel) -> ButtonCard:
    buttons = tuple(_bound(button, effect_key, channel) for button in card.buttons)
    return msgspec.structs.replace(card, buttons=buttons)


def _bound(button: Button, effect_key: UUID, channel: Channel) -> Button:
    match button.action:
        case ButtonAction.POSTBACK:
            kind = "p"
        case ButtonAction.MESSAGE if channel is not Channel.LINE:
            kind = "m"  # elsewhere it carries what it says
        case _:
            return button
    key = base64.urlsafe_b64encode(effect_key.bytes).rstrip(b"=").decode()
    value = f"oj1.{key}.{kind}.{button.value}"
    return msgspec.structs.replace(button, value=value) if len(value) <= DATA_LENGTH_MAX[channel] else button


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
