"""Which installation a database is: the same for as long as it is the same database, wherever its server has moved."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

_ID: Final = """
SELECT system_identifier || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
FROM pg_control_system()
"""


async def installation_of(
    connection: asyncpg.Connection[Any] | asyncpg.pool.PoolConnectionProxy[Any], dsn: str
) -> str:
    """Its id, and behind a space where it is, without user and password: `7551…/16385 db.internal:5432/omnijourney`.

    A standby that takes over has the same id, a restored or copied database another one unless its server's files were
    copied. Raises the driver's errors.
    """
    parts = urlsplit(dsn)
    return f"{await connection.fetchval(_ID)} {parts.netloc.rpartition('@')[2]}{parts.path}"
