"""How fast pages of the history report come, at many entries: first page, narrow keyword, broad keyword."""

import random
import statistics
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg

from omnijourney.points.v1 import points_service_pb2 as pb

if TYPE_CHECKING:
    from omnijourney.points.v1.points_service_pb2_grpc import PointsServiceAsyncStub

_CUSTOMERS: Final = 50_000
_ROUNDS: Final = 30
_TIMEOUT_S: Final = 60.0

# Written past the service, since only reading is measured: figures and hashes of these entries say nothing.
_CUSTOMERS_SQL: Final = """
INSERT INTO points.customer (team_id, customer_id, name, member_id, email, phone, folded)
SELECT $1, md5('c' || n)::uuid, 'Customer ' || n, 'M-' || n, '', '',
       'customer ' || n || E'\\x1fm-' || n || E'\\x1f\\x1f'
  FROM generate_series(1, $2::int) AS n
"""
# Customer by customer, in the order of the primary key; the times run through all of them.
_ENTRIES_SQL: Final = """
INSERT INTO points.entry (team_id, customer_id, sequence, partition, position, source, source_id, source_name,
                          delta_balance, delta_cumulative, requested_balance, requested_cumulative, balance, cumulative,
                          occurred_at, posted_at, key, actor, order_key, enrolment_id, node_id, note, hash)
SELECT $1, c.customer_id, sequence, 63, 1000000000 + n, 1, 'o', 'o', 1, 1, 1, 1, 1, 1, at, at, md5('k' || n)::uuid,
       'bench', NULL, NULL, '', '', '\\x00'
  FROM (SELECT md5('c' || number)::uuid AS customer_id, number FROM generate_series(1, $2::int) AS number
         ORDER BY 1) AS c
 CROSS JOIN generate_series(1, $3::int / $2::int) AS sequence
 CROSS JOIN LATERAL (SELECT (sequence - 1) * $2::bigint + c.number AS n) AS numbered
 CROSS JOIN LATERAL (SELECT now() - interval '28 days' * (n::float8 / $3::int) AS at) AS times
"""
_INDEXES_SQL: Final = """
SELECT indexname, indexdef FROM pg_indexes
 WHERE schemaname = 'points' AND tablename = 'entry' AND indexname <> 'entry_pkey'
"""


async def _fill(dsn: str, team_id: UUID, entries: int) -> None:
    """Writes customers and entries; indexes are made afterwards, which takes a third of the time."""
    admin: asyncpg.Connection[Any] = await asyncpg.connect(
        dsn, server_settings={"maintenance_work_mem": "512MB"}
    )
    try:
        await admin.execute(_CUSTOMERS_SQL, team_id, _CUSTOMERS)
        indexes = await admin.fetch(_INDEXES_SQL)
        for index in indexes:
            await admin.execute(f"DROP INDEX points.{index['indexname']}")
        await admin.execute(_ENTRIES_SQL, team_id, _CUSTOMERS, entries)
        for index in indexes:
            await admin.execute(index["indexdef"])
        # What autovacuum does within a minute on a server that lives longer than this one.
        await admin.execute("VACUUM ANALYZE points.entry")
        await admin.execute("VACUUM ANALYZE points.customer")
    finally:
        await admin.close()


async def measure(dsn: str, stub: "PointsServiceAsyncStub", entries: int) -> dict[str, float]:
    """Milliseconds of a page of 50 through gRPC, the median, by kind of search."""
    team_id = UUID(int=random.Random(entries).getrandbits(128))
    await _fill(dsn, team_id, max(entries, _CUSTOMERS))
    kinds = {"no keyword": "", "narrow keyword": "m-4999", "broad keyword": "customer"}
    return {kind: await _page_ms(stub, team_id, keyword) for kind, keyword in kinds.items()}


async def _page_ms(stub: "PointsServiceAsyncStub", team_id: UUID, keyword: str) -> float:
    request = pb.ListEntriesRequest(team_id=str(team_id), filter=pb.EntryFilter(keyword=keyword))
    took = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        page = await stub.ListEntries(request, timeout=_TIMEOUT_S)
        took.append((time.perf_counter() - began) * 1e3)
        assert len(page.lines) > 0, keyword
    return statistics.median(took)
