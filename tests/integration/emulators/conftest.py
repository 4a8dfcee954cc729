"""Emulators on free ports, and a client that speaks to them as an adapter does."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from aiohttp import web

from libs.emulators.base import Emulator
from libs.emulators.clock import EmulatorClock
from libs.emulators.config import EmulatorSettings
from libs.emulators.server import CHANNELS, Running, running


@pytest.fixture
def emulator_settings(tmp_path: Path) -> EmulatorSettings:
    """Free ports and a directory of the test's own."""
    ports: dict[str, Any] = {f"{channel}_port": 0 for channel in CHANNELS}
    return EmulatorSettings(**ports, data_dir=tmp_path, token="secret")


@pytest.fixture
async def emulators(emulator_settings: EmulatorSettings) -> AsyncIterator[Running]:
    """All emulators, served."""
    async with running(emulator_settings, clock=EmulatorClock()) as result:
        yield result


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client with the emulators' token."""
    headers = {"Authorization": "Bearer secret"}
    async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


async def answer_of(response: Any) -> tuple[int, Any]:
    """Status and JSON of a request."""
    async with response as answer:
        return answer.status, await answer.json()


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


class Exchange(NamedTuple):
    """A request that reached an emulator, and its answer."""

    channel: str
    method: str
    route: str
    """As the emulator has it."""
    path: str
    body: Any
    """None where it was no JSON."""
    status: int
    answer: Any


@pytest.fixture
def exchanges(monkeypatch: pytest.MonkeyPatch) -> list[Exchange]:
    """What goes through the emulators that start after this, their own endpoints apart."""
    seen: list[Exchange] = []
    app_of = Emulator.app

    def recorded(self: Emulator) -> web.Application:
        @web.middleware
        async def record(request: web.Request, handler: Any) -> web.StreamResponse:
            answer: web.StreamResponse = await handler(request)
            resource = request.match_info.route.resource
            assert isinstance(answer, web.Response)
            assert resource is not None, request.path
            if not request.path.startswith("/_emulator/"):
                body, told = _json(await request.read()), _json(answer.body)
                method, route = request.method.lower(), resource.canonical
                seen.append(Exchange(self.channel, method, route, request.path, body, answer.status, told))
            return answer

        app = app_of(self)
        app.middlewares.insert(0, record)
        return app

    monkeypatch.setattr(Emulator, "app", recorded)
    return seen


@asynccontextmanager
async def heard_by(http: aiohttp.ClientSession, url: str) -> AsyncIterator[list[Any]]:
    """Somebody who takes the webhooks of the emulator at `url`; gives their bodies."""
    bodies: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return web.Response()

    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        aim = {"url": f"http://127.0.0.1:{runner.addresses[0][1]}/", "secret": "secret"}
        assert (await answer_of(http.post(f"{url}/_emulator/webhooks", json=aim)))[0] == 200
        yield bodies
    finally:
        await runner.cleanup()
