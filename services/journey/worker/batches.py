"""Batches of turns under way."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Set
from typing import Any, Final

from services.journey.domain.model import ActorKey

BATCHES_MAX: Final = 2
"""Batches under way: one waits for servers and services while the other is worked on. More would only be smaller."""


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
