"""What an enrolment keeps of what the customer did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec


def data_size(data: Mapping[str, str] | None) -> int:
    """Bytes of UTF-8 of a trigger's data, keys and values together."""
    return sum(len(key.encode()) + len(value.encode()) for key, value in data.items()) if data else 0


class Memory(msgspec.Struct, frozen=True, array_like=True):
    """Of an enrolment in a journey that listens to events, or whose trigger came with data. Stored: fields may be added
    at the end.

    `since` is when the event occurred that started it: what occurred before counts for nothing. `subjects` are digests
    of what that was about, where a wait asks for it. `met` are the waits that count what came before they began, and
    whose event has come. `converted`: the goal was reached while a message was with the gateway. `ready` names the node
    that the next turn does first, now that it is committed what took the customer there. `ended`: a person ended it
    while a message was with the gateway, in whatever journey. `capped`: the message waits for room under a frequency
    cap, not for quiet time, in whatever journey. `data` is what the trigger came with, for the variables of messages.
    """

    since: datetime
    subjects: tuple[bytes, ...] = ()
    met: tuple[str, ...] = ()
    converted: bool = False
    ready: str | None = None
    ended: bool = False
    capped: bool = False
    data: dict[str, str] | None = None
