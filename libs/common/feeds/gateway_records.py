"""What the gateway's history consists of: a record is what one commit did to the sends of one team and one shard.

The body of a record is msgpack, an array a struct, and is handed on as it is stored: readers decode and count. Ids are
16 bytes, times microseconds since 1970 in domain time. A struct may gain fields at its end, each with a default; what
else changes needs a new tag, which old readers refuse.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from libs.common.feeds.records import time_of

SEND_BYTES: Final = 32
"""Of a send in `sends` of a fact: effect key, enrolment."""
_ARRAY_HEAD: Final = 20
"""Bytes before the items of an array as PostgreSQL sends it: dimensions, nulls, type, length, first index."""
_ARRAY_ITEM: Final = 20
"""Of an id in it: its length, and the id."""
_EMPTY_ARRAY: Final = 12
"""An array without items has no dimension."""


class SettledFact(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """Sends of one node that ended alike; their customers stand beside the body, in the order of `sends`.

    `channel` is a `common.v1.Channel`, `outcome` a final `channel_gateway.v1.SendState`. `messages` are those of each
    send that left or may have left, `micros` what they cost in millionths of `currency`. `depth` is that of the mail.
    """

    journey_id: bytes
    node_id: str
    channel: int
    account_id: bytes
    """Empty where none was found."""
    outcome: int
    reason: str
    messages: int
    micros: int
    currency: str
    depth: int
    sends: bytes

    @property
    def count(self) -> int:
        """How many sends."""
        return len(self.sends) // SEND_BYTES


class ReceiptFact(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2):
    """What a channel told of sent messages of one node, alike of each; customers stand beside the body as of sends.

    `kind` is a `channel_gateway.v1.ReceiptKind`. A send has each kind once at most, and READ never without DELIVERED.
    """

    journey_id: bytes
    node_id: str
    channel: int
    account_id: bytes
    kind: int
    sends: bytes
    reason: str = ""
    """Why they failed: the channel's code; of other kinds empty."""

    @property
    def count(self) -> int:
        """How many sends."""
        return len(self.sends) // SEND_BYTES


class ClickFact(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=3):
    """People opened links in sent messages of one node; customers stand beside the body as of sends. A send is there
    once for each opening, those by programs are not."""

    journey_id: bytes
    node_id: str
    channel: int
    account_id: bytes
    sends: bytes
    customers: bytes
    """Those of `sends`, 16 bytes each: the fact can be read without the others of its record."""

    @property
    def count(self) -> int:
        """How many openings."""
        return len(self.sends) // SEND_BYTES


class GoneFact(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=4):
    """Content can be sent no more; `kind` 1: bot module, 2: template, 3: account, 4: nothing that costs goes through
    the account, since the channel is not paid."""

    kind: int
    content_id: bytes
    reason: str


class ResolvedFact(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=6):
    """Sends of one node that were settled as `before` and are `outcome` now, since their channel told it later;
    customers stand beside the body as of sends. A send is there once at most, after its `SettledFact`.

    `messages` are those of each send that are known to have left now; what they cost was told when they were settled.
    """

    journey_id: bytes
    node_id: str
    channel: int
    account_id: bytes
    before: int
    outcome: int
    settled_us: int
    """When they were settled, domain time: to which figures they belong."""
    messages: int
    sends: bytes

    @property
    def count(self) -> int:
        """How many sends."""
        return len(self.sends) // SEND_BYTES

    @property
    def settled_at(self) -> datetime:
        """When they were settled. Raises OverflowError for a time that no datetime has."""
        return time_of(self.settled_us)


Fact = SettledFact | ReceiptFact | ClickFact | GoneFact | ResolvedFact


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """The body of a row, of one moment. `traces` are the contexts of sampled traces that had a part in it."""

    at_us: int
    facts: list[Fact]
    traces: list[bytes] = []

    @property
    def at(self) -> datetime:
        """When it happened, domain time. Raises OverflowError for a time that no datetime has."""
        return time_of(self.at_us)


_decoder: Final = msgspec.msgpack.Decoder(Record)
_encoder: Final = msgspec.msgpack.Encoder(uuid_format="bytes")

read_record: Final = _decoder.decode
"""The record of a body. Raises `msgspec.ValidationError` or `DecodeError` if it is none."""
pack_record: Final = _encoder.encode
"""The body of a record; a tuple in place of a struct gives the same bytes, its tag first, and a UUID in place of 16."""


def customers_of(packed: bytes) -> list[bytes]:
    """The ids of the customers beside a body, as PostgreSQL sends an array of them. Raises ValueError if it is none."""
    if (len(packed) - _ARRAY_HEAD) % _ARRAY_ITEM and len(packed) != _EMPTY_ARRAY:
        raise ValueError("no array of ids")
    return [packed[start + 4 : start + _ARRAY_ITEM] for start in range(_ARRAY_HEAD, len(packed), _ARRAY_ITEM)]
