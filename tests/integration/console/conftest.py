"""The console before all five services, once for all its tests: each test has a team of its own, and a token of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

import omnijourney.client as oj
from libs.console.app import serving
from libs.console.config import ConsoleSettings
from libs.emulators.config import EmulatorSettings
from libs.emulators.server import Running, running
from libs.testing.fixtures import Databases, Servers
from omnijourney.common.v1.operations_service_pb2 import ListOperationsRequest
from omnijourney.common.v1.scope_pb2 import SCOPE_ADMIN, Scope
from omnijourney.segment.v1 import api_client_pb2
from tests.integration.console.browser import Browser
from tests.integration.journey.whole_site import ALL, Site, serving_site

WAIT_S = 60.0
EMULATED = ("line", "whatsapp")
"""Channels that answer; accounts of the others, and sinks, reach nobody."""


@dataclass
class Stand:
    """The console, the services behind it, and the team of this test."""

    url: str
    site: Site
    installation_token: str
    emulators: Running
    browsers: list[Browser] = field(default_factory=list)

    async def call(self, name: str, /, **fields: Any) -> Any:
        """See `Site.call`."""
        return await self.site.call(name, **fields)

    async def token(self, *scopes: Scope.ValueType, name: str = "Marketing") -> str:
        """Of a new client of the team."""
        made = await self.call(
            "CreateApiClient", api_client=api_client_pb2.ApiClient(name=name, scopes=scopes or (SCOPE_ADMIN,))
        )
        await self._until_known(str(made.token))
        return str(made.token)

    async def _until_known(self, token: str) -> None:
        """Every service hears of a new token within a moment."""
        targets: Any = {name.removesuffix("_target"): target for name, target in self.site.targets.items()}
        request = ListOperationsRequest(team_id=self.site.team_id)
        async with oj.AsyncClient(targets, token) as client, asyncio.timeout(WAIT_S):
            for service in targets:
                while not await _answers(client.operations(service).ListOperations, request):
                    await asyncio.sleep(0.02)

    def browser(self, language: str = "en") -> Browser:
        """Nobody's yet."""
        self.browsers.append(Browser(self.url, language))
        return self.browsers[-1]

    async def signed_in(self, *scopes: Scope.ValueType, language: str = "en") -> Browser:
        """Somebody's of the team."""
        browser = self.browser(language)
        name = f"Marketing {len(self.browsers)}"
        signed_in = await browser.sign_in(await self.token(*scopes, name=name))
        assert signed_in.status == 200, signed_in.text
        return browser


async def _answers(rpc: Any, request: Any) -> bool:
    try:
        await rpc(request)
    except oj.errors.UnauthenticatedError:
        return False
    return True


@asynccontextmanager
async def serving_console(servers: Servers, databases: Databases, folder: Path) -> AsyncIterator[Stand]:
    """The console and the services, without a team."""
    async with Redis.from_url(servers.redis_url, protocol=2) as redis:
        await redis.flushall()
    channels = EmulatorSettings(data_dir=folder / "emulators", line_port=0, whatsapp_port=0)
    async with running(channels, EMULATED) as emulators:
        of_gateway = {f"{name}_url": url for name, url in emulators.urls.items()}
        of_gateway["webhook_private_networks"] = "127.0.0.0/8"
        async with serving_site(servers, databases, with_stats=True, **of_gateway) as site:
            settings = ConsoleSettings(console_port=0, data_dir=folder).model_copy(update=site.targets)
            async with serving(settings) as url:
                yield Stand(url, site, servers.token, emulators)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def console(
    servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    """Once for all tests."""
    async with serving_console(servers, databases, tmp_path_factory.mktemp("console")) as stand:
        yield stand


@pytest_asyncio.fixture(loop_scope="package")
async def stand(console: Stand) -> AsyncIterator[Stand]:
    """The same with a new team."""
    await console.site.team(ALL)
    yield console
    for browser in console.browsers:
        await browser.http.close()
    console.browsers.clear()
