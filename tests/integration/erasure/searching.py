"""Looks for texts in whatever the services keep: a table or a column that comes later is searched as well."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import asyncpg
from redis.asyncio import Redis

_COLUMNS: Final = """
SELECT c.table_schema, c.table_name, c.column_name, c.udt_name
  FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
 WHERE t.table_type = 'BASE TABLE'
   AND c.table_schema IN ('segment', 'points', 'channel_gateway', 'journey', 'stats', 'platform')
   AND c.udt_name IN ('text', 'bytea', 'jsonb', 'json', 'varchar', '_text', '_bytea', '_jsonb')
"""


async def found_in_tables(admin_dsn: str, texts: Iterable[str]) -> list[str]:
    """Columns in which any of the texts stands, in whatever case."""
    connection = await asyncpg.connect(admin_dsn)
    found = []
    try:
        for schema, table, column, kind in await connection.fetch(_COLUMNS):
            shown = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
            for text in texts:
                query = f"SELECT count(*) FROM {schema}.{table} WHERE strpos(lower({shown}), lower($1)) > 0"
                if await connection.fetchval(query, text):
                    found.append(f"{schema}.{table}.{column}: {text}")
    finally:
        await connection.close()
    return found


async def found_in_redis(url: str, texts: Iterable[str]) -> list[str]:
    """Keys in which any of the texts stands."""
    found = []
    async with Redis.from_url(url, protocol=2) as redis:
        async for key in redis.scan_iter(count=1_000):
            dumped = key + (await redis.dump(key) or b"")
            if await redis.type(key) == b"stream":
                dumped += repr(await redis.xrange(key)).encode()
            found += [repr(key) for text in texts if text.encode().lower() in dumped.lower()]
    return found
