"""The partitions of a worker: leased to it, owned by it, about to be another worker's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from services.journey import metrics


class Partitions:
    """Partition → epoch. A partition is *leased* when the lease keeper says so, and *owned* when its mailboxes are
    claimed and repaired as well: only then its customers are worked on."""

    def __init__(self, dropped: Callable[[int], None]) -> None:
        """`dropped` is called for each partition that is owned no more, so that everything of it is forgotten."""
        self._dropped = dropped
        self._leased: dict[int, int] = {}
        self._owned: dict[int, int] = {}
        self._leaving: set[int] = set()
        self._left = asyncio.Event()

    @property
    def owned(self) -> Mapping[int, int]:
        """A view that follows what happens."""
        return self._owned

    @property
    def leaving(self) -> frozenset[int]:
        """Those that another worker is to have as soon as nothing of them is checked out."""
        return frozenset(self._leaving)

    def set_leases(self, leases: Mapping[int, int]) -> None:
        """Takes over what the lease keeper holds now. A wish to hand over that came before it is over."""
        self._leased = dict(leases)
        self._leaving.clear()
        for partition, epoch in list(self._owned.items()):
            if self._leased.get(partition) != epoch:
                self.drop(partition)

    def unclaimed(self) -> dict[int, int]:
        """Leased and not owned yet, or owned under an epoch that is over."""
        return {p: epoch for p, epoch in self._leased.items() if self._owned.get(p) != epoch}

    def own(self, claimed: Mapping[int, int]) -> None:
        """Notes what was claimed and repaired; a lease that was lost meanwhile stays lost."""
        self._owned.update({p: epoch for p, epoch in claimed.items() if self._leased.get(p) == epoch})
        metrics.PARTITIONS.set(len(self._owned))

    def drop(self, partition: int) -> None:
        """Gives up a partition until it is claimed again: its next owner gets everything from the mailbox."""
        self._owned.pop(partition, None)
        self._dropped(partition)
        metrics.PARTITIONS.set(len(self._owned))

    def drop_fenced(self, partitions: Iterable[int]) -> None:
        """Gives up partitions whose epoch is over; a newer lease that came meanwhile stays."""
        for partition in partitions:
            if partition in self._owned:
                self._leased.pop(partition, None)
            self.drop(partition)

    async def hand_over(self, partitions: Iterable[int]) -> None:
        """Asks for partitions to be handed over, and returns when they are; see `left`."""
        self._leaving.update(partitions)
        self._left.clear()
        await self._left.wait()

    def left(self) -> None:
        """Nothing of the partitions that are leaving is checked out any more: they are dropped."""
        for partition in self._leaving:
            self._leased.pop(partition, None)
            self.drop(partition)
        self._leaving.clear()
        self._left.set()
