"""A real Prometheus that reads an installation with the rules that are deployed: what the dashboards show of it."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from libs.demo.patience import DemoFault

PROGRAM: Final = "prometheus"
_WITHIN_S: Final = 60.0


def dashboards_of(deployed: Path) -> dict[str, str]:
    """Each query of each panel: name → expression. Raises OSError for a folder that has none."""
    return {
        f"{file.stem}: {panel['title']} {target['refId']}": target["expr"]
        for file in sorted((deployed / "grafana" / "dashboards").glob("*.json"))
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
    }


class Prometheus:
    """One that runs."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http

    async def ask(self, expression: str) -> int:
        """How many series an expression has now. DemoFault for one that Prometheus does not take."""
        async with self._http.get(f"{self._url}/api/v1/query", params={"query": expression}) as answer:
            said = await answer.json()
        if said["status"] != "success":
            raise DemoFault(f"Prometheus does not take {expression}: {said.get('error')}")
        return len(said["data"]["result"])

    async def series_of(self, asked: Mapping[str, str]) -> dict[str, int]:
        """How many series each of these has, when all had their time to get some."""
        until = asyncio.get_running_loop().time() + _WITHIN_S
        while True:
            found = {name: await self.ask(expression) for name, expression in asked.items()}
            if all(found.values()) or asyncio.get_running_loop().time() > until:
                return found
            await asyncio.sleep(0.5)


def _configure(targets: Mapping[Any, str], deployed: Path, directory: Path) -> None:
    jobs = [
        {"targets": [urlsplit(url).netloc], "labels": {"component": str(component)}}
        for component, url in targets.items()
    ]
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str((deployed / "prometheus" / "alerts.yml").absolute())],
        "scrape_configs": [{"job_name": "omnijourney", "static_configs": jobs}],
    }
    directory.mkdir()
    (directory / "prometheus.yml").write_text(json.dumps(configuration), encoding="utf-8")


@asynccontextmanager
async def prometheus(
    targets: Mapping[Any, str], deployed: Path, directory: Path, http: aiohttp.ClientSession
) -> AsyncIterator[Prometheus]:
    """Reads `targets` (component → URL of its metrics) each second while the context lasts, and keeps what it reads in
    `directory`, which it makes. DemoFault where there is none, or it does not start."""
    program = shutil.which(PROGRAM)
    if program is None:
        raise DemoFault("there is no prometheus on this machine; Debian has it as a package")
    _configure(targets, deployed, directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            await _ready(url, http, directory / "log")
            yield Prometheus(url, http)
        finally:
            process.kill()
            await process.wait()


async def _ready(url: str, http: aiohttp.ClientSession, log: Path) -> None:
    until = asyncio.get_running_loop().time() + _WITHIN_S
    while True:
        try:
            async with http.get(f"{url}/-/ready") as answer:
                if answer.ok:
                    return
        except aiohttp.ClientConnectionError:
            pass
        if asyncio.get_running_loop().time() > until:
            raise DemoFault(f"prometheus does not start, {log} says why")
        await asyncio.sleep(0.2)
