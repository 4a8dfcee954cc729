"""What the doctor finds at PostgreSQL: the way to it, settings, clock, migrations, privileges, credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg

from libs.cli.findings import Finding, fault, warning, well
from libs.client.services import SERVICES
from libs.common import credentials
from libs.common.clock import SystemClock
from libs.common.db.archive import ArchiveState, archive_state
from libs.common.db.installation import installation_of
from libs.common.db.migrate import COMMON, missing
from libs.common.db.roles import PLATFORM, role_of
from libs.common.db.sql_files import MigrationError, read_migrations

SUBJECT: Final = "PostgreSQL"
_VARIABLE: Final = "OMNIJOURNEY_POSTGRES_DSN"
_TIMEOUT_S: Final = 5.0
VERSION_MIN: Final = 150_000
SKEW_S_MAX: Final = 2.0
CONNECTIONS_MIN: Final = 60
"""Five services with the pools that they have by default, and what each holds beside its pool."""
_MIGRATE: Final = "run `omnijourney migrate` with the owner's address, then start the services again"


async def look(dsn: str, credentials_files: Sequence[Path]) -> AsyncIterator[Finding]:
    """Looks at the database as the owner, and at what the services log in with."""
    try:
        connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        yield _away(dsn, error)
        return
    try:
        async for finding in _look(connection):
            yield finding
    finally:
        await connection.close(timeout=_TIMEOUT_S)
    for file in credentials_files:
        yield await _login(file)


async def installation(dsn: str) -> str:
    """Which installation the database at `dsn` is; empty where none can be asked, which `look` says."""
    if not dsn:
        return ""
    try:
        connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError):
        return ""
    try:
        return await installation_of(connection, dsn)
    except asyncpg.PostgresError:
        return ""
    finally:
        await connection.close(timeout=_TIMEOUT_S)


def _away(dsn: str, error: Exception) -> Finding:
    parts = urlsplit(dsn)
    # Several servers may be named.
    where = parts.netloc.rpartition("@")[2] + parts.path
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return fault(SUBJECT, f"{where} refuses user and password ({error})", f"correct {_VARIABLE}")
        case asyncpg.InvalidCatalogNameError():
            return fault(SUBJECT, f"{where}: {error}", f"create the database, or correct {_VARIABLE}")
        case asyncpg.TooManyConnectionsError():
            return fault(
                SUBJECT, f"{where}: {error}", "raise max_connections, or lower OMNIJOURNEY_POOL_SIZE_MAX"
            )
    said = str(error) or type(error).__name__
    return fault(SUBJECT, f"nothing answers at {where} ({said})", f"start it, or correct {_VARIABLE}")


async def _look(connection: asyncpg.Connection[Any]) -> AsyncIterator[Finding]:
    for finding in await _settings(connection):
        yield finding
    yield await _clock(connection)
    yield _archive(await archive_state(connection))
    yield await _rights(connection)
    if not await connection.fetchval("SELECT to_regclass('platform.migration') IS NOT NULL"):
        yield fault("migrations", "nothing of the product is in this database", _MIGRATE)
        return
    for finding in await _migrations(connection):
        yield finding
    for service in SERVICES:
        lacks = await _role(connection, service)
        if lacks is not None:
            yield lacks


async def _settings(connection: asyncpg.Connection[Any]) -> list[Finding]:
    names = (
        "server_version_num",
        "server_version",
        "server_encoding",
        "fsync",
        "full_page_writes",
        "max_connections",
    )
    rows = await connection.fetch("SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", names)
    said = {row["name"]: row["setting"] for row in rows}
    findings = []
    version, connections = int(said["server_version_num"]), int(said["max_connections"])
    if version < VERSION_MIN:
        remedy = f"upgrade it to {VERSION_MIN // 10_000} or newer"
        findings.append(fault(SUBJECT, f"version {said['server_version']} is too old", remedy))
    if said["server_encoding"] != "UTF8":
        found = f"the database's encoding is {said['server_encoding']}"
        findings.append(fault(SUBJECT, found, "make a database with ENCODING 'UTF8', and migrate it"))
    for name in ("fsync", "full_page_writes"):
        if said[name] != "on":
            remedy = f"set {name} = on in postgresql.conf"
            findings.append(
                fault(SUBJECT, f"{name} is off: a crash of the machine loses what was promised", remedy)
            )
    if connections < CONNECTIONS_MIN:
        remedy = f"set max_connections to {CONNECTIONS_MIN} or more, or lower OMNIJOURNEY_POOL_SIZE_MAX (8)"
        findings.append(warning(SUBJECT, f"max_connections is {connections}", remedy))
    found = f"version {said['server_version']}, {connections} connections"
    return findings or [well(SUBJECT, found)]


def _archive(state: ArchiveState) -> Finding:
    """Whether a restore can lead further than to the last backup."""
    subject = "log archive"
    if not state.on:
        return well(subject, "none is asked for; a restore leads to the last backup")
    last = state.last_archived_time
    since = f"the last at {last:%Y-%m-%d %H:%M:%SZ}" if last is not None else "none yet"
    if not state.failing:
        return well(subject, f"{state.archived_count:,} segments, {since}")
    failed = (
        f", {state.failed_count:,} tries failed, one at {state.last_failed_wal}" if state.failed_count else ""
    )
    found = f"nothing is archived for {state.age_s:,.0f} s ({since}{failed})"
    remedy = "see what PostgreSQL's log says of archive_command, and give its account room and rights there"
    return fault(subject, found, f"{remedy} (docs/alerts.md)")


async def _clock(connection: asyncpg.Connection[Any]) -> Finding:
    there = await connection.fetchval("SELECT clock_timestamp()")
    return skew("PostgreSQL's clock", there.timestamp())


def skew(subject: str, there_s: float) -> Finding:
    """How far a clock is from this machine's."""
    ahead_s = there_s - SystemClock().now().timestamp()
    if abs(ahead_s) > SKEW_S_MAX:
        way = "ahead of" if ahead_s > 0 else "behind"
        found = f"{abs(ahead_s):,.1f} s {way} this machine's"
        return fault(subject, found, "keep all clocks by NTP: schedules and quiet hours go by them")
    return well(subject, "agrees with this machine's")


