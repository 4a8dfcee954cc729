"""What we send with a message so that its channel can say of which send it is: `biz_opaque_callback_data` on WhatsApp,
`metadata` on Messenger. Pure.

Team, key of the effect, number of the message in its send: `<32 hex>:<32 hex>:<number from 0>`.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from uuid import UUID

_CALLBACK: Final = re.compile(r"([0-9a-f]{32}):([0-9a-f]{32}):([0-9]{1,3})")


class Callback(NamedTuple):
    """Which message it is."""

    team_id: UUID
    effect_key: UUID
    number: int
    """In its send, from 0."""


def callback_text(callback: Callback) -> str:
    """As it goes out."""
    return f"{callback.team_id.hex}:{callback.effect_key.hex}:{callback.number}"


def read_callback(text: str) -> Callback | None:
    """As it comes back; None: it is none of ours."""
    if (found := _CALLBACK.fullmatch(text)) is None:
        return None
    return Callback(UUID(found[1]), UUID(found[2]), int(found[3]))
