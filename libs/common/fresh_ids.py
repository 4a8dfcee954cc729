"""New ids in numbers, for batches.

Apart from `libs.common.ids`, which domain code reaches: these are of the driver's subclass of UUID, which is made,
hashed and encoded in C.
"""

import os
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name

_TIME_BITS: Final = 48
_FIXED: Final = (0x7 << 76) | (0x2 << 62)
"""Version 7 and the variant."""
_RANDOM: Final = (0xFFF << 64) | ((1 << 62) - 1)
"""The bits that are random."""
_RANDOM_BYTES: Final = 10
_AT_ONCE: Final = 32
"""Ids whose random bits are asked of the system together: a call costs more than the bits."""


def fresh_ids(clock_ms: int) -> Iterator[UUID]:
    """New UUIDv7 of one moment, in Unix milliseconds, without end: as `new_id`, each at a fraction of its price.

    Raises ValueError, when the first is asked for, if the time does not fit into 48 bits.
    """
    if not 0 <= clock_ms < 1 << _TIME_BITS:
        raise ValueError(f"no UUIDv7 for the time {clock_ms} ms")
    fixed = (clock_ms << 80) | _FIXED
    while True:
        random = os.urandom(_RANDOM_BYTES * _AT_ONCE)
        for start in range(0, len(random), _RANDOM_BYTES):
            bits = int.from_bytes(random[start : start + _RANDOM_BYTES], "big") & _RANDOM
            yield DriverUUID((fixed | bits).to_bytes(16, "big"))