async def _rights(connection: asyncpg.Connection[Any]) -> Finding:
    """Whether the owner may do what migrations do."""
    row = await connection.fetchrow(
        "SELECT rolname, rolsuper OR rolcreaterole AS roles,"
        " has_database_privilege(current_database(), 'CREATE') AS schemas FROM pg_roles WHERE rolname = current_user"
    )
    assert row is not None, "who asks is a role"
    lacks = [f"ALTER ROLE {row['rolname']} CREATEROLE"] if not row["roles"] else []
    if not row["schemas"]:
        lacks.append(f"GRANT CREATE ON DATABASE … TO {row['rolname']}")
    if lacks:
        remedy = f"as a superuser: {'; '.join(lacks)}"
        return fault("privileges", f"{row['rolname']} may not make all that migrations make", remedy)
    return well("privileges", f"{row['rolname']} may make roles and schemas")


async def _migrations(connection: asyncpg.Connection[Any]) -> list[Finding]:
    rows = await connection.fetch("SELECT service, number, sha256 FROM platform.migration")
    findings, known = [], 0
    for record, package, folder in _books():
        migrations = read_migrations(package, folder)
        applied = {row["number"]: row["sha256"] for row in rows if row["service"] == record}
        known += len(migrations)
        try:
            if lacks := missing(record, migrations, applied):
                found = (
                    f"{record} lacks {len(lacks)} migrations, from {lacks[0].number:04d}_{lacks[0].name} on"
                )
                findings.append(fault("migrations", found, _MIGRATE))
        except MigrationError as error:
            findings.append(fault("migrations", str(error), "start the release that made it, or a newer one"))
    return findings or [well("migrations", f"all {known} are applied")]


def _books() -> Sequence[tuple[str, str, str]]:
    """Record, package and folder of all migrations."""
    books = [(PLATFORM, COMMON, "platform_migrations")]
    for service in SERVICES:
        books += [
            (f"{service}/shared", COMMON, "shared_migrations"),
            (service, f"services.{service}", "sql/migrations"),
        ]
    return books


async def _role(connection: asyncpg.Connection[Any], service: str) -> Finding | None:
    """What a service's role may not, though it has to; None where all is well."""
    role = role_of(service)
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", role):
        return fault("privileges", f"there is no role {role}", _MIGRATE)
    lacking = await connection.fetchval(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p')"
        # Named together it would be enough to have one of them.
        " AND NOT (has_table_privilege($2, c.oid, 'SELECT') AND has_table_privilege($2, c.oid, 'INSERT')"
        " AND has_table_privilege($2, c.oid, 'UPDATE') AND has_table_privilege($2, c.oid, 'DELETE'))",
        service,
        role,
    )
    if lacking:
        return fault("privileges", f"{role} may not read and write {lacking} of its own tables", _MIGRATE)
    return None


async def _login(file: Path) -> Finding:
    """Whether what stands in a service's credentials file still opens the database."""
    subject = f"credentials of {file.stem}"
    try:
        dsn = credentials.read(file)[credentials.DSN_VARIABLE]
        connection = await asyncpg.connect(dsn, timeout=_TIMEOUT_S)
    except (OSError, ValueError, KeyError) as error:
        return fault(subject, f"{file} cannot be used ({error!r})", _MIGRATE)
    except (TimeoutError, asyncpg.PostgresError) as error:
        return fault(subject, f"the database refuses what stands in {file} ({error})", _MIGRATE)
    await connection.close(timeout=_TIMEOUT_S)
    return well(subject, "let in")
