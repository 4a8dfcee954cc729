"""Workers as operators handle them: drained and resumed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from libs.common.db.pool import Connection, Pool
from libs.common.errors import Unavailable
from services.journey.store.leases import LeaseStore
from services.journey.usecases.write import Call, Reply, once

DRAIN_WAIT_S: Final = 10.0
"""How long a call that drains a worker waits for it, real seconds."""
DRAIN_LOOK_S: Final = 0.05

_log = structlog.get_logger(__name__)


class WorkerDraining:
    """Has workers hand back their partitions, and take them again."""

    def __init__(
        self, pool: Pool, store: LeaseStore, real_time: Callable[[], float] = time.monotonic
    ) -> None:
        """`real_time` gives seconds that never run backwards."""
        self._pool = pool
        self._store = store
        self._real_time = real_time

    async def drain(self, call: Call[int, Reply], worker_id: str) -> Reply:
        """Has a worker hand back all partitions; answers how many it held, when it holds none.

        Raises NotFound, and Unavailable if it still holds some after `DRAIN_WAIT_S`: a repeated call waits again.
        """

        async def work(connection: Connection) -> int:
            await self._store.set_draining(connection, worker_id, draining=True)
            held = await self._store.count_of(worker_id)
            _log.warning("worker drained", worker_id=worker_id, partitions=held)
            return held

        answer = await once(self._pool, call, work)
        until_s = self._real_time() + DRAIN_WAIT_S
        while await self._store.count_of(worker_id):
            if self._real_time() > until_s:
                raise Unavailable.dependency(f"worker {worker_id}", DRAIN_WAIT_S)
            await asyncio.sleep(DRAIN_LOOK_S)
        return answer

    async def resume(self, call: Call[None, Reply], worker_id: str) -> Reply:
        """Lets a worker take partitions again. Raises NotFound."""

        async def work(connection: Connection) -> None:
            await self._store.set_draining(connection, worker_id, draining=False)
            _log.warning("worker resumed", worker_id=worker_id)

        return await once(self._pool, call, work)
