"""``make schema``: writes `sql/schema.sql` of every service, and of the platform, from a freshly migrated database.

``make schema-baseline`` takes the present commit and its functions for the release before.
"""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from libs.common.db.migrate import migrate
from libs.embedded import start_embedded
from tools.paths import ROOT
from tools.schema.files import SERVICES, current_texts
from tools.schema.functions import Signature, signatures, write_baseline


@asynccontextmanager
async def _migrated() -> AsyncIterator["asyncpg.Connection[Any]"]:
    with tempfile.TemporaryDirectory() as folder:
        embedded = await start_embedded(Path(folder), valkey=False)
        try:
            for service in SERVICES:
                await migrate(embedded.postgres_dsn, service, f"services.{service}")
            connection = await asyncpg.connect(embedded.postgres_dsn)
            try:
                yield connection
            finally:
                await connection.close()
        finally:
            await embedded.stop()


async def _read() -> tuple[dict[Path, str], dict[str, Signature]]:
    async with _migrated() as connection:
        return await current_texts(connection), await signatures(connection)


def _head() -> str:
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(arguments: Sequence[str]) -> int:
    """Writes the files, or the baseline; 2 for another argument."""
    if list(arguments) not in ([], ["baseline"]):
        print(__doc__, file=sys.stderr)
        return 2
    texts, functions = asyncio.run(_read())
    if arguments:
        write_baseline(_head(), functions)
        return 0
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
