"""Migrations, functions, roles and schemas.

Each service has a schema and a login role of its own; the admin role owns everything in it. `migrate` brings both up to
the release: forward only, once, under an advisory lock, so that any number of processes may start at once. A migration
that was applied never changes again; its checksum is compared at every start. Functions come after the migrations:
those whose text has changed, in one transaction.

Two releases may share a database while processes are replaced. Those of the older one go on working, since what they
call keeps its name and parameters for a release (`functions/retired`). A process of the older one that starts then
refuses when there is a migration that it does not know; otherwise it works with the functions that it finds, and never
puts back the body of one whose version is newer than its own.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import structlog

from libs.common.backoff import Backoff, retrying
from libs.common.callers import token_digest
from libs.common.db import sessions
from libs.common.db.clients import register_client
from libs.common.db.pool import CONNECT_TIMEOUT_S
from libs.common.db.roles import (
    FIRST_GENERATION,
    PLATFORM,
    OwnCredentials,
    credentials_of,
    role_of,
    scram_verifier,
)
from libs.common.db.sql_files import Function, Migration, MigrationError, read_functions, read_migrations
from omnijourney.common.v1.scope_pb2 import SCOPE_INTERNAL, SCOPE_READ, SCOPE_WRITE

COMMON: Final = "libs.common.db"
_LOCK_KEY: Final = 0x6F6D6E696A6F7572
"""Any constant; one lock for all migrations of a database."""
_LOCK_TIMEOUT_S: Final = 120.0
_BUSY_WAIT_S: Final = 120.0
"""Longest wait for a server that is there and lets nobody in yet."""
_BUSY: Final = (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, TimeoutError)
"""It starts or recovers, has no connection free, or does not answer in time: a server that is slow, not one that is
away or refuses us."""
_BUSY_BACKOFF: Final = Backoff(0.2, 5.0, spread=0.5)
_SAY_AFTER_S: Final = 5.0
_ROLE_ATTEMPTS: Final = 5
TOKEN_OVERLAP: Final = timedelta(hours=1)
"""How long a service's token works on after it was rotated: until its processes have been started again."""
_PUBLIC_SCOPES: Final = {"channel_gateway": SCOPE_WRITE}
"""What a service may call of the public contracts beside what is internal, where it is more than to read."""
_GENERATION: Final = re.compile(r"password ([1-9][0-9]{0,8})")
# What a service may do with the platform's tables beyond what all may: segment serves the RPCs of API clients, looks
# for channel accounts, shows the audit log and takes out of it what is old, or a person's. It can neither make a client
# of configuration nor turn one into it.
_WRITES_PLATFORM: Final = {
    "segment": """
        GRANT INSERT (api_client_id, team_id, name, name_folded, scopes, token_sha256, expire_at),
              UPDATE (name, name_folded, scopes, token_sha256, old_token_sha256, old_token_expire_at, expire_at,
                      revoked_at)
           ON platform.api_client TO %2$I;
        GRANT SELECT ON platform.audit_entry, platform.channel_account TO %2$I;
        GRANT EXECUTE ON FUNCTION platform.forget_audit_entries(timestamptz, integer) TO %2$I;
        GRANT EXECUTE ON FUNCTION platform.forget_audit_entries_v2(interval, uuid[], interval[], integer) TO %2$I;
        GRANT EXECUTE ON FUNCTION platform.erase_audit_entries(uuid, uuid, integer, text[]) TO %2$I;
    """
}

_log = structlog.get_logger(__name__)


async def migrate(admin_dsn: str, service: str, package: str, *, rotate: bool = False) -> OwnCredentials:
    """Makes the service's role, schema and client and applies what is missing of `package`'s migrations and functions;
    returns what the service proves itself with. `rotate` gives it a new password and a new token.

    They stand in `sql/migrations` and `sql/functions`.
    Safe with many processes at once. Raises MigrationError, and the driver's errors when the server cannot be reached.
    """
    role = role_of(service)
    credentials_of(admin_dsn, service)  # a faulty address is refused before anything is done
    own = read_migrations(package, "sql/migrations")
    functions = read_functions(package, "sql/functions")
    connection = await connect_owner(admin_dsn)
    try:
        await _lock(connection)
        # A hundred commits need not reach the disk one by one: what a crash takes away is applied again.
        await connection.execute("SET synchronous_commit = off")
        await _prepare_platform(connection)
        held = await _prepare_role(connection, admin_dsn, service, rotate=rotate)
        await _prepare_schema(connection, service, role)
        shared = read_migrations(COMMON, "shared_migrations")
        await _apply(connection, f"{service}/shared", service, shared)
        await _apply(connection, service, service, own)
        # Before functions: processes of the release before call them from their commit on, new tables and all.
        await _grant(connection, service, role)
        await _renew(connection, f"{service}/shared", service, read_functions(COMMON, "shared_functions"))
        await _renew(connection, service, service, functions)
        # Its commit takes all that was written before it to the disk.
        await connection.execute("RESET synchronous_commit")
        await _grant(connection, service, role)
        scopes = (SCOPE_INTERNAL, _PUBLIC_SCOPES.get(service, SCOPE_READ))
        digest = token_digest(held.token.encode())
        await register_client(connection, service, scopes, digest, overlap=TOKEN_OVERLAP)
        return held
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


