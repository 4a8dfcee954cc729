"""A token bucket: how fast something may go on average, and how much of it at once. No clock of its own."""

from __future__ import annotations


class TokenBucket:
    """Tokens that come at a rate, up to a capacity."""

    __slots__ = ("_at_s", "_capacity", "_rate", "_tokens")

    def __init__(self, rate: float, capacity: float, now_s: float) -> None:
        """Full. `rate` in tokens a second; times are seconds of any clock that never runs backwards."""
        self._rate = rate
        self._capacity = capacity
        self._tokens = capacity
        self._at_s = now_s

    def take(self, now_s: float, tokens: float = 1.0) -> bool:
        """Takes `tokens`; False, and nothing is taken, when there are fewer."""
        self._tokens = min(self._capacity, self._tokens + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._tokens < tokens:
            return False
        self._tokens -= tokens
        return True

    @property
    def tokens(self) -> float:
        """What there was after the last `take`."""
        return self._tokens

    def put_back(self) -> None:
        """Puts back a token that was taken for nothing."""
        self._tokens = min(self._capacity, self._tokens + 1.0)

    def next_s(self) -> float:
        """Seconds from the last `take` until there is a whole token."""
        return max(0.0, (1.0 - self._tokens) / self._rate)
