"""Which way of a split a customer goes: drawn once by a hash, and so always the same. Pure."""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

from services.journey.domain.model import Split

WHOLE: Final = 100
"""What shares add up to: they are per cent."""
_HASH_BYTES: Final = 8


def way_of(split: Split, journey_id: UUID, node_id: str, customer_id: UUID) -> int:
    """The place of the customer's way in `split.ways`, whose shares add up to 100.

    It follows from these ids and the shares alone: not from the enrolment, so that who enters again goes the same way,
    nor from other splits, so that two of them divide independently of each other. Never change how it is drawn.
    """
    name = journey_id.bytes + customer_id.bytes + node_id.encode()
    drawn = int.from_bytes(hashlib.blake2b(name, digest_size=_HASH_BYTES).digest()) % WHOLE
    for place, way in enumerate(split.ways):
        drawn -= way.share
        if drawn < 0:
            return place
    raise ValueError("the shares of a split do not add up to 100")
