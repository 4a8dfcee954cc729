"""Bodies of channels' webhooks, taken apart so that each event is read by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from libs.common.hints import Reason
from services.channel_gateway.domain.heard import (
    ITEMS_MAX,
    BodyFaultError,
    Heard,
    Item,
    ItemFaultError,
)
from services.channel_gateway.domain.json_faults import Fault
from services.channel_gateway.domain.json_items import without_broken_text

_REMEDY: Final = "send the body as the channel's platform does"
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Whole = TypeVar("Whole")
Read = TypeVar("Read")


def read_whole(decoder: msgspec.json.Decoder[Whole], body: bytes) -> Whole:
    """The outer form of a body. What is no character, as half of one that was cut off, is U+0000. Raises
    BodyFaultError."""
    try:
        return decoder.decode(body)
    except _UNREADABLE:
        pass
    try:
        return decoder.decode(without_broken_text(body))
    except _UNREADABLE:
        raise BodyFaultError(Fault("", Reason.MALFORMED, "is no webhook of the channel", _REMEDY)) from None


def check_count(count: int) -> None:
    """Raises BodyFaultError for more events than one body may have."""
    if count > ITEMS_MAX:
        fault = Fault("", Reason.TOO_LONG, f"has more than {ITEMS_MAX} events", "send fewer events at once")
        raise BodyFaultError(fault)


def read_part(decoder: msgspec.json.Decoder[Read], part: msgspec.Raw) -> Read:
    """A part of a body. What is no character is U+0000. Raises ItemFaultError."""
    raw = bytes(part)
    try:
        return decoder.decode(raw)
    except _UNREADABLE:
        pass
    try:
        return decoder.decode(without_broken_text(raw))
    except _UNREADABLE as error:
        raise ItemFaultError("has not the form of such an event") from error


def read_items(parts: Iterable[msgspec.Raw], read: Callable[[msgspec.Raw], tuple[Heard, ...]]) -> list[Item]:
    """Each event for itself."""
    return [_item(part, read) for part in parts]


def _item(part: msgspec.Raw, read: Callable[[msgspec.Raw], tuple[Heard, ...]]) -> Item:
    try:
        return Item(read(part))
    except ItemFaultError as fault:
        return Item(fault=str(fault))
