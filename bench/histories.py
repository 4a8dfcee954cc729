"""How fast a service appends to its history: positions given out and rows written, one commit a batch."""

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import Final
from uuid import UUID

from bench.measure import Meter, chunks
from libs.common.db.history import allocate
from libs.common.db.migrate import migrate
from libs.common.db.pool import Pool, open_pool, transaction
from libs.common.ids import partition_of
from libs.testing.mails import TEAM, customers

_SERVICE: Final = "bench"
_ROUNDS: Final = 5
_BODY: Final = bytes(170)  # the size of an event on the wire
# Rows of a round and of a commit: single commits are slow, so fewer of them are measured.
_CASES: Final = ((300, 1), (10_000, 500))

_INSERT: Final = """
INSERT INTO fact (partition, position, team_id, body)
SELECT row.partition, row.position, $3, $4
  FROM unnest($1::smallint[], $2::bigint[]) AS row (partition, position)
"""


async def run(postgres_dsn: str, meter: Meter) -> None:
    """Rows of many customers, spread over all partitions, written as a service's own role."""
    pool = await open_pool((await migrate(postgres_dsn, _SERVICE, "bench")).dsn, name=_SERVICE)
    try:
        for rows, batch in _CASES:
            partitions = [partition_of(TEAM, customer) for customer in islice(customers(), rows)]
            for _ in range(_ROUNDS):
                with meter.time("history rows committed", batch, rows):
                    for chunk in chunks(partitions, batch):
                        await _append(pool, TEAM, chunk)
    finally:
        await pool.close()


async def _append(pool: Pool, team_id: UUID, partitions: Sequence[int]) -> None:
    async with transaction(pool, [team_id]) as connection:
        following = await allocate(connection, Counter(partitions))
        positions: list[int] = []
        for partition in partitions:
            positions.append(following[partition])
            following[partition] += 1
        await connection.execute(_INSERT, partitions, positions, team_id, _BODY)
