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
import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg
import structlog

from libs.common.config import DEFAULT_PORTS
from libs.common.db.pool import CONNECT_TIMEOUT_S
from libs.common.db.sql_files import Function, Migration, MigrationError, read_functions, read_migrations

PLATFORM: Final = "platform"
COMMON: Final = "libs.common.db"
_LOCK_KEY: Final = 0x6F6D6E696A6F7572
"""Any constant; one lock for all migrations of a database."""
_LOCK_TIMEOUT_S: Final = 120.0
_SERVICE: Final = re.compile(r"[a-z][a-z_]{0,30}")
_ROLE_PREFIX: Final = "omnijourney_"
_ROLE_ATTEMPTS: Final = 5
_SCRAM_ITERATIONS: Final = 4096
FIRST_GENERATION: Final = 1
"""Of a role's password; every rotation makes the next."""
_GENERATION: Final = re.compile(r"password ([1-9][0-9]{0,8})")
# What a service may change of the platform's tables: segment serves the RPCs of API clients. It can neither make a
# client of configuration nor turn one into it.
_WRITES_PLATFORM: Final = {
    "segment": """
        GRANT INSERT (api_client_id, team_id, name, name_folded, scopes, token_sha256, expire_at),
              UPDATE (name, name_folded, scopes, token_sha256, old_token_sha256, old_token_expire_at, expire_at,
                      revoked_at)
           ON platform.api_client TO %2$I;
    """
}

_log = structlog.get_logger(__name__)


def role_of(service: str) -> str:
    """The login role of a service."""
    if not _SERVICE.fullmatch(service) or service == PLATFORM:
        raise MigrationError(f"{service!r} is no name of a service")
    return _ROLE_PREFIX + service


def is_own(dsn: str, service: str) -> bool:
    """Whether an address is that of the service's own role, and not the owner's. Raises MigrationError for that of
    another service's role."""
    user = unquote(urlsplit(dsn).username or "")
    if user != role_of(service) and user.removeprefix(_ROLE_PREFIX) in DEFAULT_PORTS:
        raise MigrationError(f"the database's address is of {user}: {service} logs in as {role_of(service)}")
    return user == role_of(service)


def service_dsn(admin_dsn: str, service: str, generation: int = FIRST_GENERATION) -> str:
    """The address under which a service logs in as its own role, with the password of a generation.

    The password is derived from the admin's, so that all who hold the admin's address agree on it without storing it.
    Raises MigrationError when `admin_dsn` is no address `postgresql://user:password@host…/database`.
    """
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    user = f"{quote(role_of(service))}:{_service_password(admin_dsn, service, generation)}"
    return urlunsplit(parts._replace(netloc=f"{user}@{host}"))


def _service_password(admin_dsn: str, service: str, generation: int) -> str:
    parts = urlsplit(admin_dsn)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.password:
        raise MigrationError("the database's address must be postgresql://user:password@host/database")
    key = unquote(parts.password).encode()
    later = f":{generation}" if generation > FIRST_GENERATION else ""
    return hmac.new(key, f"omnijourney:{service}{later}".encode(), hashlib.sha256).hexdigest()


async def migrate(admin_dsn: str, service: str, package: str, *, rotate: bool = False) -> str:
    """Makes the service's role and schema and applies what is missing of `package`'s migrations and functions; returns
    the address of the service's own role. `rotate` gives the role a new password.

    They stand in `sql/migrations` and `sql/functions`.
    Safe with many processes at once. Raises MigrationError, and the driver's errors when the server cannot be reached.
    """
    role = role_of(service)
    _service_password(
        admin_dsn, service, FIRST_GENERATION
    )  # a faulty address is refused before anything is done
    own = read_migrations(package, "sql/migrations")
    functions = read_functions(package, "sql/functions")
    connection = await asyncpg.connect(admin_dsn, timeout=CONNECT_TIMEOUT_S)
    try:
        await asyncio.wait_for(connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY), _LOCK_TIMEOUT_S)
        await _prepare_platform(connection)
        dsn = await _prepare_role(connection, admin_dsn, service, rotate=rotate)
        await _prepare_schema(connection, service, role)
        shared = read_migrations(COMMON, "shared_migrations")
        await _apply(connection, f"{service}/shared", service, shared)
        await _apply(connection, service, service, own)
        await _renew(connection, f"{service}/shared", service, read_functions(COMMON, "shared_functions"))
        await _renew(connection, service, service, functions)
        await _grant(connection, service, role)
    except TimeoutError as error:
        raise MigrationError(f"another process has migrated for over {_LOCK_TIMEOUT_S:.0f} s") from error
    else:
        return dsn
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


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
) -> str:
    """Makes the role, or gives it the password that it has to have; returns its address."""
    role = role_of(service)
    # Roles belong to the whole server, the lock to one database: another database may be making the same role.
    for attempt in range(1, _ROLE_ATTEMPTS + 1):
        try:
            generation = await _generation(connection, role)
            exists, generation = bool(generation), (generation or FIRST_GENERATION) + rotate
            dsn = service_dsn(admin_dsn, service, generation)
            statements = await _role_statements(connection, role, dsn, generation, create=not exists)
            await connection.execute(statements)
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.InternalServerError):
            if attempt == _ROLE_ATTEMPTS:
                raise
            await asyncio.sleep(0.05 * attempt)
        else:
            return dsn
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
    connection: "asyncpg.Connection[Any]", role: str, dsn: str, generation: int, *, create: bool
) -> str:
    # Role commands take no parameters; format() quotes. The verifier, not the password, is sent, since servers may log
    # these statements.
    statements: str = await connection.fetchval(
        "SELECT format('%1$s ROLE %2$I WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD %3$L;"
        " ALTER ROLE %2$I SET search_path = %4$I, pg_temp', $1::text, $2::text, $3::text, $4::text)",
        "CREATE" if create else "ALTER",
        role,
        _scram_verifier(urlsplit(dsn).password or ""),
        role.removeprefix(_ROLE_PREFIX),
    )
    if generation == FIRST_GENERATION:
        return statements
    comment: str = await connection.fetchval(
        "SELECT format('COMMENT ON ROLE %I IS %L', $1::text, $2::text)", role, f"password {generation}"
    )
    return f"{statements}; {comment}"


def _scram_verifier(password: str) -> str:
    """What PostgreSQL stores of a password (RFC 5802, as in its `scram_build_secret`).

    The salt is derived, so that every start stores the same; the password is 256 random-looking bits already.
    """
    salt = hashlib.sha256(b"omnijourney salt:" + password.encode()).digest()[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _SCRAM_ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = base64.b64encode(hashlib.sha256(client_key).digest()).decode()
    server_key = base64.b64encode(hmac.digest(salted, b"Server Key", "sha256")).decode()
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{base64.b64encode(salt).decode()}${stored_key}:{server_key}"


async def _prepare_schema(connection: "asyncpg.Connection[Any]", service: str, role: str) -> None:
    template = """
        CREATE SCHEMA IF NOT EXISTS %1$I;
        GRANT USAGE ON SCHEMA %1$I TO %2$I;
        GRANT USAGE ON SCHEMA platform TO %2$I;
        GRANT SELECT ON platform.clock, platform.migration, platform.function TO %2$I;
        GRANT SELECT ON platform.team, platform.api_client TO %2$I;
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
