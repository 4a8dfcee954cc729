"""A real Prometheus with the rules that are deployed, reading an installation: what the dashboards show of it."""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml

from tools.paths import ROOT

DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
_WITHIN_S = 60.0


def queries() -> dict[str, str]:
    """Each query of each panel: name → expression."""
    return {
        f"{file.stem}: {panel['title']} {target['refId']}": target["expr"]
        for file in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(file.read_text(encoding="utf-8"))["panels"]
        for target in panel["targets"]
    }


def rules() -> dict[str, str]:
    """Each rule: name → expression."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule.get("alert") or rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


class Prometheus:
    """One that runs."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._http = http

    async def ask(self, expression: str) -> int:
        """How many series an expression has now. Fails for one that Prometheus does not take."""
        async with self._http.get(f"{self._url}/api/v1/query", params={"query": expression}) as answer:
            said = await answer.json()
            assert said["status"] == "success", said
            return len(said["data"]["result"])

    async def without_data(self, asked: Mapping[str, str]) -> list[str]:
        """Those that have no series, when all had their time."""
        until = asyncio.get_running_loop().time() + _WITHIN_S
        while True:
            missing = [name for name, expression in asked.items() if not await self.ask(expression)]
            if not missing or asyncio.get_running_loop().time() > until:
                return missing
            await asyncio.sleep(0.5)


@asynccontextmanager
async def prometheus(
    targets: Mapping[Any, str], directory: Path, http: aiohttp.ClientSession
) -> AsyncIterator[Prometheus]:
    """Reads `targets` (component → URL of its metrics) each second while the context lasts."""
    binary = shutil.which("prometheus")
    assert binary is not None
    jobs = [
        {"targets": [urlsplit(url).netloc], "labels": {"component": component}}
        for component, url in targets.items()
    ]
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [{"job_name": "omnijourney", "static_configs": jobs}],
    }
    directory.mkdir()
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            binary,
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
        assert asyncio.get_running_loop().time() < until, log.read_text(encoding="utf-8")
        await asyncio.sleep(0.2)
