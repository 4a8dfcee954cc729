"""Databases of tests: each set of services is migrated once into a template, and a clone of it serves test after test.

A clone costs some tenths of a CPU second to make, to open first and to drop; to empty it costs a few milliseconds. So
one that only rows were written to is emptied and used again; one whose definitions a test changed, or that has grown,
is dropped.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from redis.asyncio import Redis

from libs.common.db.migrate import migrate
from libs.common.db.roles import service_dsn
from libs.common.mailbox.owner import OWNER_KEY

_GROWN_BYTES: Final = 16_000_000
"""More than its template: dropped. Rows that were deleted leave their room behind."""

_PREPARE: Final = """
CREATE SCHEMA testing;
CREATE TABLE testing.changed_definition (command text NOT NULL);
CREATE TABLE testing.kept_table (number int PRIMARY KEY, name text NOT NULL, columns text NOT NULL);
CREATE TABLE testing.kept_sequence (name text NOT NULL, last_value bigint NOT NULL, is_called boolean NOT NULL);

DO $keep$
DECLARE
    each record;
    filled boolean;
    called boolean;
    last bigint;
    number int := 0;
BEGIN
    FOR each IN
        SELECT c.oid, c.oid::regclass::text AS name, c.relkind FROM pg_class c
        WHERE c.relkind IN ('r', 'S') AND c.relnamespace::regnamespace::text NOT IN
            ('testing', 'pg_catalog', 'information_schema', 'pg_toast')
    LOOP
        IF each.relkind = 'S' THEN
            EXECUTE format('SELECT last_value, is_called FROM %s', each.name) INTO last, called;
            INSERT INTO testing.kept_sequence VALUES (each.name, last, called);
            CONTINUE;
        END IF;
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', each.name) INTO filled;
        IF filled THEN
            number := number + 1;
            EXECUTE format('CREATE TABLE testing.rows_%s AS TABLE %s', number, each.name);
            INSERT INTO testing.kept_table
            SELECT number, each.name, string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = each.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
        END IF;
    END LOOP;
END
$keep$;

CREATE FUNCTION testing.note_definition() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $note$
BEGIN
    INSERT INTO testing.changed_definition VALUES (tg_tag);
END
$note$;

-- Whether the database is again as its template; it is not where definitions were changed.
CREATE FUNCTION testing.empty() RETURNS boolean LANGUAGE plpgsql AS $empty$
DECLARE
    each record;
BEGIN
    IF EXISTS (SELECT FROM testing.changed_definition) THEN
        RETURN false;
    END IF;
    SET LOCAL session_replication_role = replica;  -- what a trigger or a foreign key forbids is allowed here
    FOR each IN
        SELECT c.oid::regclass::text AS name FROM pg_class c
        WHERE c.relkind = 'r' AND c.relnamespace::regnamespace::text NOT IN
            ('testing', 'pg_catalog', 'information_schema') AND pg_relation_size(c.oid) > 0
    LOOP
        EXECUTE 'DELETE FROM ' || each.name;
    END LOOP;
    FOR each IN SELECT number, name, columns FROM testing.kept_table LOOP
        EXECUTE format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM testing.rows_%s',
            each.name, each.columns, each.columns, each.number);
    END LOOP;
    PERFORM setval(name::regclass, last_value, is_called) FROM testing.kept_sequence;
    RETURN true;
END
$empty$;

CREATE EVENT TRIGGER note_definition ON ddl_command_end EXECUTE FUNCTION testing.note_definition();
ALTER EVENT TRIGGER note_definition ENABLE ALWAYS;  -- also for sessions that pretend to be replicas
"""

_EMPTY: Final = """
SELECT (SELECT testing.empty()) AND pg_database_size(current_database()) < $1
"""

_END_SESSIONS: Final = """
SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE datname = $1
"""
"""Waits until each has ended."""

Packages = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Database:
    """A database of one test."""

    admin_dsn: str

    def dsn_of(self, service: str) -> str:
        """Its address under a service's own role."""
        return service_dsn(self.admin_dsn, service)


@dataclass(slots=True)
class _Template:
    name: str
    bytes_max: int
    """Of a clone that is used again."""
    spare: list[str] = field(default_factory=list)
    """Clones that are as the template."""


class Databases:
    """Lends databases to tests. For one thread's event loops."""

    def __init__(self, postgres_dsn: str, redis_url: str = "") -> None:
        """`postgres_dsn` of the admin role; `redis_url` of a Redis that is one database's after the other."""
        self._dsn = postgres_dsn
        self._redis_url = redis_url
        self._made = 0
        self._templates: dict[Packages, _Template] = {}

    @contextlib.asynccontextmanager
    async def fresh(self, packages: Mapping[str, str]) -> AsyncIterator[Database]:
        """A database as the migrations of the services given (service -> package) leave it, until the context ends.

        What is connected to it then is cut off.
        """
        template = await self._template(tuple(sorted(packages.items())))
        name = template.spare.pop() if template.spare else await self._clone(template)
        await self._free_redis()
        try:
            yield Database(self._dsn_of(name))
        finally:
            await self._take_back(name, template)

    async def _free_redis(self) -> None:
        """Services on a database of a test would find the Redis to be of the one before."""
        if self._redis_url:
            async with Redis.from_url(self._redis_url, protocol=2) as redis:
                await redis.delete(OWNER_KEY)

    async def _clone(self, template: _Template) -> str:
        name = self._next_name("test")
        await self._administer(f'CREATE DATABASE "{name}" TEMPLATE "{template.name}"')
        return name

    async def _take_back(self, name: str, template: _Template) -> None:
        renamed = self._next_name("test")  # whatever a test left running finds no database
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.fetchval(_END_SESSIONS, name)
            await connection.execute(f'ALTER DATABASE "{name}" RENAME TO "{renamed}"')
        finally:
            await connection.close()
        emptied = False
        try:
            emptied = await self._emptied(renamed, template)
        finally:
            if not emptied:
                await self._administer(f'DROP DATABASE "{renamed}" WITH (FORCE)')
        if emptied:
            template.spare.append(renamed)

    async def _emptied(self, name: str, template: _Template) -> bool:
        connection = await asyncpg.connect(self._dsn_of(name))
        try:
            return bool(await connection.fetchval(_EMPTY, template.bytes_max))
        finally:
            await connection.close()

    async def _template(self, packages: Packages) -> _Template:
        if packages not in self._templates:
            name = self._next_name("template")
            await self._administer(f'CREATE DATABASE "{name}"')
            for service, package in packages:
                await migrate(self._dsn_of(name), service, package)
            connection = await asyncpg.connect(self._dsn_of(name))
            try:
                await connection.execute(_PREPARE)
                size = await connection.fetchval("SELECT pg_database_size(current_database())")
            finally:
                await connection.close()
            self._templates[packages] = _Template(name, size + _GROWN_BYTES)
        return self._templates[packages]

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _next_name(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._made}"

    def _dsn_of(self, name: str) -> str:
        return urlunsplit(urlsplit(self._dsn)._replace(path=f"/{name}"))
