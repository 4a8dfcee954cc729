"""pgbench's built-in TPC-B on the measured server: the figure of a PostgreSQL that people know."""

import asyncio
import os
import re
import shutil
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import asyncpg

from libs.embedded.binaries import installed_postgres

_DATABASE: Final = "tpcb"
_SCALE: Final = 10
_CLIENTS: Final = 8
_SECONDS: Final = 5
_TPS: Final = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)


async def tpcb_tps(dsn: str) -> float | None:
    """Transactions a second with 8 clients, in a database of its own; None where there is no pgbench."""
    pgbench = _find()
    if pgbench is None:
        return None
    admin: asyncpg.Connection[Any] = await asyncpg.connect(dsn)
    try:
        await admin.execute(f"CREATE DATABASE {_DATABASE}")
        await _run(pgbench, dsn, "--initialize", "--quiet", f"--scale={_SCALE}")
        told = await _run(
            pgbench, dsn, f"--client={_CLIENTS}", f"--time={_SECONDS}", "--protocol=prepared", "--no-vacuum"
        )
        await admin.execute(f"DROP DATABASE {_DATABASE} WITH (FORCE)")
    finally:
        await admin.close()
    found = _TPS.search(told)
    if found is None:
        raise AssertionError(f"pgbench said no rate: {told}")
    return float(found[1])


def _find() -> str | None:
    for binaries in installed_postgres():
        program = binaries.directory / "pgbench"
        if program.is_file():
            return str(program)
    return shutil.which("pgbench")


async def _run(pgbench: str, dsn: str, *options: str) -> str:
    parts = urlsplit(dsn)
    where = (f"--host={parts.hostname}", f"--port={parts.port}", f"--username={parts.username}")
    process = await asyncio.create_subprocess_exec(
        *(pgbench, *where, *options, _DATABASE),
        env={**os.environ, "PGPASSWORD": unquote(parts.password or "")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    if process.returncode != 0:
        raise AssertionError(told.decode())
    return told.decode()
