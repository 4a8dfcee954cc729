"""How fast a shop may send, and how it is told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from libs.common.token_bucket import TokenBucket
from services.channel_gateway.servicer.http.head import Place

SHOPS_MAX: Final = 10_000
"""Shops whose rates are kept; more than that, and all begin anew."""
NAMES_MAX: Final = 50_000
"""Links, or clients, whose rates are kept; more than that, and all begin anew."""
AT_ONCE_S: Final = 2.0
"""What comes in so many seconds may come at once."""


class Rate(NamedTuple):
    """Where a shop stands."""

    retry_after_s: float | None
    """Real seconds until the next request is taken; None where this one is."""
    headers: dict[str, str]


class Buckets:
    """One bucket a name, of which nobody is told how full it is. Each process counts for itself."""

    def __init__(self, per_second: int, real_time: Callable[[], float] = time.monotonic) -> None:
        """`per_second` of one name."""
        self._per_second = float(per_second)
        self._real_time = real_time
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, name: str) -> float | None:
        """Real seconds until the next one is taken; None where this one is."""
        now_s = self._real_time()
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= NAMES_MAX:
                self._buckets.clear()
            full = self._per_second * AT_ONCE_S
            bucket = self._buckets[name] = TokenBucket(self._per_second, full, now_s)
        return None if bucket.take(now_s) else bucket.next_s()


class Rates:
    """One bucket a shop. Each process counts for itself."""

    def __init__(self, per_second: int, real_time: Callable[[], float] = time.monotonic) -> None:
        """`per_second` requests of one shop."""
        self._per_second = float(per_second)
        self._capacity = self._per_second * AT_ONCE_S
        self._real_time = real_time
        self._buckets: dict[Place, TokenBucket] = {}

    def take(self, place: Place) -> Rate:
        """Counts a signed request."""
        now_s = self._real_time()
        bucket = self._buckets.get(place)
        if bucket is None:
            if len(self._buckets) >= SHOPS_MAX:
                self._buckets.clear()
            bucket = self._buckets[place] = TokenBucket(self._per_second, self._capacity, now_s)
        taken = bucket.take(now_s)
        return Rate(None if taken else bucket.next_s(), self._headers(bucket))

    def _headers(self, bucket: TokenBucket) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(int(self._capacity)),
            "RateLimit-Remaining": str(int(bucket.tokens)),
            "RateLimit-Reset": str(math.ceil((self._capacity - bucket.tokens) / self._per_second)),
        }
