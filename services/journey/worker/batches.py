"""Batches under way, and how far the mailboxes are known to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping, Set
from typing import Any, Final

from libs.common.mailbox.api import QuietMarks
from services.journey.domain.model import ActorKey
from services.journey.store.turns_protocol import TurnStorage

BATCHES_MAX: Final = 2
"""Batches under way: one waits for servers and services while the other is worked on. More would only be smaller."""
CHECKPOINT_EVERY_S: Final = 1.0


class Batches:
    """Tasks that each work on a batch. A customer is in one of them only."""

    def __init__(self) -> None:
        """None is under way."""
        self._running: set[asyncio.Task[None]] = set()
        self._customers: set[ActorKey] = set()

    @property
    def customers(self) -> Set[ActorKey]:
        """Everybody who is in a batch."""
        return self._customers

    @property
    def tasks(self) -> Collection[asyncio.Task[None]]:
        """What ends when a batch ends."""
        return self._running

    @property
    def full(self) -> bool:
        """True while no other may be started."""
        return len(self._running) >= BATCHES_MAX

    def start(self, customers: Collection[ActorKey], work: Coroutine[Any, Any, None]) -> None:
        """Has a batch worked on."""
        self._customers.update(customers)
        self._running.add(asyncio.create_task(work, name=f"batch of {len(customers)} turns"))

    def ended(self, customers: Collection[ActorKey]) -> None:
        """A batch is done with these customers."""
        self._customers.difference_update(customers)

    def reap(self) -> None:
        """Lets go of tasks that have ended. Raises what one of them ended with; the others are reaped next time."""
        for task in [task for task in self._running if task.done()]:
            self._running.discard(task)
            task.result()

    async def finish(self) -> None:
        """Waits until none is under way. Raises as `reap`."""
        if self._running:
            await asyncio.wait(self._running)
        self.reap()


class Checkpoints:
    """Moves the positions from which a repair of the mailboxes has to begin; seldom, since one that begins too early
    only drops duplicates."""

    def __init__(self, store: TurnStorage) -> None:
        """Nothing is known yet."""
        self._store = store
        self._marks: dict[tuple[int, int], int] = {}
        self._saved_at = 0.0

    def note(self, partition: int, marks: QuietMarks) -> None:
        """All mail of the partition up to these positions was taken."""
        self._marks |= {(partition, source): at for source, at in marks.items()}

    def forget(self, partition: int) -> None:
        """The partition is another owner's."""
        self._marks = {key: mark for key, mark in self._marks.items() if key[0] != partition}

    async def save(self, now: float, fence: Mapping[int, int], *, force: bool = False) -> None:
        """Saves what was noted, if that was long enough ago. Raises `Fenced` and the store's errors."""
        if not self._marks or (now - self._saved_at < CHECKPOINT_EVERY_S and not force):
            return
        marks, self._marks, self._saved_at = self._marks, {}, now
        await self._store.save_checkpoints(marks, fence)
