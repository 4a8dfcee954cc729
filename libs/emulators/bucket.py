"""Token buckets for the rates that the channels enforce; they run on monotonic, real time."""

import time
from collections.abc import Callable

from libs.common.token_bucket import TokenBucket


class Buckets:
    """One bucket per key, each `depth` deep, refilled by `rate` tokens a second."""

    def __init__(self, rate: float, depth: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._depth = depth
        self._monotonic = monotonic
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, key: str, tokens: float = 1.0) -> bool:
        """Takes `tokens` from the bucket of `key`; False, and nothing taken, when it holds less."""
        now_s = self._monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._depth, now_s)
        return bucket.take(now_s, tokens)

    def clear(self) -> None:
        """Fills all buckets."""
        self._buckets.clear()
