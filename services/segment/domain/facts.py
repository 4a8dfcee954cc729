"""Facts: what segment's history holds, and which of them are mail to the customer's actor.

A fact is stored as a msgpack array. Fields may only be appended, with a default; a tag is never used again.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final, get_args
from uuid import UUID

import msgspec

from libs.common.ids import partition_of
from services.segment.domain.model import IdentityKey, OrderCompleted, OrderRefunded, Uncounted

NOBODY: Final = UUID(int=0)
"""Stands for "no customer" when a fact's partition is chosen."""


class OrderStage(IntEnum):
    """What a fact about an order tells."""

    COMPLETED = 1
    """The one checkout of an order that counts."""
    STORED = 2
    """An order that does not count."""
    AMENDED = 3
    """Gaps of a known order were filled."""


class OrderReported(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """An order."""

    stage: OrderStage
    order_key: UUID
    order: OrderCompleted
    has_phone: bool
    uncounted: Uncounted


class RefundReported(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A refund."""

    refund_key: UUID
    order_key: UUID | None
    refund: OrderRefunded
    uncounted: Uncounted
    order_number: str = ""
    """Number of the order for people, where the order is known and has one."""


class ContactJoined(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A new binding. `quiet`: it triggers no journey, since whoever told it did not ask for that."""

    identity: IdentityKey
    quiet: bool = False


class ContactRemoved(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A binding was removed."""

    identity: IdentityKey


class ContactLeft(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A customer blocked an account."""

    identity: IdentityKey


class ContactReturned(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """A customer came back to an account."""

    identity: IdentityKey


class MessageTaken(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A customer wrote, or pressed a button. The text is taken out when it has been kept for long enough.

    Those of the release before have no more than the identity, and are no mail.
    """

    identity: IdentityKey
    text: str = ""
    button_data: str = ""
    effect_key: UUID | None = None
    """Of the send whose button was pressed."""


class TagApplied(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """A tag that the customer did not have."""

    tag: str
    before: tuple[str, ...] = ()
    """Tags that the same call applied before it."""
    quiet: bool = False
    """See `ContactJoined`."""


class TagRemoved(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """A tag that the customer had."""

    tag: str


class AttributeChanged(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """An attribute got another value; None is no value."""

    key: str
    kind: int
    old: str | None
    new: str | None
    quiet: bool = False
    """See `ContactJoined`."""


class CustomerCreated(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """A customer became known."""

    member_id: str


class AttributeDefined(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """A definition as it is after a change; `old_kind` is 0 for a new one."""

    key: str
    kind: int
    archived: bool
    old_kind: int


class CustomerMerged(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """A customer was merged into another."""

    survivor_id: UUID


class CustomerChanged(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """Basic data of a known customer changed: which fields."""

    fields: tuple[str, ...]


FactBody = (
    OrderReported
    | RefundReported
    | ContactJoined
    | ContactRemoved
    | ContactLeft
    | ContactReturned
    | MessageTaken
    | TagApplied
    | TagRemoved
    | AttributeChanged
    | CustomerCreated
    | AttributeDefined
    | CustomerMerged
    | CustomerChanged
)


class Unreadable(msgspec.Struct, frozen=True):
    """A stored body that this release cannot read: of a later one, or spoiled. Never written."""

    reason: str


TAGS: Final[dict[type, int]] = {kind: int(kind.__struct_config__.tag) for kind in get_args(FactBody)}
"""What a stored body begins with, by its type."""


class Fact(msgspec.Struct):
    """One row of the history."""

    partition: int
    team_id: UUID
    customer_id: UUID | None
    event_id: UUID
    occurred_at: datetime
    record_time: datetime
    depth: int
    mail_number: int | None
    """Number of the mail that it is to the customer; None when it is none."""
    body: FactBody | Unreadable
    position: int = 0
    """Position in the partition; 0 until it is stored."""
    event_key: str | None = None
    """Key of the report of which this is the first fact. With a digest, as an effect's key; only in what is written."""
    effect_key: UUID | None = None
    digest: bytes | None = None
    trace: bytes | None = None
    """Context of the sampled trace of the report; goes with the mail, and is not stored."""


def is_mail(body: FactBody | Unreadable) -> bool:
    """Whether the fact is also mail to the customer's actor."""
    match body:
        case OrderReported(stage=stage):
            return stage == OrderStage.COMPLETED
        case RefundReported(uncounted=uncounted):
            return uncounted == Uncounted.COUNTS
        case ContactJoined() | TagApplied() | TagRemoved() | AttributeChanged() | MessageTaken():
            return True
        case CustomerChanged() | ContactLeft() | ContactReturned() | ContactRemoved():
            return True  # it starts nothing, but what travelled with earlier mail is no longer true
        case _:
            return False


_MAY_BE_QUIET: Final = frozenset({ContactJoined, TagApplied, AttributeChanged})


def is_quiet(body: FactBody | Unreadable) -> bool:
    """Whether the mail that the fact is starts no journey, though such a fact else does."""
    return type(body) in _MAY_BE_QUIET and body.quiet  # type: ignore[union-attr]  # by its type


def fact_partition(team_id: UUID, customer_id: UUID | None) -> int:
    """Partition of the customer; facts about nobody lie together in one of the team."""
    return partition_of(team_id, customer_id or NOBODY)


_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_DECODER: Final[msgspec.msgpack.Decoder[FactBody]] = msgspec.msgpack.Decoder(FactBody)


def encode_body(body: FactBody | Unreadable) -> bytes:
    """For storage."""
    assert type(body) is not Unreadable, "what cannot be read is not written again"
    return _ENCODER.encode(body)


def decode_body(data: bytes) -> FactBody | Unreadable:
    """From storage; one row that cannot be read spoils no page."""
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        return Unreadable(f"{type(error).__name__}: {error}")