async def connect_owner(
    dsn: str, *, timeout_s: float = CONNECT_TIMEOUT_S, wait_s_max: float = _BUSY_WAIT_S
) -> "asyncpg.Connection[Any]":
    """A connection of the owner. Waits up to `wait_s_max` seconds, and logs what for, while the server starts, has no
    connection free, or takes longer than `timeout_s` to answer. Raises the driver's errors; a TimeoutError says how
    long was waited."""
    give_up_at = time.monotonic() + wait_s_max

    async def connect() -> "asyncpg.Connection[Any]":
        try:
            return await asyncpg.connect(dsn, timeout=timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"PostgreSQL did not answer within {timeout_s:g} s") from error

    def note(attempt: int, error: Exception) -> None:
        if attempt == 1:
            _log.warning("waiting for the database", wait_s_max=wait_s_max, error=str(error))

    return await retrying(
        connect,
        backoff=_BUSY_BACKOFF,
        passing=_BUSY,
        give_up=lambda: time.monotonic() > give_up_at,
        failed=note,
    )


async def _lock(connection: "asyncpg.Connection[Any]") -> None:
    """Until no other process migrates this database. Raises MigrationError."""
    say = asyncio.get_running_loop().call_later(
        _SAY_AFTER_S,
        lambda: _log.warning("waiting for another process that migrates", wait_s_max=_LOCK_TIMEOUT_S),
    )
    try:
        await asyncio.wait_for(connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY), _LOCK_TIMEOUT_S)
    except TimeoutError as error:
        raise MigrationError(f"another process has migrated for over {_LOCK_TIMEOUT_S:.0f} s") from error
    finally:
        say.cancel()


async def _prepare_platform(connection: "asyncpg.Connection[Any]") -> None:
    await connection.execute(
        """
        CREATE SCHEMA IF NOT EXISTS platform;
        CREATE TABLE IF NOT EXISTS platform.migration (
            service    text NOT NULL,
            number     integer NOT NULL,
            name       text NOT NULL,
            sha256     text NOT NULL,
            applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
            PRIMARY KEY (service, number)
        );
        """
    )
    await _apply(connection, PLATFORM, PLATFORM, read_migrations(COMMON, "platform_migrations"))
    await _renew(connection, PLATFORM, PLATFORM, read_functions(COMMON, "platform_functions"))


async def _prepare_role(
    connection: "asyncpg.Connection[Any]", admin_dsn: str, service: str, *, rotate: bool
) -> OwnCredentials:
    """Makes the role, or gives it the password that it has to have."""
    role = role_of(service)
    # Roles belong to the whole server, the lock to one database: another database may be making the same role.
    for attempt in range(1, _ROLE_ATTEMPTS + 1):
        try:
            generation = await _generation(connection, role)
            exists, generation = bool(generation), (generation or FIRST_GENERATION) + rotate
            own = credentials_of(admin_dsn, service, generation)
            statements = await _role_statements(connection, service, own.dsn, generation, create=not exists)
            await connection.execute(statements)
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.InternalServerError):
            if attempt == _ROLE_ATTEMPTS:
                raise
            await asyncio.sleep(0.05 * attempt)
        else:
            return own
    raise AssertionError


async def _generation(connection: "asyncpg.Connection[Any]", role: str) -> int:
    """How many passwords the role has had, 0 where there is no such role. Told by its comment, which is the whole
    server's as the role is."""
    comment = await connection.fetchval(
        "SELECT coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles WHERE rolname = $1", role
    )
    if comment is None:
        return 0
    said = _GENERATION.fullmatch(comment)
    return int(said[1]) if said else FIRST_GENERATION


async def _role_statements(
    connection: "asyncpg.Connection[Any]", service: str, dsn: str, generation: int, *, create: bool
) -> str:
    role = role_of(service)
    # Role commands take no parameters; format() quotes. The verifier, not the password, is sent, since servers may log
    # these statements.
    statements: str = await connection.fetchval(
        "SELECT format('%1$s ROLE %2$I WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD %3$L;"
        " ALTER ROLE %2$I SET search_path = %4$I, pg_temp', $1::text, $2::text, $3::text, $4::text)",
        "CREATE" if create else "ALTER",
        role,
        scram_verifier(urlsplit(dsn).password or ""),
        service,
    )
    statements += await connection.fetchval(
        "SELECT string_agg(format('; ALTER ROLE %I SET %I = %L', $1::text, name, value), '')"
        " FROM unnest($2::text[], $3::text[]) AS setting (name, value)",
        role,
        list(sessions.ROLE),
        list(sessions.ROLE.values()),
    )
    if generation == FIRST_GENERATION:
        return statements
    comment: str = await connection.fetchval(
        "SELECT format('COMMENT ON ROLE %I IS %L', $1::text, $2::text)", role, f"password {generation}"
    )
    return f"{statements}; {comment}"


