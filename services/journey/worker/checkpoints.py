"""How far the mailboxes of a worker's partitions have been read, for the next repair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.common.mailbox.api import QuietMarks
from services.journey.store.turns_protocol import TurnStorage

CHECKPOINT_EVERY_S: Final = 5.0
"""Least real time between two writes, four statements each. Only a repair reads them, after Redis lost its data."""


class Checkpoints:
    """Moves the positions from which a repair of the mailboxes has to begin; seldom, since one that begins too early
    only drops duplicates."""

    def __init__(self, store: TurnStorage) -> None:
        """None yet."""
        self._store = store
        self._positions: dict[tuple[int, int], int] = {}
        self._saved_at = 0.0

    def note(self, partition: int, quiet: QuietMarks) -> None:
        """All mail of the partition up to these positions was taken."""
        self._positions |= {(partition, source): at for source, at in quiet.items()}

    def forget(self, partition: int) -> None:
        """The partition is another owner's."""
        self._positions = {key: at for key, at in self._positions.items() if key[0] != partition}

    @property
    def due_at(self) -> float | None:
        """When what was noted may be saved, in the time of `save`; None while nothing is noted."""
        return self._saved_at + CHECKPOINT_EVERY_S if self._positions else None

    async def save(self, now: float, fence: Mapping[int, int], *, force: bool = False) -> None:
        """Saves what was noted, if that was long enough ago. Raises `Fenced` and the store's errors."""
        due_at = self.due_at  # the very number that the worker sleeps until
        if due_at is None or (now < due_at and not force):
            return
        positions, self._positions, self._saved_at = self._positions, {}, now
        await self._store.save_checkpoints(positions, fence)
