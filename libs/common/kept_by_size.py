"""Answers of pure functions, kept for those who ask again: many of small arguments, few of large ones.

`functools.lru_cache` alone bounds how many are kept, but not how large they are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from functools import lru_cache, wraps
from typing import Any, Final, Protocol, TypeVar

SMALL_CHARACTERS: Final = 4_096
"""What is larger is kept among the few."""
LARGE_KEPT: Final = 50

Answer = TypeVar("Answer")
Asked = TypeVar("Asked", bound=Hashable)


class Keeping(Protocol):
    """What makes a function keep its answers."""

    def __call__(self, work: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        """The same function."""
        ...


def characters(texts: Iterable[str]) -> int:
    """The size of some texts."""
    return sum(map(len, texts))


def kept_by_size(size_of: Callable[[Any], int], *, small_kept: int, large_kept: int = LARGE_KEPT) -> Keeping:
    """Keeps the answers to at most `small_kept` arguments of SMALL_CHARACTERS each, and to `large_kept` larger ones;
    those that were not asked for longest go first."""

    def decorate(work: Callable[[Asked], Answer]) -> Callable[[Asked], Answer]:
        small, large = lru_cache(small_kept)(work), lru_cache(large_kept)(work)

        @wraps(work)
        def ask(asked: Asked) -> Answer:
            return (small if size_of(asked) <= SMALL_CHARACTERS else large)(asked)

        return ask

    return decorate
