"""What PostgreSQL wrote for the journeys of a burst: rows, entries of indexes and bytes, counted in the log itself.

The write-ahead log has each change of a row or of an index as one record, whoever made it and whenever its statistics
are told, so that nothing is sampled or late. Full pages, which follow from the checkpoint before and not from the work,
are told apart; what vacuuming writes is in the bytes and in no row.
"""

from collections import defaultdict
from typing import Any, Final

import asyncpg
import msgspec

EXTENSION: Final = "CREATE EXTENSION IF NOT EXISTS pg_walinspect"
KEPT: Final = "ALTER SYSTEM SET wal_keep_size = '8GB'"
"""A burst's log must still be there when it is looked at."""
_BYTES: Final = """
SELECT sum(record_size)::bigint, sum(fpi_size)::bigint, sum(count)::bigint
  FROM pg_get_wal_stats($1::text::pg_lsn, $2::text::pg_lsn)
"""
_RECORDS: Final = """
SELECT c.relkind = 'i' AS indexes, n.nspname || '.' || c.relname AS relation,
       CASE WHEN record_type LIKE 'HOT_UPDATE%' THEN 'hot'
            WHEN record_type LIKE 'UPDATE%' THEN 'moved'
            WHEN record_type LIKE 'INSERT%' THEN 'inserted'
            WHEN record_type LIKE 'DELETE%' THEN 'deleted'
            WHEN record_type LIKE 'SPLIT%' THEN 'inserted' END AS change,
       count(*) AS records, sum(record_length - block_fpi_length)::bigint AS bytes
  FROM (
    SELECT relfilenode, resource_manager, record_type, record_length, block_fpi_length
      FROM pg_get_wal_block_info($1::text::pg_lsn, $2::text::pg_lsn, false)
     WHERE block_id = 0 AND relforknumber = 0 AND resource_manager IN ('Heap', 'Btree')
  ) AS r
  JOIN pg_class AS c ON c.relfilenode = r.relfilenode
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY ($3::text[]) AND record_type <> 'INSERT_UPPER'
 GROUP BY 1, 2, 3
HAVING max(record_type) !~ '^(LOCK|CONFIRM)'
"""
SCHEMAS: Final = ("segment", "journey", "channel_gateway", "points", "stats", "platform")
_SHOWN: Final = 0.005
"""Relations with fewer changes a journey are not told."""


class Changes(msgspec.Struct):
    """Of one table, a journey. `moved`: updates that left their place, so that every index got an entry; `hot`: those
    that stayed in it."""

    inserted: float = 0.0
    hot: float = 0.0
    moved: float = 0.0
    deleted: float = 0.0
    bytes: float = 0.0
    """Of its own records, without those of its indexes."""

    @property
    def rows(self) -> float:
        """Row writes."""
        return self.inserted + self.hot + self.moved + self.deleted


class Writes(msgspec.Struct, frozen=True):
    """A journey's share of the log between two positions."""

    bytes: float
    full_page_bytes: float
    records: float
    tables: dict[str, Changes]
    indexes: dict[str, float]
    """Entries by index."""

    @property
    def rows(self) -> float:
        """Row writes."""
        return sum(changes.rows for changes in self.tables.values())

    @property
    def entries(self) -> float:
        """Entries of indexes."""
        return sum(self.indexes.values())


async def position(admin: "asyncpg.Pool[Any]") -> str:
    """Where the log ends now."""
    lsn: str = await admin.fetchval("SELECT pg_current_wal_flush_lsn()::text")
    return lsn


async def writes(admin: "asyncpg.Pool[Any]", since: str, until: str, journeys: int) -> Writes:
    """What the log holds between the positions. Errors: PostgresError if it is not kept any more."""
    size, pages, records = await admin.fetchrow(_BYTES, since, until)  # type: ignore[misc]
    tables: defaultdict[str, Changes] = defaultdict(Changes)
    indexes: defaultdict[str, float] = defaultdict(float)
    for indexed, relation, change, count, its_bytes in await admin.fetch(_RECORDS, since, until, SCHEMAS):
        if count / journeys < _SHOWN or change is None:
            continue
        if indexed:
            indexes[relation] += count / journeys
        else:
            changes = tables[relation]
            setattr(changes, change, getattr(changes, change) + count / journeys)
            changes.bytes += its_bytes / journeys
    return Writes(size / journeys, pages / journeys, records / journeys, dict(tables), dict(indexes))
