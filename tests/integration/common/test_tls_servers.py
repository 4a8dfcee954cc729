"""TLS to PostgreSQL and to Redis, on every connection of a service."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from pydantic import SecretStr

from libs.common.db.migrate import migrate
from libs.common.mailbox import open_mailbox
from libs.common.mailbox.errors import MailboxUnavailable
from libs.common.tls import Tls
from libs.supervisor.certificates import make_certificates
from libs.testing.fixtures import Database, Servers
from libs.testing.tls_front import TlsFront
from tests.integration.common.conftest import PACKAGE
from tests.integration.common.diary.app import Settings, app


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A certificate `server` by one authority; `other/ca.pem` is another authority."""
    for directory in (tmp_path, tmp_path / "other"):
        make_certificates(directory, ("server",), "127.0.0.1")
    return tmp_path


def _moved(address: str, port: int, query: str = "") -> str:
    parts = urlsplit(address)
    head = parts.netloc.rpartition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{head}:{port}", query=query))


def _port(address: str) -> int:
    port = urlsplit(address).port
    assert port is not None
    return port


def _context(files: Path) -> ssl.SSLContext:
    return Tls(None, files / "server.pem", files / "server.key").server_context()


async def test_a_service_and_its_migration_reach_postgresql_by_tls_alone(
    servers: Servers, database: Database, files: Path
) -> None:
    upstream = _port(database.admin_dsn)
    async with TlsFront.running(upstream, _context(files), postgres=True) as front:
        verified = f"sslmode=verify-full&sslrootcert={files / 'ca.pem'}"
        own = await migrate(_moved(database.admin_dsn, front.port, verified), "diary", PACKAGE)
        assert urlsplit(own.dsn).query == verified
        settings = servers.settings(Settings, database, postgres_dsn=SecretStr(own.dsn))
        async with app(settings):
            assert front.served >= 4  # migration, pool, clock, clients
        other = f"sslmode=verify-full&sslrootcert={files / 'other' / 'ca.pem'}"
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncpg.connect(_moved(own.dsn, front.port, other))


async def test_mailboxes_are_reached_by_tls_and_their_server_is_verified(
    servers: Servers, files: Path
) -> None:
    async with TlsFront.running(_port(servers.redis_url), _context(files)) as front:
        url = _moved(servers.redis_url, front.port).replace("redis://", "rediss://")
        async with open_mailbox(Tls(files / "ca.pem").of_redis(url)):
            assert front.served > 0
        with pytest.raises(MailboxUnavailable):
            async with open_mailbox(Tls(files / "other" / "ca.pem").of_redis(url)):
                pass
