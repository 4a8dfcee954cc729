"""w1 on Restate: its server from npm, the journey by its Python SDK (`restate_app.py`), tuned for two cores.

Tuned: HTTP/2 to the SDK, four partitions instead of 24, no limit to invocations that sleep in memory, no journal kept
after the end, no web interface and no telemetry.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.field import BenchFault
from bench.peers.load import Peer, measure
from bench.peers.place import PLACE, PYTHON, SCRIPTS, need, need_package, running
from bench.usage import Usage
from libs.embedded.ports import LOOPBACK, free_port

_READY_S: Final = 60.0
_TUNED: Final = {
    "RESTATE_DEFAULT_NUM_PARTITIONS": "4",
    "RESTATE_DEFAULT_JOURNAL_RETENTION": "0s",
    "RESTATE_DISABLE_TELEMETRY": "true",
    "RESTATE_LOG_FILTER": "warn",
    "RESTATE_ADMIN__DISABLE_WEB_UI": "true",
    "RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT": "100000",
    "RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT": "1m",
}


class Restate:
    """A server with the services registered, one form of the journey."""

    def __init__(self, name: str, handler: str, ingress: str, usage: Usage, reports: Path) -> None:
        """`handler`: of the customer's object; `ingress`: base address."""
        self.name = name
        self.usage = usage
        self.reports = reports
        self._ingress = ingress
        self._handler = handler
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=128))

    async def know(self, keys: Sequence[str]) -> None:
        """A tag for each."""
        for start in range(0, len(keys), 64):
            await asyncio.gather(
                *(self._call(f"customer/{key}/know", ["newcomer"], {}) for key in keys[start : start + 64])
            )

    async def post(self, key: str) -> None:
        """Accepted when it is in Restate's log; a second with the same key is nothing."""
        await self._call(
            f"customer/{key}/{self._handler}/send", f"joined-{key}", {"idempotency-key": f"joined-{key}"}
        )

    async def _call(self, path: str, body: object, headers: dict[str, str]) -> None:
        async with self._session.post(f"{self._ingress}/{path}", json=body, headers=headers) as answer:
            if answer.status >= 300:
                raise BenchFault(f"{self.name}: {answer.status} {await answer.text()}")
            await answer.read()

    async def close(self) -> None:
        """Ends the connections."""
        await self._session.close()


async def blocked(directory: Path, count: int, rates_per_s: Sequence[int]) -> Peer:
    """The form that costs least: nobody else's event is taken while a customer sleeps."""
    async with _started(directory, "Restate, mailbox blocked while asleep", "joined") as subject:
        return await measure(subject, count, rates_per_s)


async def free(directory: Path, count: int, rates_per_s: Sequence[int]) -> Peer:
    """The form that promises what we do."""
    async with _started(directory, "Restate, mailbox free (as ours)", "joined_free") as subject:
        return await measure(subject, count, rates_per_s)


@contextlib.asynccontextmanager
async def _started(directory: Path, name: str, handler: str) -> AsyncIterator[Restate]:
    binary = need(_server(), "@restatedev/restate-server")
    for package in ("restate", "hypercorn"):
        need_package(package)
    ingress, admin, node, sdk = (free_port(LOOPBACK) for _ in range(4))
    reports = directory / "reports"
    bound = {
        **_TUNED,
        "RESTATE_BASE_DIR": str(directory / "restate"),
        "RESTATE_BIND_PORT": str(node),
        "RESTATE_BIND_IP": LOOPBACK,
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_LISTEN_MODE": "tcp",
    }
    serve = [
        str(PYTHON),
        "-m",
        "hypercorn",
        "--bind",
        f"{LOOPBACK}:{sdk}",
        "--log-level",
        "warning",
        "restate_app:app",
    ]
    own = {"PEER_REPORTS": str(reports), "PYTHONPATH": str(SCRIPTS)}
    async with (
        running([str(binary), "--no-logo"], directory / "server.log", bound) as server,
        running(serve, directory / "sdk.log", own) as handlers,
    ):
        usage = Usage({"restate": server.pid, "sdk": handlers.pid})
        subject = Restate(name, handler, f"http://{LOOPBACK}:{ingress}", usage, reports)
        try:
            await _register(f"http://{LOOPBACK}:{admin}", f"http://{LOOPBACK}:{sdk}")
            yield subject
        finally:
            await subject.close()


def _server() -> Path:
    found = sorted((PLACE / "node_modules" / "@restatedev").glob("restate-server-*/bin/restate-server"))
    return found[0] if found else PLACE / "node_modules" / "@restatedev" / "restate-server"


async def _register(admin: str, handlers: str) -> None:
    """Tells the server where the handlers are, once both answer."""
    deadline_s = time.monotonic() + _READY_S
    body: dict[str, Any] = {"uri": handlers, "force": True}
    async with aiohttp.ClientSession() as session:
        while True:
            said = "no answer"
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(f"{admin}/deployments", json=body) as answer:
                    if answer.status < 300:
                        return
                    said = await answer.text()
            if time.monotonic() > deadline_s:
                raise BenchFault(f"Restate does not take the handlers: {said}")
            await asyncio.sleep(0.2)
