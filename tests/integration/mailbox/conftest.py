"""Servers for the mailboxes: Valkey from its wheel, Redis where it is installed, and a cluster of three."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from libs.common.mailbox import Mailbox, open_mailbox
from libs.testing import redis_servers
from libs.testing.mailbox_suite import Installation
from libs.testing.redis_servers import RedisServer


@pytest.fixture(scope="session", params=["valkey", "redis", "cluster"])
def servers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[RedisServer]]:
    """The servers of one installation."""
    directory = tmp_path_factory.mktemp("redis")
    if request.param == "cluster":
        with redis_servers.running_cluster(redis_servers.valkey_binary(), directory) as nodes:
            yield nodes
        return
    binary = redis_servers.valkey_binary() if request.param == "valkey" else redis_servers.redis_binary()
    if binary is None:
        pytest.skip("no redis-server on this machine")
    with redis_servers.running(binary, directory) as server:
        yield [server]


@pytest.fixture
def url(servers: list[RedisServer]) -> str:
    """Address of empty servers."""
    for server in servers:
        with server.client() as client:
            client.flushall()
    return servers[0].url if len(servers) == 1 else servers[0].url.replace("redis://", "redis+cluster://")


@pytest.fixture
async def installation(servers: list[RedisServer], url: str) -> AsyncIterator[Installation]:
    """Mailboxes on these servers."""
    async with AsyncExitStack() as stack:

        async def open_one() -> Mailbox:
            return await stack.enter_async_context(open_mailbox(url))

        async def wipe() -> None:
            for server in servers:
                with server.client() as client:
                    client.flushall()

        yield Installation(open_one, wipe)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may stop and start; it writes its data down when it is stopped."""
    with redis_servers.running(redis_servers.valkey_binary(), tmp_path, "--appendonly", "yes") as server:
        yield server


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[list[RedisServer]]:
    """A cluster that the test may stop and start."""
    with redis_servers.running_cluster(redis_servers.valkey_binary(), tmp_path) as nodes:
        yield nodes
