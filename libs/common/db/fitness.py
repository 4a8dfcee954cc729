"""Whether a database is at this release's version, asked by a service that may not change it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import asyncpg

from libs.common.db import migrate
from libs.common.db.pool import CONNECT_TIMEOUT_S
from libs.common.db.roles import PLATFORM
from libs.common.db.sql_files import Function, Migration, MigrationError, read_functions, read_migrations

_REMEDY: Final = "run `omnijourney migrate` of this release with the owner's OMNIJOURNEY_POSTGRES_DSN"
_NEVER_MADE: Final = (
    asyncpg.UndefinedTableError,
    asyncpg.InvalidSchemaNameError,
    # A release that made the schema by itself let no service look at what was applied.
    asyncpg.InsufficientPrivilegeError,
)


async def check_schema(dsn: str, service: str, package: str) -> None:
    """Returns when everything of `package`'s migrations and functions, and of what all services share, is applied.

    `dsn` of the service's own role. Raises MigrationError, which says what is missing and what to do, and the driver's
    errors when the server cannot be reached.
    """
    connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S)
    try:
        applied, made = await _recorded(connection)
    except _NEVER_MADE as error:
        raise MigrationError(
            f"the database has no schema of {service} that can be checked: {_REMEDY}"
        ) from error
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)
    for record, migrations, functions in _wanted(service, package):
        for migration in migrate.missing(record, migrations, applied[record]):
            number = f"{migration.number:04d}_{migration.name}"
            raise MigrationError(f"the database lacks migration {number} of {record}: {_REMEDY}")
        for function in functions:
            if migrate.is_changed(function, made[record].get(function.name)):
                raise MigrationError(f"the database has an older {function.name}() of {record}: {_REMEDY}")


def _wanted(service: str, package: str) -> Iterator[tuple[str, list[Migration], list[Function]]]:
    common = migrate.COMMON
    for record, source, kind in (
        (PLATFORM, common, "platform_"),
        (f"{service}/shared", common, "shared_"),
        (service, package, "sql/"),
    ):
        yield record, read_migrations(source, f"{kind}migrations"), read_functions(source, f"{kind}functions")


async def _recorded(
    connection: "asyncpg.Connection[Any]",
) -> tuple[dict[str, dict[int, str]], dict[str, dict[str, tuple[int, str]]]]:
    """Checksums of migrations, and versions with checksums of functions, by record."""
    applied: dict[str, dict[int, str]] = defaultdict(dict)
    made: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
    for row in await connection.fetch("SELECT service, number, sha256 FROM platform.migration"):
        applied[row["service"]][row["number"]] = row["sha256"]
    for row in await connection.fetch("SELECT service, name, version, sha256 FROM platform.function"):
        made[row["service"]][row["name"]] = (row["version"], row["sha256"])
    return applied, made
