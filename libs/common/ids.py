"""Ids and partitions.

New ids are UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then random bits, so that keys made one after the
other lie together in an index. Ids that follow from others are UUIDv5, so that the same work has the same id again.

Both are made as the database driver's kind of UUID: a subclass of Python's with the same value, order and hash, written
and compared in C.
"""

import hashlib
import os
import struct
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

CustomerKey = tuple[UUID, UUID]
"""Team and customer."""

PARTITIONS: Final = 64
"""Number of partitions of customers, fixed when an installation is made; a power of two."""

ALL_TEAMS: Final = UUID(int=0)
"""Stands for the team of work that is of no single one, such as figures counted anew for all of them."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_RANDOM: Final = struct.Struct(">HQ")
_HALVES: Final = struct.Struct(">QQ")
# An id's first half ends with 4 bits of version and 12 free ones; its second half begins with 2 bits of variant.
_VERSION_5: Final = 0x5000
_VERSION_7: Final = 0x7000
_HIGH_FREE: Final = 0xFFFF_FFFF_FFFF_0FFF
_VARIANT: Final = 0x2 << 62
_LOW_FREE: Final = (1 << 62) - 1
_TIME_BITS: Final = 48
_AT_ONCE: Final = 32
_SEPARATOR: Final = "\x1f"


def epoch_ms(at: datetime) -> int:
    """Milliseconds from 1970 to `at`, rounded down. Raises TypeError when `at` has no zone."""
    return (at - _EPOCH) // _MILLISECOND


def new_id(clock_ms: int | None = None) -> UUID:
    """A new UUIDv7 of the given Unix time in milliseconds; without one, of real time.

    Raises ValueError when the time does not fit into 48 bits (before 1970 or after the year 10889).
    """
    return new_ids(1, clock_ms)[0]


def new_ids(count: int, clock_ms: int | None = None) -> list[UUID]:
    """`count` new ids of one moment, in no order among themselves; a third of what as many `new_id` cost.

    Raises what `new_id` raises.
    """
    if clock_ms is None:
        clock_ms = time.time_ns() // 1_000_000
    if not 0 <= clock_ms < 1 << _TIME_BITS:
        raise ValueError(f"no UUIDv7 for the time {clock_ms} ms")
    head = clock_ms << 16 | _VERSION_7
    random = _RANDOM.iter_unpack(os.urandom(_RANDOM.size * count))
    return [DriverUUID(_HALVES.pack(head | high & 0xFFF, low & _LOW_FREE | _VARIANT)) for high, low in random]


def endless_ids(clock_ms: int) -> Iterator[UUID]:
    """New ids of one moment, without end, for who does not know how many it will need.

    Raises what `new_id` raises, when the first is asked for.
    """
    while True:
        yield from new_ids(_AT_ONCE, clock_ms)


def derived_id(namespace: UUID, *parts: str | int | UUID) -> UUID:
    """The UUIDv5 of `parts` within `namespace`: the same parts give the same id, always.

    Parts are joined by a control character that none of them may hold, so that ("a", "bc") and ("ab", "c") differ.
    Raises ValueError for a part that holds it.
    """
    return derived_from(namespace, encoded_name(*parts))


def encoded_name(*parts: str | int | UUID) -> bytes:
    """What `derived_id` makes of `parts`, for who derives ids from the same ones in many namespaces.

    Raises ValueError for a part that holds the separator.
    """
    name = _SEPARATOR.join(map(str, parts))
    if name.count(_SEPARATOR) >= max(1, len(parts)):
        raise ValueError("a part of a derived id holds the separator U+001F")
    return name.encode()


def derived_from(namespace: UUID, name: bytes) -> UUID:
    """The UUIDv5 of an `encoded_name`: `derived_id` at a third of its cost."""
    # What uuid.uuid5 does, without its detour over one number of 128 bits.
    digest = hashlib.sha1(namespace.bytes + name, usedforsecurity=False).digest()
    high, low = _HALVES.unpack_from(digest)
    return DriverUUID(_HALVES.pack(high & _HIGH_FREE | _VERSION_5, low & _LOW_FREE | _VARIANT))


def driver_id(id_: UUID) -> UUID:
    """The same id in the database driver's kind, for one that is going to be written, hashed or compared often: what a
    decoder makes costs ten times as much each time."""
    return DriverUUID(id_.bytes)


def partition_of(team_id: UUID, customer_id: UUID) -> int:
    """The partition of a customer, 0 to PARTITIONS - 1; never changes."""
    return zlib.crc32(team_id.bytes + customer_id.bytes) % PARTITIONS
