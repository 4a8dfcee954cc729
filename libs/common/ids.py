"""Ids and partitions.

New ids are UUIDv7 (RFC 9562, 5.7): 48 bits of Unix milliseconds, then random bits, so that keys made one after the
other lie together in an index. Ids that follow from others are UUIDv5, so that the same work has the same id again.
"""

import secrets
import time
import zlib
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

PARTITIONS: Final = 64
"""Number of partitions of customers, fixed when an installation is made; a power of two."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_VERSION_7: Final = 0x7 << 76
_VARIANT: Final = 0x2 << 62
_RANDOM_A_BITS: Final = 12
_RANDOM_B_BITS: Final = 62
_TIME_BITS: Final = 48
_SEPARATOR: Final = "\x1f"


def epoch_ms(at: datetime) -> int:
    """Milliseconds from 1970 to `at`, rounded down. Raises TypeError when `at` has no zone."""
    return (at - _EPOCH) // _MILLISECOND


def new_id(clock_ms: int | None = None) -> UUID:
    """A new UUIDv7 of the given Unix time in milliseconds; without one, of real time.

    Raises ValueError when the time does not fit into 48 bits (before 1970 or after the year 10889).
    """
    if clock_ms is None:
        clock_ms = time.time_ns() // 1_000_000
    if not 0 <= clock_ms < 1 << _TIME_BITS:
        raise ValueError(f"no UUIDv7 for the time {clock_ms} ms")
    bits = secrets.randbits(_RANDOM_A_BITS + _RANDOM_B_BITS)
    high = (bits >> _RANDOM_B_BITS) << 64
    low = bits & ((1 << _RANDOM_B_BITS) - 1)
    return UUID(int=(clock_ms << 80) | _VERSION_7 | high | _VARIANT | low)


def derived_id(namespace: UUID, *parts: str | int | UUID) -> UUID:
    """The UUIDv5 of `parts` within `namespace`: the same parts give the same id, always.

    Parts are joined by a control character that none of them may hold, so that ("a", "bc") and ("ab", "c") differ.
    Raises ValueError for a part that holds it.
    """
    texts = [str(part) for part in parts]
    if any(_SEPARATOR in text for text in texts):
        raise ValueError("a part of a derived id holds the separator U+001F")
    return uuid5(namespace, _SEPARATOR.join(texts))


def partition_of(team_id: UUID, customer_id: UUID) -> int:
    """The partition of a customer, 0 to PARTITIONS - 1; never changes."""
    return zlib.crc32(team_id.bytes + customer_id.bytes) % PARTITIONS
