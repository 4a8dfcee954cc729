"""What the webhooks of all of Meta's products have in common."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec

from services.channel_gateway.domain.heard import ItemFaultError, time_of_ms

Id = str | int
"""Meta writes ids and times as either."""
_MOMENT: Final = re.compile(r"[0-9]{1,15}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}")


class Change(msgspec.Struct, frozen=True):
    """One of an entry; its form depends on the field."""

    field: str = ""
    value: msgspec.Raw = msgspec.Raw(b"{}")


CHANGE: Final = msgspec.json.Decoder(Change)


def at_seconds(seconds: Id) -> datetime:
    """A time in seconds, or, where it has more digits than they have, in milliseconds. Raises ItemFaultError for a time
    that is none."""
    text = str(seconds)
    if not _MOMENT.fullmatch(text):
        raise ItemFaultError("its time is none")
    return time_of_ms(int(text) * (1_000 if _SECONDS.fullmatch(text) else 1))
