"""Bodies of channels' webhooks, taken apart so that each event is read by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

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
from services.channel_gateway.domain.json_items import without_broken_text, without_depths

_REMEDY: Final = "send the body as the channel's platform does"
DEPTH_MAX: Final = 100
"""Brackets within brackets; what lies deeper is passed over."""
_ANY: Final = msgspec.json.Decoder()
_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Whole = TypeVar("Whole")
Read = TypeVar("Read")
Loose = TypeVar("Loose", bound=msgspec.Struct)


def read_whole(decoder: msgspec.json.Decoder[Whole], body: bytes) -> Whole:
    """The outer form of a body. What is no character, as half of one that was cut off, is U+0000. Raises
    BodyFaultError."""
    try:
        return decoder.decode(body)
    except _UNREADABLE:
        pass
    try:
        return decoder.decode(without_depths(without_broken_text(body), DEPTH_MAX))
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
    mended = without_depths(without_broken_text(raw), DEPTH_MAX)
    try:
        return decoder.decode(mended)
    except _UNREADABLE:
        pass
    try:
        # What is null is not said; a number may be written as a text, and an id as a number.
        said = msgspec.json.encode(_plainly(_ANY.decode(mended)))
        return msgspec.json.Decoder(decoder.type, strict=False).decode(said)
    except (*_UNREADABLE, msgspec.EncodeError, OverflowError) as error:
        raise ItemFaultError("has not the form of such an event") from error


def _plainly(said: Any) -> Any:
    """Without nulls, whole numbers as texts."""
    if isinstance(said, dict):
        return {name: _plainly(each) for name, each in said.items() if each is not None}
    if isinstance(said, list):
        return [_plainly(each) for each in said if each is not None]
    return str(said) if isinstance(said, int) and not isinstance(said, bool) else said


def read_loosely(decoder: msgspec.json.Decoder[Loose], part: msgspec.Raw) -> tuple[Loose, list[Item]]:
    """A part of a body that holds others; each of its fields that has not its form is one fault, and the others count.
    Raises ItemFaultError where it is no object."""
    try:
        return read_part(decoder, part), []
    except ItemFaultError:
        given = read_part(_FIELDS, part)
    known: dict[str, object] = {}
    faults: list[Item] = []
    for field in msgspec.structs.fields(decoder.type):
        raw = given.get(field.encode_name)
        if raw is None or bytes(raw) == b"null":
            continue
        try:
            known[field.name] = read_part(msgspec.json.Decoder(field.type), raw)
        except ItemFaultError:
            faults.append(Item(fault=f"{field.encode_name} has not its form"))
    return decoder.type(**known), faults


def read_items(parts: Iterable[msgspec.Raw], read: Callable[[msgspec.Raw], tuple[Heard, ...]]) -> list[Item]:
    """Each event for itself."""
    return [_item(part, read) for part in parts]


def _item(part: msgspec.Raw, read: Callable[[msgspec.Raw], tuple[Heard, ...]]) -> Item:
    try:
        return Item(read(part))
    except ItemFaultError as fault:
        return Item(fault=str(fault))
