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
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

import asyncpg
import grpc
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from libs.common.config import ServiceSettings
from libs.common.db import roles
from libs.common.rpc.client import channel
from libs.embedded import start_embedded
from libs.testing.databases import Database, Databases
from libs.testing.pooler import running_pooler
from libs.testing.redis_servers import running

__all__ = ["SECRET_KEY", "Database", "Databases", "Servers", "databases", "redis", "servers"]

# Tests look at what is committed, not at what survives a power cut.
_FAST_POSTGRES: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

_SERVICES_OF_TESTS: Final = ("diary", "ledger")

SECRET_KEY: Final = secrets.token_hex(32)
"""What secrets at rest are encrypted with in this session's tests."""

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of the test session."""

    postgres_dsn: str
    redis_url: str
    token: str
    pooler: str = ""
    """Address of the PgBouncer that services go by; empty: none."""

    def settings(self, settings: type[SettingsT], database: Database, **changes: Any) -> SettingsT:
        """A service's settings for these servers and a test's database, under its own role, on free ports."""
        values: dict[str, Any] = {
            "postgres_dsn": SecretStr(database.dsn_of(settings.service)),
            "redis_url": SecretStr(self.redis_url),
            "token": SecretStr(self.token),
            "port": 0,
            "metrics_port": 0,
            "clock_control": "on",
            "pooler_address": self.pooler,
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
    """PostgreSQL and Valkey for the whole session, or others that `make matrix` names: `OMNIJOURNEY_TEST_POSTGRES` (a
    major version), `OMNIJOURNEY_TEST_REDIS` (a program), `OMNIJOURNEY_TEST_POOLER` (a PgBouncer stands before)."""
    major, program = os.environ.get("OMNIJOURNEY_TEST_POSTGRES"), os.environ.get("OMNIJOURNEY_TEST_REDIS")
    with contextlib.ExitStack() as stack:
        folder = tmp_path_factory.mktemp("servers")
        # Tens of thousands of files: pytest would remove them at the end of a later run, while nothing else works.
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        embedded = asyncio.run(
            start_embedded(
                folder,
                valkey=not program,
                postgres_settings=_FAST_POSTGRES,
                postgres_major=int(major) if major else None,
            )
        )
        stack.callback(lambda: asyncio.run(embedded.stop()))
        # A test opens a dozen connections, and hashing a password thousands of times is half of what each costs.
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(roles, "_SCRAM_ITERATIONS", 1)
        asyncio.run(_hash_password_again(embedded.postgres_dsn))
        redis_url, pooler = embedded.redis_url, ""
        if program:
            started = running(Path(program), tmp_path_factory.mktemp("redis"))
            redis_url = stack.enter_context(started).url
        if os.environ.get("OMNIJOURNEY_TEST_POOLER"):
            open_to_others = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            open_to_others.chmod(0o755)
            pooler = stack.enter_context(
                running_pooler(open_to_others, embedded.postgres_dsn, _SERVICES_OF_TESTS)
            )
        # The server speaks no TLS: a client that asks for it first pays a round trip and a context of certificates.
        dsn = f"{embedded.postgres_dsn}?sslmode=disable"
        yield Servers(dsn, redis_url, embedded.token, pooler)


async def _hash_password_again(dsn: str) -> None:
    """Of the admin role, hashed as roles of services are from now on."""
    verifier = roles.scram_verifier(unquote(urlsplit(dsn).password or ""))
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f"ALTER ROLE CURRENT_USER PASSWORD '{verifier}'")
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Databases:
    """Makes databases on the session's PostgreSQL."""
    return Databases(servers.postgres_dsn, servers.redis_url)


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    """The session's Valkey, emptied of what earlier tests left."""
    client = Redis.from_url(servers.redis_url, protocol=2)
    await client.flushall()
    try:
        yield client
    finally:
        await client.aclose()
