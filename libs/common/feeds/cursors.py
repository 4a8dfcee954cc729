"""Moves of a history's cursors, as the tables of those who follow it take and check them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Final

import asyncpg

from libs.common.feeds.follower import CursorMovedError

Step = tuple[int, int, int]
"""Columns of `cursor_step` or `cursor_row`: partition, position before, position after."""

_CURSORS_MOVED: Final = "OJ003"
"""What functions raise that find a cursor elsewhere than it was."""


def steps(before: Mapping[int, int], after: Mapping[int, int]) -> list[Step]:
    """The cursors that move, in the order of partitions."""
    return [(p, before[p], position) for p, position in sorted(after.items()) if position != before[p]]


@contextlib.contextmanager
def cursors_checked() -> Iterator[None]:
    """Raises CursorMovedError where a function finds that cursors have moved; other errors pass."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if error.sqlstate != _CURSORS_MOVED:
            raise
        raise CursorMovedError from error
