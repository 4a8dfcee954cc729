"""Token buckets for the rates that the channels enforce; they run on monotonic, real time."""

import time
from collections.abc import Callable


class Buckets:
    """One bucket per key, each `depth` tokens deep, refilled by `rate` tokens a second."""

    def __init__(self, rate: float, depth: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._depth = depth
        self._monotonic = monotonic
        self._levels: dict[str, tuple[float, float]] = {}

    def take(self, key: str, tokens: float = 1.0) -> bool:
        """Takes `tokens` from the bucket of `key`; False, and nothing taken, when it holds less."""
        now = self._monotonic()
        level, at = self._levels.get(key, (self._depth, now))
        level = min(self._depth, level + (now - at) * self._rate)
        enough = level >= tokens
        self._levels[key] = (level - tokens if enough else level, now)
        return enough

    def clear(self) -> None:
        """Fills all buckets."""
        self._levels.clear()