async def _prepare_schema(connection: "asyncpg.Connection[Any]", service: str, role: str) -> None:
    template = """
        CREATE SCHEMA IF NOT EXISTS %1$I;
        GRANT USAGE ON SCHEMA %1$I TO %2$I;
        GRANT USAGE ON SCHEMA platform TO %2$I;
        GRANT SELECT ON platform.clock, platform.migration, platform.function TO %2$I;
        GRANT SELECT ON platform.team, platform.api_client TO %2$I;
        GRANT INSERT ON platform.audit_entry TO %2$I;
        GRANT EXECUTE ON FUNCTION platform.set_clock(double precision, timestamptz, bigint) TO %2$I;
        GRANT EXECUTE ON FUNCTION platform.note_client_uses(uuid[], timestamptz[]) TO %2$I;
    """
    await _execute_formatted(connection, template + _WRITES_PLATFORM.get(service, ""), service, role)


async def _grant(connection: "asyncpg.Connection[Any]", service: str, role: str) -> None:
    template = """
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %1$I TO %2$I;
        GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %1$I TO %2$I;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %1$I TO %2$I;
    """
    await _execute_formatted(connection, template, service, role)


async def _execute_formatted(
    connection: "asyncpg.Connection[Any]", template: str, service: str, role: str
) -> None:
    statements = await connection.fetchval("SELECT format($1, $2::text, $3::text)", template, service, role)
    async with connection.transaction():
        await connection.execute(statements)


async def _apply(
    connection: "asyncpg.Connection[Any]", record: str, schema: str, migrations: list[Migration]
) -> None:
    """Applies to `schema` what `platform.migration` does not hold yet under the name `record`."""
    rows = await connection.fetch("SELECT number, sha256 FROM platform.migration WHERE service = $1", record)
    for migration in missing(record, migrations, {row["number"]: row["sha256"] for row in rows}):
        await _apply_one(connection, record, schema, migration)


def missing(record: str, migrations: list[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """Those of `migrations` that are not applied yet; `applied` has the checksums of those that are, by number.

    Raises MigrationError where a migration was applied that is not among them, or is another one now.
    """
    known = {migration.number for migration in migrations}
    if unknown := sorted(applied.keys() - known):
        raise MigrationError(
            f"the database has migration {unknown[-1]} of {record}, which this release does not know:"
            " start a release that is at least as new as the one that made it"
        )
    for migration in migrations:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise MigrationError(
                f"migration {migration.number:04d}_{migration.name} of {record} was changed after it was applied:"
                " put it back and add a new one"
            )
    return [migration for migration in migrations if migration.number not in applied]


async def _apply_one(
    connection: "asyncpg.Connection[Any]", record: str, schema: str, migration: Migration
) -> None:
    async with connection.transaction():
        await _enter(connection, schema)
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO platform.migration (service, number, name, sha256) VALUES ($1, $2, $3, $4)",
            record,
            migration.number,
            migration.name,
            migration.sha256,
        )
    _log.info("migrated", record=record, number=migration.number, name=migration.name)


async def _renew(
    connection: "asyncpg.Connection[Any]", record: str, schema: str, functions: list[Function]
) -> None:
    """Makes the functions whose text is not the one recorded under `record`, but for those of a newer version."""
    # What is recorded but gone, since a migration dropped it, counts as never made.
    rows = await connection.fetch(
        "SELECT f.name, f.version, f.sha256 FROM platform.function AS f WHERE f.service = $1 AND EXISTS ("
        " SELECT FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace"
        " WHERE n.nspname = $2 AND p.proname = f.name)",
        record,
        schema,
    )
    made = {row["name"]: (row["version"], row["sha256"]) for row in rows}
    changed = [function for function in functions if is_changed(function, made.get(function.name))]
    if not changed:
        return
    async with connection.transaction():
        await _enter(connection, schema)
        # They may call each other, in any order.
        await connection.execute("SET LOCAL check_function_bodies = off")
        for function in changed:
            await connection.execute(function.sql)
        await connection.executemany(
            "INSERT INTO platform.function (service, name, version, sha256) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (service, name) DO UPDATE"
            " SET version = excluded.version, sha256 = excluded.sha256, applied_at = clock_timestamp()",
            [(record, function.name, function.version, function.sha256) for function in changed],
        )
    _log.info("functions renewed", record=record, names=[function.name for function in changed])


def is_changed(function: Function, made: tuple[int, str] | None) -> bool:
    """Whether a function is to be made (again), given the version and the checksum of what is there."""
    if made is None:
        return True
    version, sha256 = made
    return version <= function.version and sha256 != function.sha256


async def _enter(connection: "asyncpg.Connection[Any]", schema: str) -> None:
    """Lets the running transaction make and find everything in one schema."""
    await connection.execute("SELECT set_config('search_path', quote_ident($1) || ', pg_temp', true)", schema)
