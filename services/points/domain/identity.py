"""What makes two postings the same, and what chains entries: both over one canonical form.

The canonical form is a msgpack array in its shortest encoding: ids as 16 bytes, times as microseconds since 1970.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from services.points.domain.model import (
    CouponSpend,
    Earn,
    Entry,
    ImportRow,
    ImportUndo,
    JourneyChange,
    Manual,
    Merge,
    Posting,
    Refund,
    Source,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = msgspec.msgpack.Encoder().encode

GENESIS = bytes(32)
"""Stands before an account's first entry."""


def fingerprint(posting: Posting) -> bytes:
    """16 bytes over the content that must not change under a key (P-08).

    Times, names, notes, actor and the phone fact are left out: a turn that is run again after a crash may have read
    them again, and must still get its first answer.
    """
    return hashlib.blake2b(_encode((posting.customer_id.bytes, *_content(posting))), digest_size=16).digest()


def _content(posting: Posting) -> tuple[object, ...]:
    body = posting.body
    match body:
        case Earn():
            return (1, body.order_key.bytes, body.shop_id, body.order_id, body.amount_micros, body.currency)
        case Refund():
            order = _bytes(body.order_key)
            return (
                2,
                body.refund_key.bytes,
                order,
                body.shop_id,
                body.refund_id,
                body.amount_micros,
                body.currency,
            )
        case JourneyChange():
            return (3, body.points, body.journey_id.bytes, body.enrolment_id.bytes, body.node_id)
        case CouponSpend():
            return (4, body.points, body.coupon_id.bytes, body.claim_id.bytes)
        case ImportRow():
            return (5, body.points, body.deduct_cumulative, body.import_id.bytes, body.row_number)
        case ImportUndo():
            return (8, body.balance, body.cumulative, body.import_id.bytes, body.row_number)
        case Manual():
            return (6, body.points, body.deduct_cumulative)
        case Merge():
            return (7, body.survivor_id.bytes, body.merge_id.bytes)


def chained(previous: bytes | None, entry: Entry) -> bytes:
    """SHA-256 over the hash before and every field of the entry but its own hash: 32 bytes."""
    return hash_of(previous, msgspec.structs.astuple(entry)[:-1])


def hash_of(previous: bytes | None, fields: tuple[Any, ...]) -> bytes:
    """The same, of an entry's fields in their order, all but the hash."""
    team, customer, sequence, source = fields[:4]
    occurred, posted, key, actor, order, enrolment, node, note = fields[12:]
    posted_micros = micros_of(posted)
    occurred_micros = posted_micros if occurred is posted else micros_of(occurred)
    ids = (previous or GENESIS, team.bytes, customer.bytes, sequence, int(source))
    rest = (key.bytes, actor, _bytes(order), _bytes(enrolment), node, note)
    return hashlib.sha256(_encode(ids + fields[4:12] + (occurred_micros, posted_micros) + rest)).digest()


def before_figures(source: Source, naming: tuple[str, str], points: int) -> bytes:
    """What the hash of an entry that adds `points` covers between its sequence and the figures after it: the form of
    `hash_of`, where the database puts the rest around it."""
    return _encode((int(source), *naming, points, points, points, points))[1:]


def after_times(fields: tuple[UUID, str, UUID | None, UUID | None, str, str]) -> bytes:
    """What it covers after the times: key, actor, order, enrolment, node and note."""
    key, actor, order, enrolment, node, note = fields
    return _encode((key.bytes, actor, _bytes(order), _bytes(enrolment), node, note))[1:]


def micros_of(at: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (at - EPOCH) // _MICROSECOND


def _bytes(value: UUID | None) -> bytes:
    return value.bytes if value is not None else b""
