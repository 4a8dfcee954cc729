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

from libs.common.db.faults import PASSING
from libs.common.db.pool import Connection, Pool
from libs.common.ids import PARTITIONS, new_id
from libs.common.mailbox.errors import Fenced
from libs.common.tasks import work_until

RENEWALS_A_LEASE: Final = 3
"""A lease is renewed this often within its length, so that one lost call does not lose it."""

# Locks are taken in the order of partitions by everybody: commits share them, renewals and hand-overs need them alone.
_FENCE: Final = """
/* check_fence */
SELECT l.partition FROM unnest($1::smallint[], $2::bigint[]) AS k (partition, epoch)
  JOIN partition_lease AS l ON l.partition = k.partition AND l.epoch = k.epoch
 ORDER BY l.partition FOR SHARE OF l
"""
# Of the others it tells how many there are with a share, and forgets those that are gone for long.
_SIGN_ON: Final = """
/* lease_sign_on */
WITH forgotten AS (
    DELETE FROM lease_worker WHERE expires_at < clock_timestamp() - interval '1 minute' AND worker_id <> $1
), me AS (
    INSERT INTO lease_worker (worker_id, expires_at, draining)
    VALUES ($1, clock_timestamp() + make_interval(secs => $2), $3)
    ON CONFLICT (worker_id) DO UPDATE SET expires_at = excluded.expires_at
    RETURNING draining
)
SELECT me.draining,
       (SELECT count(*) FROM lease_worker WHERE worker_id <> $1 AND expires_at > clock_timestamp() AND NOT draining)
  FROM me
"""
_RENEW: Final = """
/* lease_renew */
WITH mine AS (SELECT partition FROM partition_lease WHERE owner = $1 ORDER BY partition FOR UPDATE)
UPDATE partition_lease AS l SET expires_at = clock_timestamp() + make_interval(secs => $2)
  FROM mine WHERE l.partition = mine.partition RETURNING l.partition, l.epoch
"""
_ACQUIRE: Final = """
/* lease_acquire */
UPDATE partition_lease SET owner = $1, epoch = epoch + 1, expires_at = clock_timestamp() + make_interval(secs => $2)
 WHERE partition IN (
    SELECT partition FROM partition_lease WHERE expires_at < clock_timestamp()
     ORDER BY partition LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING partition, epoch
"""
_RELEASE: Final = """
/* lease_release */
WITH mine AS (
    SELECT partition FROM partition_lease WHERE owner = $1 AND partition = ANY ($2::smallint[])
     ORDER BY partition FOR UPDATE
)
UPDATE partition_lease AS l SET owner = NULL, expires_at = '-infinity' FROM mine WHERE l.partition = mine.partition
"""
_RAISE: Final = "/* lease_raise */ UPDATE partition_lease SET epoch = epoch + 1 WHERE partition = $1"
_SIGN_OFF: Final = "/* lease_sign_off */ DELETE FROM lease_worker WHERE worker_id = $1"

HandOver = Callable[[Sequence[int]], Awaitable[None]]

_log = structlog.get_logger(__name__)


async def check_fence(connection: Connection, epochs: Mapping[int, int]) -> None:
    """Inside a transaction: makes sure that these leases (partition → epoch) hold until it ends.

    A new owner waits for the transaction. Raises `Fenced` with the partitions that have another epoch by now.
    """
    rows = await connection.fetch(_FENCE, list(epochs.keys()), list(epochs.values()))
    lost = epochs.keys() - {row["partition"] for row in rows}
    if lost:
        raise Fenced(sorted(lost))


async def fence_off(connection: Connection, partition: int) -> None:
    """Inside a transaction: nothing that the partition's owner began before is written after it.

    For the rare write that is not the owner's. It waits for commits that are under way; the owner learns of the new
    epoch when it renews its lease, and takes the partition over again.
    """
    await connection.execute(_RAISE, partition)


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
        (signed,) = await self._pool.fetch(_SIGN_ON, self._worker_id, self._lease_s, self._draining)
        self._draining, others = signed
        held = dict(await self._pool.fetch(_RENEW, self._worker_id, self._lease_s))
        share = 0 if self._draining else -(-PARTITIONS // (others + 1))
        surplus = sorted(held)[share:]
        takes_back, self._asked = self._asked and not surplus, bool(surplus)
        if surplus and await self._are_free(surplus):
            held = {partition: epoch for partition, epoch in held.items() if partition not in surplus}
            # First the worker lets go, then others may take: its commits after that are fenced, not lost silently.
            self._set(held)
            await self._pool.execute(_RELEASE, self._worker_id, surplus)
        elif len(held) < share:
            held |= dict(await self._pool.fetch(_ACQUIRE, self._worker_id, self._lease_s, share - len(held)))
        self._sure_until = asked_at + self._lease_s
        # A worker that was asked for partitions and may keep them after all has to hear of that.
        if held != self._held or takes_back:
            self._set(held)

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
            await self._pool.execute(_RELEASE, self._worker_id, list(range(PARTITIONS)))
            await self._pool.execute(_SIGN_OFF, self._worker_id)
        except PASSING as error:
            _log.warning("leases were not handed back; they run out by themselves", error=repr(error))
