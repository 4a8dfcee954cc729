"""pytest fixtures: PostgreSQL and Valkey once a session, a database of its own for each test.

Loaded by `pytest_plugins` in `tests/conftest.py`. A service's integration tests say in their `conftest.py`:

    @pytest.fixture
    async def database(databases: Databases) -> AsyncIterator[Database]:
        async with databases.fresh({"points": "services.points"}) as database:
            yield database

and start the real service in the test's own process, on free ports:

    async with app(servers.settings(Settings, database)) as serving, servers.channel(serving.port) as channel:
        stub = PointsServiceStub(channel)
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import grpc
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from libs.common.config import ServiceSettings
from libs.common.db.migrate import migrate
from libs.common.db.roles import service_dsn
from libs.common.rpc.client import channel
from libs.embedded import start_embedded

# Tests look at what is committed, not at what survives a power cut.
_FAST_POSTGRES: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

SECRET_KEY: Final = secrets.token_hex(32)
"""What secrets at rest are encrypted with in this session's tests."""

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Database:
    """A database of one test."""

    admin_dsn: str

    def dsn_of(self, service: str) -> str:
        """Its address under a service's own role."""
        return service_dsn(self.admin_dsn, service)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of the test session."""

    postgres_dsn: str
    redis_url: str
    token: str

    def settings(self, settings: type[SettingsT], database: Database, **changes: Any) -> SettingsT:
        """A service's settings for these servers and a test's database, under its own role, on free ports."""
        values: dict[str, Any] = {
            "postgres_dsn": SecretStr(database.dsn_of(settings.service)),
            "redis_url": SecretStr(self.redis_url),
            "token": SecretStr(self.token),
            "port": 0,
            "metrics_port": 0,
            "clock_control": "on",
        }
        if "secret_keys" in settings.model_fields:
            values["secret_keys"] = SecretStr(SECRET_KEY)
        return settings(**{**values, **changes})

    def channel(self, port: int) -> grpc.aio.Channel:
        """A channel with the right token to a service on this machine."""
        return channel(f"127.0.0.1:{port}", self.token)


class Databases:
    """Makes databases: each set of services is migrated once into a template, and cloned for each test."""

    def __init__(self, postgres_dsn: str) -> None:
        """`postgres_dsn` of the admin role."""
        self._dsn = postgres_dsn
        self._made = 0
        self._templates: dict[tuple[tuple[str, str], ...], str] = {}

    @contextlib.asynccontextmanager
    async def fresh(self, packages: Mapping[str, str]) -> AsyncIterator[Database]:
        """A database with the schemas of the services given (service -> package), dropped when the context ends."""
        template = await self._template(tuple(sorted(packages.items())))
        name = self._next_name("test")
        await self._administer(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        try:
            yield Database(self._dsn_of(name))
        finally:
            await self._administer(f'DROP DATABASE "{name}" WITH (FORCE)')

    async def _template(self, packages: tuple[tuple[str, str], ...]) -> str:
        if packages not in self._templates:
            name = self._next_name("template")
            await self._administer(f'CREATE DATABASE "{name}"')
            for service, package in packages:
                await migrate(self._dsn_of(name), service, package)
            self._templates[packages] = name
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


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """PostgreSQL and Valkey for the whole session."""
    embedded = asyncio.run(
        start_embedded(tmp_path_factory.mktemp("servers"), postgres_settings=_FAST_POSTGRES)
    )
    try:
        yield Servers(embedded.postgres_dsn, embedded.redis_url, embedded.token)
    finally:
        asyncio.run(embedded.stop())


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Databases:
    """Makes databases on the session's PostgreSQL."""
    return Databases(servers.postgres_dsn)


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    """The session's Valkey, emptied of what earlier tests left."""
    client = Redis.from_url(servers.redis_url, protocol=2)
    await client.flushall()
    try:
        yield client
    finally:
        await client.aclose()
