"""What compose, the units and the chart start, without Docker, systemd and a cluster: each one's command line, with
exactly the environment that it is given there, against one PostgreSQL and one Valkey."""

from __future__ import annotations

import asyncio
import http
import importlib.util
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from libs.client.services import SERVICES
from libs.embedded.ports import free_port
from libs.embedded.servers import Embedded, start_embedded
from libs.testing.fixtures import SECRET_KEY
from tests.deployments import CONSOLE, MIGRATE, Filled, Process, chart, compose, units
from tools.paths import ROOT

PASSWORD: Final = "p@ss/w:rd?#%41"
ENDS_WITHIN_S: Final = 100.0
needs_helm = pytest.mark.skipif(
    importlib.util.find_spec("helm_python") is None, reason="Helm's library is not installed: make chart"
)


@pytest.fixture(scope="module")
def filled() -> Iterator[Filled]:
    """A PostgreSQL whose owner has a password of odd characters, and a Valkey."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        Path(made).chmod(0o755)
        embedded = asyncio.run(start_embedded(Path(made) / "data", postgres_settings={"fsync": "off"}))
        try:
            yield asyncio.run(_filled(embedded))
        finally:
            asyncio.run(embedded.stop())


async def _filled(embedded: Embedded) -> Filled:
    connection = await asyncpg.connect(embedded.postgres_dsn)
    quoted = await connection.fetchval("SELECT quote_literal($1)", PASSWORD)
    await connection.execute(f"ALTER ROLE omnijourney PASSWORD {quoted}")
    await connection.close()
    dsn = f"postgresql://omnijourney@127.0.0.1:{urlsplit(embedded.postgres_dsn).port}/omnijourney"
    return Filled(dsn, PASSWORD, "first", embedded.redis_url, SECRET_KEY)


def _environment(process: Process, folder: Path) -> dict[str, str]:
    """What the process is given, with this machine's places and free ports."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("OMNIJOURNEY_")}
    here = {"OMNIJOURNEY_CREDENTIALS_FILE": str(folder / process.credentials)} if process.credentials else {}
    if process.name in SERVICES:
        here |= {f"OMNIJOURNEY_{process.name.upper()}_PORT": "0", "OMNIJOURNEY_BIND_HOST": "127.0.0.1"}
    if process.name == "channel_gateway":
        here["OMNIJOURNEY_HTTP_PORT"] = "0"
    if process.name == CONSOLE:
        here = {"OMNIJOURNEY_DATA_DIR": str(folder / "console"), "OMNIJOURNEY_BIND_HOST": "127.0.0.1"}
    if process.name == "emulators":
        channels = ("LINE", "WHATSAPP", "MESSENGER", "INSTAGRAM")
        here = {f"OMNIJOURNEY_EMULATOR_{channel}_PORT": "0" for channel in channels}
        here["OMNIJOURNEY_EMULATOR_DATA_DIR"] = str(folder / "emulators")
    return {**own, **process.environment, **here}


async def _run(process: Process, folder: Path, command: Sequence[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        cwd=ROOT,
        env=_environment(process, folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def _migrate(process: Process, folder: Path) -> None:
    """Writes the credentials files into `folder`."""
    before = process.command.index("--credentials-dir")
    running = await _run(process, folder, [*process.command[: before + 1], str(folder)])
    said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()


async def _starts(process: Process, folder: Path) -> None:
    """Starts its command, waits until it serves, asks its health as it is asked there, and stops it."""
    running = await _run(process, folder, process.command)
    assert running.stdout is not None
    said: list[str] = []
    try:
        async for line in running.stdout:
            said.append(line.decode())
            if '"event": "serving"' in said[-1] or '"event": "emulators_ready"' in said[-1]:
                break
        # A variable that nothing reads is said at start, in a line for people.
        assert said, process
        assert all(line.startswith("{") for line in said), "".join(said)
        last = json.loads(said[-1])
        assert last["event"] in {"serving", "emulators_ready"}, "".join(said)
        if process.health:
            asked = [*process.health[:-1], f"127.0.0.1:{last['port']}"]
            # Asked again, as it is there: a look has a second, in which a busy machine may not answer.
            while await (await _run(process, folder, asked)).wait() != 0:
                assert running.returncode is None, process
    finally:
        running.terminate()
        await running.communicate()
    assert running.returncode == 0, process


async def _console_starts(process: Process, folder: Path) -> None:
    """The same of the console, which is asked by HTTP and says nothing when it serves."""
    port = free_port()
    given = {**process.environment, "OMNIJOURNEY_CONSOLE_PORT": str(port)}
    running = await _run(replace(process, environment=given), folder, process.command)
    try:
        async with aiohttp.ClientSession() as session:
            while running.returncode is None and not await _answers(session, port):
                await asyncio.sleep(0.05)
    finally:
        if running.returncode is None:
            running.terminate()
        said, _ = await running.communicate()
    assert running.returncode == 0, said.decode()
    assert all(line.startswith("{") for line in said.decode().splitlines()), said.decode()


async def _answers(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == http.HTTPStatus.OK
    except aiohttp.ClientError:
        return False


@pytest.mark.parametrize("described", [compose, units, pytest.param(chart, marks=needs_helm)])
async def test_every_process_starts_with_what_it_is_given(
    described: Callable[[Filled], Iterator[Process]], filled: Filled, tmp_path: Path
) -> None:
    processes = {process.name: process for process in described(filled)}
    await _migrate(processes.pop(MIGRATE), tmp_path)
    assert {*SERVICES, CONSOLE} == processes.keys() - {"emulators"}
    async with asyncio.timeout(ENDS_WITHIN_S):
        console = _console_starts(processes.pop(CONSOLE), tmp_path)
        await asyncio.gather(console, *(_starts(process, tmp_path) for process in processes.values()))
