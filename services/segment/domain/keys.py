"""Keys that follow from what they name, so that every reporter of an order finds the same one."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.ids import derived_id
from services.segment.domain.model import Event, MessageReceived, OrderCompleted, OrderRefunded

_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_ORDER_TAG: Final = msgspec.inspect.type_info(OrderCompleted).tag  # type: ignore[attr-defined]  # of a struct
_REFUND_TAG: Final = msgspec.inspect.type_info(OrderRefunded).tag  # type: ignore[attr-defined]  # of a struct
_MESSAGE_TAG: Final = msgspec.inspect.type_info(MessageReceived).tag  # type: ignore[attr-defined]  # of a struct


def order_key_of(team_id: UUID, shop_id: str, order_id: str) -> UUID:
    """The key of an order, known before the order is."""
    return derived_id(team_id, "order", shop_id, order_id)


def refund_key_of(team_id: UUID, shop_id: str, refund_id: str) -> UUID:
    """The key of a refund."""
    return derived_id(team_id, "refund", shop_id, refund_id)


def content_of(body: Any) -> Any:
    """What the digest of a report is made of: that of an order without a cart is as it was before there were carts,
    that of a refund as before shops said what is left.

    Of a message it is who wrote where, as before texts were told: its key is the channel's name of the one message, and
    what a channel sends again after an upgrade is no other one.
    """
    if type(body) is OrderCompleted and not body.cart_id:
        return (_ORDER_TAG, *msgspec.structs.astuple(body)[:-1])
    if type(body) is OrderRefunded and body.left_micros is None:
        return (_REFUND_TAG, *msgspec.structs.astuple(body)[:-2])
    if type(body) is MessageReceived:
        return (_MESSAGE_TAG, body.identity)
    return body


def content_of_event(event: Event) -> tuple[Any, ...]:
    """What the digest of a report is made of: all of it, but for the trace by which it came."""
    return (
        event.team_id,
        event.event_key,
        event.selector,
        event.occurred_at,
        content_of(event.body),
        event.customer_name,
    )


def report_of_event(event: Event) -> str:
    """What identifies it in its team, for ever and among reports of every kind; see `FactIds`."""
    return f"event {event.event_key}"


def digest_of(content: Any) -> bytes:
    """16 bytes that tell two contents under one key apart."""
    return hashlib.blake2b(_ENCODER.encode(content), digest_size=16).digest()


def hidden_key(key: str) -> str:
    """What stands in the place of a caller's key that names a person who was erased."""
    return f"erased:{hashlib.blake2b(key.encode(), digest_size=32).hexdigest()}"
