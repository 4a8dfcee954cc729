"""Channel accounts as identities name them."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.common.audience.expressions import ChannelNumber

StrangeAccount = tuple[UUID, UUID, int]
"""Team, account and the channel on which it is named, where that is not so."""
_NAMES: Final = {
    ChannelNumber.LINE: "LINE",
    ChannelNumber.WHATSAPP: "WhatsApp",
    ChannelNumber.MESSENGER: "Messenger",
    ChannelNumber.INSTAGRAM: "Instagram",
}


def of_channel(own: int) -> str:
    """What is said of an account that is named on another channel than its `own`."""
    return (
        f"is an account of {_NAMES[ChannelNumber(own)]}: name it with that channel, or take another account"
    )
