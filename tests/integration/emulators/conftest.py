"""Emulators on free ports, and a client that speaks to them as an adapter does."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

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
