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
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from libs.common.config import ServiceSettings
from libs.common.rpc.client import channel
from libs.embedded import start_embedded
from libs.testing.databases import Database, Databases

__all__ = ["SECRET_KEY", "Database", "Databases", "Servers", "databases", "redis", "servers"]

# Tests look at what is committed, not at what survives a power cut.
_FAST_POSTGRES: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

SECRET_KEY: Final = secrets.token_hex(32)
"""What secrets at rest are encrypted with in this session's tests."""

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


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
        if "http_port" in settings.model_fields:
            values["http_port"] = 0
        return settings(**{**values, **changes})

    def channel(self, port: int) -> grpc.aio.Channel:
        """A channel with the right token to a service on this machine."""
        return channel(f"127.0.0.1:{port}", self.token)


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
