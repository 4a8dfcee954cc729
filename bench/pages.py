"""How fast pages of the history report come, at many entries: first page, narrow keyword, broad keyword."""

import random
import statistics
import time
from typing import TYPE_CHECKING, Final
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
_ENTRIES_SQL: Final = """
INSERT INTO points.entry (team_id, customer_id, sequence, partition, position, source, source_id, source_name,
                          delta_balance, delta_cumulative, requested_balance, requested_cumulative, balance, cumulative,
                          occurred_at, posted_at, key, actor, order_key, enrolment_id, node_id, note, hash)
SELECT $1, md5('c' || (n % $2::int) + 1)::uuid, n / $2::int + 1, 63, 1000000000 + n, 1, 'o', 'o',
       1, 1, 1, 1, 1, 1, at, at, md5('k' || n)::uuid, 'bench', NULL, NULL, '', '', '\\x00'
  FROM generate_series(1, $3::int) AS n
 CROSS JOIN LATERAL (SELECT now() - interval '28 days' * (n::float8 / $3::int) AS at) AS times
"""


async def measure(dsn: str, stub: "PointsServiceAsyncStub", entries: int) -> dict[str, float]:
    """Milliseconds of a page of 50 through gRPC, the median, by kind of search."""
    team_id = UUID(int=random.Random(entries).getrandbits(128))
    admin = await asyncpg.connect(dsn)
    try:
        await admin.execute(_CUSTOMERS_SQL, team_id, _CUSTOMERS)
        await admin.execute(_ENTRIES_SQL, team_id, _CUSTOMERS, entries)
        await admin.execute("ANALYZE points.customer, points.entry")
    finally:
        await admin.close()
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
