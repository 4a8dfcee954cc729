"""All five services and the emulators, once for all tests of the whole path: each test has a team of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from redis.asyncio import Redis

from libs.common.db import requests
from libs.emulators.config import EmulatorSettings
from libs.emulators.server import running
from libs.testing.fixtures import Databases, Servers
from services.journey.worker import old_steps
from tests.integration.journey.whole_site import serving_site
from tests.integration.whole_path.stage import Stage


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def theatre(
    servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """The services, and whatever team comes next."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    settings = EmulatorSettings(
        whatsapp_port=0,
        line_port=0,
        messenger_port=0,
        instagram_port=0,
        data_dir=tmp_path_factory.mktemp("emulators"),
        whatsapp_rate=100_000,
        line_rate=100_000,
    )
    with pytest.MonkeyPatch.context() as patched:
        # Old rows are looked for while a test waits.
        patched.setattr(requests, "_FORGET_EVERY_S", 1.0)
        patched.setattr(old_steps, "ROUND_EVERY_S", 1.0)
        async for each in _serving(servers, databases, settings):
            yield each


async def _serving(
    servers: Servers, databases: Databases, settings: EmulatorSettings
) -> AsyncIterator[Stage]:
    async with (
        running(settings) as emulators,
        aiohttp.ClientSession() as http,
        serving_site(
            servers,
            databases,
            with_stats=True,
            line_url=emulators.urls["line"],
            whatsapp_url=emulators.urls["whatsapp"],
            webhook_private_networks="127.0.0.0/8",
        ) as site,
    ):
        yield Stage(site, emulators, http)


@pytest_asyncio.fixture(loop_scope="package")
async def stage(theatre: Stage) -> Stage:
    """The same with a new team."""
    await theatre.furnish()
    return theatre
