"""The containers of docker-compose.yml without Docker: each one's command line, with the environment of compose."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
import pytest
import yaml

from libs.embedded.servers import Embedded, start_embedded
from libs.testing.fixtures import SECRET_KEY
from tools.paths import ROOT

PASSWORD: Final = "p@ss/w:rd?#%41"
SHELL: Final = {
    "POSTGRES_PASSWORD": PASSWORD,
    "OMNIJOURNEY_TOKEN": "first",
    "OMNIJOURNEY_SECRET_KEYS": SECRET_KEY,
}
"""What the person has set who starts compose."""
_VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([-?])(.*?))?\}")
STARTS_WITHIN_S: Final = 120.0


def _containers() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return dict(loaded["services"])


def _filled(text: str) -> str:
    """As compose fills in variables: `${NAME:-default}`, `${NAME:?fault}`."""
    return _VARIABLE.sub(lambda found: SHELL.get(found[1]) or (found[3] if found[2] == "-" else ""), text)


@pytest.fixture
async def servers() -> AsyncIterator[Embedded]:
    """A PostgreSQL whose owner has the password, and a Valkey."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        Path(made).chmod(0o755)
        embedded = await start_embedded(Path(made) / "data", postgres_settings={"fsync": "off"})
        try:
            connection = await asyncpg.connect(embedded.postgres_dsn)
            quoted = await connection.fetchval("SELECT quote_literal($1)", PASSWORD)
            await connection.execute(f"ALTER ROLE omnijourney PASSWORD {quoted}")
            await connection.close()
            yield embedded
        finally:
            await embedded.stop()


def _environment(container: Mapping[str, Any], servers: Embedded, folder: Path) -> dict[str, str]:
    """What compose gives a container, with this machine's places for those of the network of containers."""
    postgres, valkey = urlsplit(servers.postgres_dsn), urlsplit(servers.redis_url)
    places = {
        "@postgres:5432": f"@127.0.0.1:{postgres.port}",
        "redis://valkey:6379/0": f"redis://:{valkey.password}@127.0.0.1:{valkey.port}/0",
    }
    given = {name: _filled(value) for name, value in container["environment"].items()}
    for there, here in places.items():
        given = {name: value.replace(there, here) for name, value in given.items()}
    for mount in container.get("volumes", []):
        if isinstance(mount, dict) and given.get("OMNIJOURNEY_CREDENTIALS_FILE") == mount["target"]:
            given["OMNIJOURNEY_CREDENTIALS_FILE"] = str(folder / mount["volume"]["subpath"])
    own = {name: value for name, value in os.environ.items() if not name.startswith("OMNIJOURNEY_")}
    return {**own, "OMNIJOURNEY_DATA_DIR": str(folder / "data"), **given}


async def _migrate(servers: Embedded, folder: Path) -> None:
    described = _containers()["migrate"]
    command = [str(folder) if "/" in part else part for part in described["command"]]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command),
        cwd=ROOT,
        env=_environment(described, servers, folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def _serve_and_be_healthy(name: str, servers: Embedded, folder: Path) -> None:
    """Starts a container's command, asks its health as compose does, and stops it."""
    described = _containers()[name]
    ports = {
        f"OMNIJOURNEY_{name.replace('-', '_').upper()}_PORT": "0",
        "OMNIJOURNEY_HTTP_PORT": "0",
        "OMNIJOURNEY_BIND_HOST": "127.0.0.1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *described["command"]),
        cwd=ROOT,
        env={**_environment(described, servers, folder), **ports},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = []
    try:
        async for line in process.stderr:
            said.append(line.decode())
            if '"event": "serving"' in said[-1]:
                break
        assert process.returncode is None, "".join(said)
        port = json.loads(said[-1])["port"]
        _, python, *health = described["healthcheck"]["test"]
        assert python == "python"
        asked = [*health[:-1], f"127.0.0.1:{port}"]
        looked = await asyncio.create_subprocess_exec(sys.executable, *asked, cwd=ROOT)
        assert await looked.wait() == 0
    finally:
        process.terminate()
        await process.communicate()
    assert process.returncode == 0


async def test_every_container_starts_with_what_compose_gives_it(servers: Embedded, tmp_path: Path) -> None:
    await _migrate(servers, tmp_path)
    commands = {name: each.get("command", [""])[0] for name, each in _containers().items()}
    ours = [name for name, command in commands.items() if command.startswith("services.")]
    assert len(ours) == 5
    async with asyncio.timeout(STARTS_WITHIN_S):
        await asyncio.gather(*(_serve_and_be_healthy(name, servers, tmp_path) for name in ours))
