"""Webhooks of the LINE platform: https://developers.line.biz/en/reference/messaging-api/#webhooks

What is done in groups and rooms concerns no customer and is passed over.
"""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.channel_ids import is_person_id
from services.channel_gateway.domain.heard import (
    AccountRefused,
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
from services.channel_gateway.domain.model import Channel
from services.channel_gateway.domain.presses import NOT_PRESSED, pressed

_KINDS: Final = frozenset({"follow", "unfollow", "message", "postback"})
_SUSPENDED: Final = "botSuspended"
_RESUMED: Final = "botResumed"
_PASSED_OVER: Final = frozenset(
    {
        "accountLink",
        "activated",
        "beacon",
        "deactivated",
        "delivery",
        "join",
        "leave",
        "memberJoined",
        "memberLeft",
        "membership",
        "module",
        "things",
        "unsend",
        "videoPlayComplete",
    }
)
"""Kinds by which nobody writes, comes or goes, and the account stays as it is."""


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
    kind = read_part(_KIND, part).type
    if kind in _PASSED_OVER:
        return ()
    if kind not in _KINDS and kind not in (_SUSPENDED, _RESUMED):
        raise ItemFaultError("it is of no kind that is known here: nothing was done")
    event = read_part(_EVENT, part)
    if kind == _SUSPENDED:
        return (AccountRefused(time_of_ms(event.timestamp), "LINE suspended the account"),)
    if kind == _RESUMED:
        return ()  # whoever sees to the account makes it active again
    if event.source is None or event.source.type != "user":
        return ()
    return (_of_person(event, event.source.user_id),)


def _of_person(event: _Event, user_id: str) -> Acted:
    if not is_person_id(Channel.LINE, user_id):
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
