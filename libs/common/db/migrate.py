"""Migrations, roles and schemas.

Each service has a schema and a login role of its own; the admin role owns everything in it. `migrate` brings both up to
the release: forward only, once, under an advisory lock, so that any number of processes may start at once. A file that
was applied never changes again; its checksum is compared at every start.
"""

import asyncio
import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg
import structlog

from libs.common.db.pool import CONNECT_TIMEOUT_S

_PLATFORM: Final = "platform"
_LOCK_KEY: Final = 0x6F6D6E696A6F7572
"""Any constant; one lock for all migrations of a database."""
_LOCK_TIMEOUT_S: Final = 120.0
_FILE: Final = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_SERVICE: Final = re.compile(r"[a-z][a-z_]{0,30}")
_ROLE_PREFIX: Final = "omnijourney_"
_ROLE_ATTEMPTS: Final = 5
_SCRAM_ITERATIONS: Final = 4096

_log = structlog.get_logger(__name__)


class MigrationError(Exception):
    """The database and this release do not fit; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of SQL."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(package: str, directory: str) -> list[Migration]:
    """The migrations in a directory of an importable package, by number.

    Raises MigrationError for a file of another form and for numbers that are not 1, 2, 3, ….
    """
    folder = resources.files(package).joinpath(directory)
    if not folder.is_dir():
        raise MigrationError(f"{package} has no directory {directory}")
    found: list[Migration] = []
    for file in folder.iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
        elif file.name.endswith(".sql"):
            raise MigrationError(f"{package}/{directory}/{file.name} is not named like 0001_what_it_does.sql")
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"the numbers in {package}/{directory} are not 1, 2, 3, … once each")
    return found


def role_of(service: str) -> str:
    """The login role of a service."""
    if not _SERVICE.fullmatch(service) or service == _PLATFORM:
        raise MigrationError(f"{service!r} is no name of a service")
    return _ROLE_PREFIX + service


def service_dsn(admin_dsn: str, service: str) -> str:
    """The address under which a service logs in as its own role.

    Its password is derived from the admin's, so that none has to be configured or stored. Raises MigrationError when
    `admin_dsn` is no address `postgresql://user:password@host…/database`.
    """
    parts = urlsplit(admin_dsn)
    host = parts.netloc.rpartition("@")[2]
    user = f"{quote(role_of(service))}:{_service_password(admin_dsn, service)}"
    return urlunsplit(parts._replace(netloc=f"{user}@{host}"))


def _service_password(admin_dsn: str, service: str) -> str:
    parts = urlsplit(admin_dsn)
    if parts.scheme not in {"postgres", "postgresql"} or not parts.password:
        raise MigrationError("the database's address must be postgresql://user:password@host/database")
    key = unquote(parts.password).encode()
    return hmac.new(key, f"omnijourney:{service}".encode(), hashlib.sha256).hexdigest()


async def migrate(admin_dsn: str, service: str, package: str) -> None:
    """Makes the service's role and schema and applies what is missing of `package`'s `sql/migrations`.

    Safe with many processes at once. Raises MigrationError, and the driver's errors when the server cannot be reached.
    """
    role = role_of(service)
    password = _service_password(admin_dsn, service)
    own = read_migrations(package, "sql/migrations")
    connection = await asyncpg.connect(admin_dsn, timeout=CONNECT_TIMEOUT_S)
    try:
        await asyncio.wait_for(connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY), _LOCK_TIMEOUT_S)
        await _prepare_platform(connection)
        await _prepare_role(connection, role, password)
        await _prepare_schema(connection, service, role)
        shared = read_migrations("libs.common.db", "shared_migrations")
        await _apply(connection, f"{service}/shared", service, shared)
        await _apply(connection, service, service, own)
        await _grant(connection, service, role)
    except TimeoutError as error:
        raise MigrationError(f"another process has migrated for over {_LOCK_TIMEOUT_S:.0f} s") from error
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
    await _apply(connection, _PLATFORM, _PLATFORM, read_migrations("libs.common.db", "platform_migrations"))


async def _prepare_role(connection: "asyncpg.Connection[Any]", role: str, password: str) -> None:
    # Roles belong to the whole server, the lock to one database: another database may be making the same role.
    for attempt in range(1, _ROLE_ATTEMPTS + 1):
        try:
            exists = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            statements = await _role_statements(connection, role, password, create=not exists)
            await connection.execute(statements)
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateObjectError, asyncpg.InternalServerError):
            if attempt == _ROLE_ATTEMPTS:
                raise
            await asyncio.sleep(0.05 * attempt)
        else:
            return


async def _role_statements(
    connection: "asyncpg.Connection[Any]", role: str, password: str, *, create: bool
) -> str:
    # Role commands take no parameters; format() quotes. The verifier, not the password, is sent, since servers may log
    # these statements.
    statements: str = await connection.fetchval(
        "SELECT format('%1$s ROLE %2$I WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD %3$L;"
        " ALTER ROLE %2$I SET search_path = %4$I, pg_temp', $1::text, $2::text, $3::text, $4::text)",
        "CREATE" if create else "ALTER",
        role,
        _scram_verifier(password),
        role.removeprefix(_ROLE_PREFIX),
    )
    return statements


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
        GRANT SELECT ON platform.clock TO %2$I;
        GRANT EXECUTE ON FUNCTION platform.set_clock(double precision, timestamptz, bigint) TO %2$I;
    """
    await _execute_formatted(connection, template, service, role)


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
    applied = {
        row["number"]: row
        for row in await connection.fetch(
            "SELECT number, name, sha256 FROM platform.migration WHERE service = $1", record
        )
    }
    known = {migration.number for migration in migrations}
    if unknown := sorted(applied.keys() - known):
        raise MigrationError(
            f"the database has migration {unknown[-1]} of {record}, which this release does not know:"
            " start a release that is at least as new as the one that made it"
        )
    for migration in migrations:
        if migration.number not in applied:
            await _apply_one(connection, record, schema, migration)
        elif applied[migration.number]["sha256"] != migration.sha256:
            raise MigrationError(
                f"migration {migration.number:04d}_{migration.name} of {record} was changed after it was applied:"
                " put it back and add a new one"
            )


async def _apply_one(
    connection: "asyncpg.Connection[Any]", record: str, schema: str, migration: Migration
) -> None:
    async with connection.transaction():
        await connection.execute(
            "SELECT set_config('search_path', quote_ident($1) || ', pg_temp', true)", schema
        )
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO platform.migration (service, number, name, sha256) VALUES ($1, $2, $3, $4)",
            record,
            migration.number,
            migration.name,
            migration.sha256,
        )
    _log.info("migrated", record=record, number=migration.number, name=migration.name)
