"""Actors as operators and callers meet them: leases, workers, orphans, and who may be triggered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import structlog

from libs.common.db.pool import Pool, transaction
from libs.common.errors import NotFound, Unavailable
from services.journey.domain.model import SystemTriggerKind
from services.journey.store import records
from services.journey.store.turns import BOOK

NOT_THERE: Final = "RESOURCE_NOT_FOUND"
NOT_OPEN: Final = "STATUS_FORBIDS_ACTION"
NOT_SYSTEM: Final = "TRIGGER_MISMATCH"
DRAIN_WAIT_S: Final = 10.0
"""How long a call that drains a worker waits for it, real seconds."""
DRAIN_LOOK_S: Final = 0.05

_log = structlog.get_logger(__name__)


class Lease(NamedTuple):
    """Who owns a partition, until when (real time)."""

    owner: str
    epoch: int
    expires_at: datetime


class WorkerRow(NamedTuple):
    """A process that hosts actors, until when it is known to be alive (real time), and whether it is draining."""

    worker_id: str
    expires_at: datetime
    draining: bool


class ActorStore:
    """Leases, workers, orphans, and who may be triggered."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def trigger_faults(
        self, team_id: UUID, journey_ids: Iterable[UUID], now: datetime
    ) -> dict[UUID, str]:
        """Why each journey cannot be triggered by the system now; empty text if it can."""
        wanted = list(journey_ids)
        async with transaction(self._pool, [team_id]) as connection:
            rows = await connection.fetch(BOOK["journeys_by_id"], wanted)
        faults = dict.fromkeys(wanted, NOT_THERE)
        for journey in map(records.journey_from, rows):
            if not isinstance(journey.definition.trigger, SystemTriggerKind):
                faults[journey.journey_id] = NOT_SYSTEM
            else:
                faults[journey.journey_id] = "" if journey.accepts(now) else NOT_OPEN
        return faults

    async def leases(self) -> dict[int, Lease]:
        """Lease by partition, as the table has it."""
        rows = await self._pool.fetch(BOOK["list_leases"])
        return {row["partition"]: Lease(row["owner"], row["epoch"], row["expires_at"]) for row in rows}

    async def workers(self) -> list[WorkerRow]:
        """Workers that are alive, by id."""
        return [WorkerRow(*row) for row in await self._pool.fetch(BOOK["list_workers"])]

    async def drain(self, worker_id: str) -> int:
        """Has a worker hand back all partitions; returns how many it held, when it holds none.

        Raises NotFound, and Unavailable if it still holds some after `DRAIN_WAIT_S`.
        """
        await self._set_draining(worker_id, draining=True)
        held = left = await self._held_by(worker_id)
        until_s = time.monotonic() + DRAIN_WAIT_S
        while left:
            if time.monotonic() > until_s:
                raise Unavailable.dependency(f"worker {worker_id}", DRAIN_WAIT_S)
            await asyncio.sleep(DRAIN_LOOK_S)
            left = await self._held_by(worker_id)
        _log.warning("worker drained", worker_id=worker_id, partitions=held)
        return held

    async def resume(self, worker_id: str) -> None:
        """Lets a worker take partitions again. Raises NotFound."""
        await self._set_draining(worker_id, draining=False)
        _log.warning("worker resumed", worker_id=worker_id)

    async def _set_draining(self, worker_id: str, *, draining: bool) -> None:
        if not await self._pool.fetchval(BOOK["set_draining"], worker_id, draining):
            raise NotFound.of("worker", worker_id)

    async def _held_by(self, worker_id: str) -> int:
        return int(await self._pool.fetchval(BOOK["count_leases"], worker_id))

    async def count_orphans(self) -> int:
        """Live enrolments that rest for no reason."""
        return int(await self._pool.fetchval(BOOK["count_orphans"]))
