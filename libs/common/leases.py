"""Leases of partitions, so that each has one owner, and the fence that keeps a former owner from writing.

A lease is a row with an owner, an epoch and an end; the epoch grows with each change of owner. Lease time is real time,
read from the database's clock alone, so that the clocks of workers do not matter. Owners share the partitions evenly:
each takes free ones up to its share and hands back what it holds beyond it. The share of an owner that is draining is
nothing, until somebody says otherwise or its process is started again.

Nothing rests on a worker noticing in time that it lost a lease: every commit checks its epochs by `check_fence` in its
own transaction, and a change of owner waits for such a commit or makes it fail.

The tables are `partition_lease` (one row a partition) and `lease_worker`, in the schema of the service that uses this.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import structlog

from libs.common.db.book import BOOK
from libs.common.db.faults import PASSING
from libs.common.db.pool import Connection, Pool
from libs.common.ids import PARTITIONS, new_id
from libs.common.mailbox.errors import Fenced
from libs.common.tasks import work_until

RENEWALS_A_LEASE: Final = 3
"""A lease is renewed this often within its length, so that one lost call does not lose it."""

HandOver = Callable[[Sequence[int]], Awaitable[None]]

_log = structlog.get_logger(__name__)


async def check_fence(connection: Connection, epochs: Mapping[int, int]) -> None:
    """Inside a transaction: makes sure that these leases (partition → epoch) hold until it ends.

    A new owner waits for the transaction. Raises `Fenced` with the partitions that have another epoch by now.
    """
    rows = await connection.fetch(
        *BOOK.bind("check_fence", partitions=list(epochs.keys()), epochs=list(epochs.values()))
    )
    lost = epochs.keys() - {row["partition"] for row in rows}
    if lost:
        raise Fenced(sorted(lost))


async def fence_off(connection: Connection, partition: int) -> None:
    """Inside a transaction: nothing that the partition's owner began before is written after it.

    For the rare write that is not the owner's. It waits for commits that are under way; the owner learns of the new
    epoch when it renews its lease, and takes the partition over again.
    """
    await connection.execute(*BOOK.bind("lease_raise", partition=partition))


def worker_name() -> str:
    """A name for this process that no other had or will have."""
    return f"{socket.gethostname()}:{os.getpid()}:{new_id().hex[-8:]}"


class LeaseKeeper:
    """A loop that holds a fair share of the partitions for one worker; says at each change what it holds."""

    def __init__(
        self,
        pool: Pool,
        changed: Callable[[Mapping[int, int]], None],
        *,
        lease_s: float,
        worker_id: str | None = None,
        hand_over: HandOver | None = None,
    ) -> None:
        """`changed` gets all leases (partition → epoch); `lease_s` is their length in real seconds.

        `hand_over` is asked before leases are given away and returns when the worker has nothing of them in hand.
        """
        self._pool = pool
        self._changed = changed
        self._lease_s = lease_s
        self._worker_id = worker_id or worker_name()
        self._hand_over = hand_over
        self._draining = False
        self._asked = False
        self._held: dict[int, int] = {}
        self._sure_until = 0.0

    async def run(self, stopping: asyncio.Event) -> None:
        """Holds leases until `stopping` is set, then hands them back: the worker must have ended by then."""
        try:
            await work_until(stopping, self._keep(), name="leases")
        finally:
            await self.hand_back()

    @property
    def held(self) -> Mapping[int, int]:
        """Partition → epoch."""
        return self._held

    async def _keep(self) -> None:
        while True:
            try:
                await self.renew()
            except PASSING as error:
                _log.warning("leases could not be renewed", error=repr(error))
                if self._held and time.monotonic() > self._sure_until:
                    self._set({})
            await asyncio.sleep(self._lease_s / RENEWALS_A_LEASE)

    async def renew(self) -> None:
        """One round: renew, hand back what is over the share, take what is free up to it."""
        asked_at = time.monotonic()
        # Passed here as well: a row that was forgotten while the process stood still is made again as it was.
        me = {"worker_id": self._worker_id, "lease_s": self._lease_s}
        (signed,) = await self._pool.fetch(*BOOK.bind("lease_sign_on", **me, draining=self._draining))
        self._draining, others = signed
        held = dict(await self._pool.fetch(*BOOK.bind("lease_renew", **me)))
        share = 0 if self._draining else -(-PARTITIONS // (others + 1))
        surplus = sorted(held)[share:]
        takes_back, self._asked = self._asked and not surplus, bool(surplus)
        if surplus and await self._are_free(surplus):
            held = {partition: epoch for partition, epoch in held.items() if partition not in surplus}
            # First the worker lets go, then others may take: its commits after that are fenced, not lost silently.
            self._set(held)
            await self._release(surplus)
        elif len(held) < share:
            wanted = BOOK.bind("lease_acquire", **me, most=share - len(held))
            held |= dict(await self._pool.fetch(*wanted))
        self._sure_until = asked_at + self._lease_s
        # A worker that was asked for partitions and may keep them after all has to hear of that.
        if held != self._held or takes_back:
            self._set(held)

    async def _release(self, partitions: Sequence[int]) -> None:
        query = BOOK.bind("lease_release", worker_id=self._worker_id, partitions=list(partitions))
        await self._pool.execute(*query)

    async def _are_free(self, partitions: Sequence[int]) -> bool:
        """Whether the worker has handed these over. False: they are kept, and asked for again in the next round."""
        if self._hand_over is None:
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._lease_s / RENEWALS_A_LEASE):
                await self._hand_over(partitions)
                return True
        _log.info("the worker is still busy with partitions to be handed over", partitions=len(partitions))
        return False

    def _set(self, held: dict[int, int]) -> None:
        self._held = held
        _log.info("leases changed", partitions=len(held), worker_id=self._worker_id)
        self._changed(held)

    async def hand_back(self) -> None:
        """So that the next owner need not wait for the leases' end."""
        try:
            await self._release(range(PARTITIONS))
            await self._pool.execute(*BOOK.bind("lease_sign_off", worker_id=self._worker_id))
        except PASSING as error:
            _log.warning("leases were not handed back; they run out by themselves", error=repr(error))
