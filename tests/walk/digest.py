"""What an installation's tables hold, as one digest a table."""

from typing import Final

import asyncpg

_TABLES: Final = """
    SELECT n.nspname, c.relname
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r'
      AND n.nspname <> 'information_schema'
      AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY 1, 2
"""
_TICKING: Final = frozenset(
    {"account_share", "lease_worker", "mail_checkpoint", "partition_lease", "sender_stint", "spelling_search"}
)


def ticks(table: str) -> bool:
    """Whether a table, such as `journey.mail_cursor`, changes while nobody calls: who works or worked on what and until
    when, and how far histories and old texts were read."""
    name = table.rpartition(".")[2]
    return name in _TICKING or name.endswith("cursor")


async def digest(dsn: str) -> dict[str, str]:
    """MD5 of all rows by table; `dsn` is the administrator's."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = [f'"{schema}"."{name}"' for schema, name in await connection.fetch(_TABLES)]
        named = {table.replace('"', ""): table for table in tables}
        return {name: await _of(connection, table) for name, table in named.items() if not ticks(name)}
    finally:
        await connection.close()


async def _of(connection: "asyncpg.Connection[asyncpg.Record]", table: str) -> str:
    # When a token was last used is noted of those who were let in, too.
    kept = "to_jsonb(row) - 'last_used'" if "api_client" in table else "row"
    rows = f"SELECT md5(({kept})::text) AS one FROM {table} AS row"
    found = await connection.fetchval(
        f"SELECT md5(coalesce(string_agg(one, '' ORDER BY one), '')) FROM ({rows}) AS all_rows"
    )
    return str(found)
