"""The SQL of leases and workers, as operators read and set them."""

from __future__ import annotations

from libs.common.db.pool import Connection, Pool
from libs.common.errors import NotFound
from services.journey.domain.views import Lease, WorkerRow
from services.journey.store.book import BOOK


class LeaseStore:
    """Who owns which partition, and which workers take part."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def leases(self) -> dict[int, Lease]:
        """Lease by partition, as the table has it."""
        rows = await self._pool.fetch(BOOK["list_leases"])
        return {row["partition"]: Lease(row["owner"], row["epoch"], row["expires_at"]) for row in rows}

    async def workers(self) -> list[WorkerRow]:
        """Workers that are alive, by id."""
        return [WorkerRow(*row) for row in await self._pool.fetch(BOOK["list_workers"])]

    async def set_draining(self, connection: Connection, worker_id: str, *, draining: bool) -> None:
        """Has a worker hand back its partitions, or take its share again, once committed. Raises NotFound."""
        query = BOOK.bind("set_draining", worker_id=worker_id, draining=draining)
        if not await connection.fetchval(*query):
            raise NotFound.of("worker", worker_id)

    async def count_of(self, worker_id: str) -> int:
        """Partitions that a worker holds."""
        return int(await self._pool.fetchval(*BOOK.bind("count_leases", worker_id=worker_id)))
