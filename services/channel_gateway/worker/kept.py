"""What is read where it is asked for, and kept in memory for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Values by key. Many who ask for one that is not kept wait for a few reads, not for one each."""

    def __init__(
        self,
        kept_s: float,
        *,
        keys_max: int,
        reads_max: int,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Each is kept for `kept_s` real seconds, of at most `keys_max` keys; at most `reads_max` are read at once."""
        self._kept_s = kept_s
        self._keys_max = keys_max
        self._elapsed_s = elapsed_s
        self._reads = asyncio.Semaphore(reads_max)
        self._kept: dict[Key, tuple[float, Value]] = {}
        """Since when, and what."""

    async def of(self, key: Key, read: Callable[[], Awaitable[Value]]) -> Value:
        """The value of a key, by `read` where none is kept. Raises what `read` raises."""
        kept = self._fresh(key)
        if kept is None:
            async with self._reads:
                kept = self._fresh(key)  # others may have read it meanwhile
                if kept is None:
                    kept = (self._elapsed_s(), await read())
                    if len(self._kept) >= self._keys_max:
                        self._kept.clear()
                    self._kept[key] = kept
        return kept[1]

    def forget(self, key: Key) -> None:
        """Has it read again the next time."""
        self._kept.pop(key, None)

    def _fresh(self, key: Key) -> tuple[float, Value] | None:
        kept = self._kept.get(key)
        return kept if kept is not None and self._elapsed_s() - kept[0] < self._kept_s else None
