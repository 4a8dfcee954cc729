"""Bookkeeping of an owner: which customers its process has checked out, and which partitions have a call whose answer
got lost.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from libs.common.mailbox.api import Trim


def member_of(team_id: UUID, customer_id: UUID) -> str:
    """A customer as the server knows them: 64 hexadecimal digits."""
    return team_id.hex + customer_id.hex


class Checkout:
    """What one process has checked out. A call that was given up may still take effect; from then on the partition is
    *doubted*: its attempt number rises, and before the next take the server gives back whatever the process
    does not know to hold.
    """

    def __init__(self) -> None:
        self.taking = asyncio.Lock()
        """Held from the settling of doubts to the last answer of a take, so that settling never meets a take
        under way.
        """
        self._held: defaultdict[int, set[str]] = defaultdict(set)
        self._attempts: defaultdict[int, int] = defaultdict(int)
        self._doubted: set[int] = set()
        self._undone: defaultdict[int, list[Trim]] = defaultdict(list)

    def attempt(self, partition: int) -> int:
        """Number that calls for the partition carry now."""
        return self._attempts[partition]

    def doubt(self, partitions: Iterable[int]) -> None:
        """Note that calls for these partitions were given up."""
        for partition in partitions:
            self._attempts[partition] += 1
            self._doubted.add(partition)

    def doubted(self, partition: int) -> bool:
        """Whether the partition has to be settled before a take."""
        return partition in self._doubted

    def settled(self, partitions: Iterable[int]) -> None:
        """Note that server and process agree again."""
        self._doubted.difference_update(partitions)

    def held(self, partition: int) -> list[str]:
        """Members that the process has checked out, as arguments of a call."""
        return list(self._held[partition])

    def take(self, partition: int, member: str) -> None:
        """Note that a customer was checked out."""
        self._held[partition].add(member)

    def release(self, partition: int, member: str) -> None:
        """Note that a customer is checked out no more."""
        self._held[partition].discard(member)

    def leave_undone(self, trims: Iterable[Trim]) -> None:
        """Note trims that were given up: their customers are held until they are done."""
        for trim in trims:
            if member_of(trim.team_id, trim.customer_id) in self._held[trim.partition]:
                self._undone[trim.partition].append(trim)

    def undone(self, partition: int, epoch: int) -> list[Trim]:
        """Trims of a partition that are still to be done, under its present epoch."""
        return [trim for trim in self._undone.get(partition, ()) if trim.epoch == epoch]

    def done(self, trims: Iterable[Trim]) -> None:
        """Note that trims were done after all."""
        for trim in trims:
            self._undone[trim.partition].remove(trim)

    def empty(self, partition: int) -> None:
        """Note that the partition was claimed: nothing of it is checked out, no doubt is left."""
        self._held.pop(partition, None)
        self._undone.pop(partition, None)
        self._doubted.discard(partition)


def share_out(places: int, partitions: Sequence[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Split `places` (≥ 1) evenly; each share is at least 1, so with too few places the last partitions get
    none.
    """
    chosen = partitions[:places]
    share, rest = divmod(places, len(chosen))
    return {partition: share + (i < rest) for i, partition in enumerate(chosen)}
