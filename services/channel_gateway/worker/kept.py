"""What is read where it is asked for, and kept in memory for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Values by key; an empty one says that there is no such thing. Many who ask for one that is not kept wait for few
    reads, not for one each. Keys that were made up wait with each other, and push out each other: those under which
    something was found have reads and room of their own.
    """

    def __init__(
        self,
        kept_s: float,
        *,
        keys_max: int,
        reads_max: int,
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Each is kept for `kept_s` real seconds, of at most `keys_max` keys, and as many that lead to nothing; at most
        `reads_max` of either are read at once."""
        self._kept_s = kept_s
        self._keys_max = keys_max
        self._elapsed_s = elapsed_s
        self._reads = asyncio.Semaphore(reads_max)
        self._first_reads = asyncio.Semaphore(reads_max)
        """Of keys under which nothing was found yet."""
        self._kept: dict[Key, tuple[float, Value]] = {}
        """Since when, and what."""
        self._empty: dict[Key, tuple[float, Value]] = {}
        self._found: dict[Key, None] = {}
        """Keys under which something was found, the one found longest ago first."""

    async def of(self, key: Key, read: Callable[[], Awaitable[Value]]) -> Value:
        """The value of a key, by `read` where none is kept. Raises what `read` raises."""
        kept = self._fresh(key)
        if kept is None:
            async with self._reads if key in self._found else self._first_reads:
                kept = self._fresh(key)  # others may have read it meanwhile
                if kept is None:
                    kept = (self._elapsed_s(), await read())
                    self._keep(key, kept)
        return kept[1]

    def forget(self, key: Key) -> None:
        """Has it read again the next time."""
        self._kept.pop(key, None)
        self._empty.pop(key, None)

    def _keep(self, key: Key, kept: tuple[float, Value]) -> None:
        self.forget(key)
        place = self._kept if kept[1] else self._empty
        if len(place) >= self._keys_max:
            place.clear()
        place[key] = kept
        if kept[1]:
            self._found.pop(key, None)
            self._found[key] = None
            if len(self._found) > self._keys_max:
                del self._found[next(iter(self._found))]

    def _fresh(self, key: Key) -> tuple[float, Value] | None:
        kept = self._kept.get(key) or self._empty.get(key)
        return kept if kept is not None and self._elapsed_s() - kept[0] < self._kept_s else None
