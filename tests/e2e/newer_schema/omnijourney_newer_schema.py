"""Plugin of pytest for the tests of an older release: its databases are migrated by a newer one.

Stands in a folder of its own, so that it can be imported without anything else of the newer release. `NEWER_RELEASE` is
the newer release's folder.
"""

import asyncio
import os
import sys

import asyncpg

from libs.common.db import migrate as older

_MIGRATE = """
import asyncio, sys
from libs.common.db.migrate import migrate
asyncio.run(migrate(*sys.argv[1:]))
"""


async def _migrate(admin_dsn: str, service: str, package: str) -> None:
    # A process of the older release that has started before the newer one came does not migrate any more.
    connection = await asyncpg.connect(admin_dsn)
    try:
        if await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", service):
            return
    finally:
        await connection.close()
    newer = os.environ["NEWER_RELEASE"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _MIGRATE, admin_dsn, service, package),
        cwd=newer,
        env={**os.environ, "PYTHONPATH": newer},
    )
    if await process.wait():
        raise RuntimeError(f"the newer release could not migrate {service}")


# Before anything of the older release takes the name from its module.
older.migrate = _migrate  # type: ignore[assignment]  # what it returns is used by no test
