"""Which file shows which schema."""

from pathlib import Path
from typing import Any, Final

import asyncpg

from libs.common.db.sql_files import read_migrations
from tools.paths import ROOT
from tools.schema.describe import comments_of, describe

SERVICES: Final = ("channel_gateway", "journey", "points", "segment", "stats")
_COMMON: Final = "libs.common.db"
_HEAD: Final = """-- The schema {schema} as all migrations leave it. Written by `make schema`, never by hand.
-- Functions stand in files of their own.

"""


async def current_texts(connection: "asyncpg.Connection[Any]") -> dict[Path, str]:
    """What every `schema.sql` has to be, given a database with the schemas of all services."""
    shared = [migration.sql for migration in read_migrations(_COMMON, "shared_migrations")]
    platform = [migration.sql for migration in read_migrations(_COMMON, "platform_migrations")]
    texts = {ROOT / "libs/common/db/platform_schema.sql": await _text(connection, "platform", platform)}
    for service in SERVICES:
        own = [migration.sql for migration in read_migrations(f"services.{service}", "sql/migrations")]
        path = ROOT / "services" / service / "sql" / "schema.sql"
        texts[path] = await _text(connection, service, shared + own)
    return texts


async def _text(connection: "asyncpg.Connection[Any]", schema: str, migrations: list[str]) -> str:
    return _HEAD.format(schema=schema) + await describe(connection, schema, comments_of(migrations))
