"""Whom a channel lets not be written to, in the form of its webhooks: it goes the way of those. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from services.channel_gateway.domain.heard import Left, checked_id, time_of_ms
from services.channel_gateway.domain.hook_bodies import read_part
from services.channel_gateway.domain.inbox import InboxSource, Incoming
from services.channel_gateway.domain.model import Account, ConnectionKind

_OBJECTS: Final = {
    ConnectionKind.WHATSAPP: "whatsapp_business_account",
    ConnectionKind.MESSENGER: "page",
    ConnectionKind.INSTAGRAM: "instagram",
}


class RefusedPerson(NamedTuple):
    """Somebody to whom a send could not go."""

    external_id: str
    effect_key: UUID
    """Of the send: names the refusal."""


class _Unreachable(msgspec.Struct, frozen=True):
    id: str
    timestamp: int
    """Milliseconds."""
    key: str


_UNREACHABLE: Final = msgspec.json.Decoder(_Unreachable)


def refusal_webhook(account: Account, person: RefusedPerson, at: datetime) -> Incoming:
    """What LINE tells when somebody leaves; Meta tells nothing, so that there is an entry of our own."""
    is_line = account.connection.kind is ConnectionKind.LINE
    body = msgspec.json.encode((_left_line if is_line else _left_meta)(account, person, at))
    return Incoming(
        account.team_id,
        InboxSource.LINE if is_line else InboxSource.META,
        str(account.account_id),
        f"refused.{person.effect_key.hex}",
        body,
        hashlib.sha256(body).digest(),
        1,
        at,
    )


def _left_line(account: Account, person: RefusedPerson, at: datetime) -> dict[str, Any]:
    event = {
        "type": "unfollow",
        "mode": "active",
        "timestamp": _milliseconds(at),
        "source": {"type": "user", "userId": person.external_id},
        "webhookEventId": _key(person),
        "deliveryContext": {"isRedelivery": False},
    }
    return {"destination": account.connection.bot_user_id, "events": [event]}


def _left_meta(account: Account, person: RefusedPerson, at: datetime) -> dict[str, Any]:
    left = {"id": person.external_id, "timestamp": _milliseconds(at), "key": _key(person)}
    entry = {"id": account.connection.sender_id, "unreachable": [left]}
    return {"object": _OBJECTS[account.connection.kind], "entry": [entry]}


def read_unreachable(part: msgspec.Raw) -> tuple[Left, ...]:
    """Of an entry of our own. Raises ItemFaultError."""
    left = read_part(_UNREACHABLE, part)
    return (Left(checked_id(left.id, "id"), time_of_ms(left.timestamp), checked_id(left.key, "key")),)


def _key(person: RefusedPerson) -> str:
    return f"refused.{person.effect_key.hex}"


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
