"""Leases in memory, with the behaviour of `libs.common.leases`: for the simulation. One suite proves both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from libs.common.ids import PARTITIONS
from libs.common.mailbox.errors import Fenced


@dataclass
class _Row:
    owner: str | None = None
    epoch: int = 0
    expires_at: float = float("-inf")


@dataclass
class LeaseTable:
    """What all keepers of one installation share. `real_time` is the one clock by which leases end."""

    real_time: Callable[[], float]
    partitions: Iterable[int] = range(PARTITIONS)
    workers: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = {partition: _Row() for partition in self.partitions}

    def check_fence(self, epochs: Mapping[int, int]) -> None:
        """Raises `Fenced` with the partitions that have another epoch by now."""
        lost = [p for p, epoch in epochs.items() if p not in self.rows or self.rows[p].epoch != epoch]
        if lost:
            raise Fenced(lost)


class InMemoryLeaseKeeper:
    """One worker's hold on its share; the rounds are made by whoever runs it."""

    def __init__(
        self,
        table: LeaseTable,
        changed: Callable[[Mapping[int, int]], None],
        *,
        lease_s: float,
        worker_id: str,
    ) -> None:
        """As `LeaseKeeper`."""
        self._table = table
        self._changed = changed
        self._lease_s = lease_s
        self._worker_id = worker_id
        self._held: dict[int, int] = {}

    @property
    def held(self) -> Mapping[int, int]:
        """Partition → epoch."""
        return self._held

    async def renew(self) -> None:
        """One round: renew, hand back what is over the share, take what is free up to it."""
        now = self._table.real_time()
        self._table.workers[self._worker_id] = now + self._lease_s
        held = self._renewed(now)
        share = self._share(now)
        surplus = sorted(held)[share:]
        if surplus:
            for partition in surplus:
                del held[partition]
            self._set(held)
            self._release(surplus)
        elif len(held) < share:
            held |= self._acquired(now, share - len(held))
        if held != self._held:
            self._set(held)

    async def hand_back(self) -> None:
        """So that the next owner need not wait for the leases' end."""
        self._release(self._table.rows)
        self._table.workers.pop(self._worker_id, None)

    def _renewed(self, now: float) -> dict[int, int]:
        held = {}
        for partition, row in self._table.rows.items():
            if row.owner == self._worker_id:
                row.expires_at = now + self._lease_s
                held[partition] = row.epoch
        return held

    def _share(self, now: float) -> int:
        workers = sum(expires > now for expires in self._table.workers.values())
        return -(-len(self._table.rows) // max(1, workers))

    def _acquired(self, now: float, limit: int) -> dict[int, int]:
        free = [p for p, row in sorted(self._table.rows.items()) if row.expires_at < now][:limit]
        for partition in free:
            row = self._table.rows[partition]
            row.owner, row.epoch, row.expires_at = self._worker_id, row.epoch + 1, now + self._lease_s
        return {partition: self._table.rows[partition].epoch for partition in free}

    def _release(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            row = self._table.rows[partition]
            if row.owner == self._worker_id:
                row.owner, row.expires_at = None, float("-inf")

    def _set(self, held: dict[int, int]) -> None:
        self._held = held
        self._changed(held)
