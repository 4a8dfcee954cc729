"""Webhooks of the LINE platform: https://developers.line.biz/en/reference/messaging-api/#webhooks

What is done in groups and rooms, and kinds of events that are not named here, concern no customer and are passed over.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from services.channel_gateway.domain.heard import (
    Acted,
    Heard,
    Item,
    ItemFaultError,
    Joined,
    Left,
    Wrote,
    checked_id,
    time_of_ms,
)
from services.channel_gateway.domain.hook_bodies import check_count, read_items, read_part, read_whole
from services.channel_gateway.domain.presses import NOT_PRESSED, pressed

_USER_ID: Final = re.compile(r"U[0-9a-f]{32}")
_KINDS: Final = frozenset({"follow", "unfollow", "message", "postback"})


class _Body(msgspec.Struct, frozen=True):
    events: list[msgspec.Raw]


class _Source(msgspec.Struct, frozen=True, rename="camel"):
    type: str = ""
    user_id: str = ""


class _Message(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""


class _Postback(msgspec.Struct, frozen=True):
    data: str = ""


class _Event(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    timestamp: int = -1
    """Milliseconds, the event's own time also where it is sent again."""
    webhook_event_id: str = ""
    source: _Source | None = None
    message: _Message | None = None
    postback: _Postback | None = None


class _Kind(msgspec.Struct, frozen=True):
    type: str


_BODY: Final = msgspec.json.Decoder(_Body)
_KIND: Final = msgspec.json.Decoder(_Kind)
_EVENT: Final = msgspec.json.Decoder(_Event)


def line_events(body: bytes) -> list[msgspec.Raw]:
    """The events of a body, none for the platform's trial of the address. Raises BodyFaultError."""
    events = read_whole(_BODY, body).events
    check_count(len(events))
    return events


def read_line(body: bytes) -> list[Item]:
    """What a body tells, event by event. Raises BodyFaultError."""
    return read_items(line_events(body), _heard)


def _heard(part: msgspec.Raw) -> tuple[Heard, ...]:
    if read_part(_KIND, part).type not in _KINDS:
        return ()
    event = read_part(_EVENT, part)
    if event.source is None or event.source.type != "user":
        return ()
    return (_of_person(event, event.source.user_id),)


def _of_person(event: _Event, user_id: str) -> Acted:
    if not _USER_ID.fullmatch(user_id):
        raise ItemFaultError("source.userId is no id of a person")
    at, key = time_of_ms(event.timestamp), checked_id(event.webhook_event_id, "webhookEventId")
    match event.type:
        case "follow":
            return Joined(user_id, at, key)
        case "unfollow":
            return Left(user_id, at, key)
        case _:
            press = pressed(event.postback.data) if event.postback is not None else NOT_PRESSED
            text = event.message.text if event.message is not None and event.message.type == "text" else ""
            return Wrote(user_id, at, key, "", text or press.text, press.data, press.effect_key)
