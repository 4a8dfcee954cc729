"""A whole installation whose links run through proxies: two journey workers, servers that can be hurt from outside."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from libs.client import Client, ServiceName
from libs.embedded.attach import Attachment, open_attachment
from libs.embedded.keepalive import Died, Event
from libs.emulators.config import EmulatorSettings
from libs.supervisor import Installation, InstallationOptions, InstallationSettings
from libs.testing.proxy import FaultProxy

LINKS: tuple[ServiceName, ...] = ("segment", "points", "channel_gateway", "journey")
"""Services whose callers reach them through a proxy."""
LEASE_S = 2
"""Short, so that a worker is soon paused beyond it."""
WHATSAPP_RATE = 1_000
CRASH_POINTS = "OMNIJOURNEY_CRASH_POINTS"


class Place(Protocol):
    """A whole installation with emulators, as load and check need it."""

    @property
    def client(self) -> Client:
        """To all services."""

    @property
    def session(self) -> aiohttp.ClientSession:
        """For webhooks and emulators."""

    @property
    def http_url(self) -> str:
        """Base address of the webhooks in."""

    @property
    def channel_urls(self) -> Mapping[str, str]:
        """The emulators', by channel."""

    @property
    def receipts(self) -> Path:
        """Where the emulators write what they accepted."""

    @property
    def postgres_dsn(self) -> str:
        """The administrator's."""


class Deaths:
    """Hears of processes that ended, planned or at a crash point."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        """By process and reason."""
        self._watching: dict[str, Callable[[], bool]] = {}

    def watch(self, process: str, seen: Callable[[], bool]) -> None:
        """Calls `seen` at each death of a process, before it is started again, until it says True."""
        self._watching[process] = seen

    def hear(self, event: Event) -> None:
        """A listener for supervisors."""
        if not isinstance(event, Died):
            return
        self.count[f"{event.name}: {event.why}"] += 1
        seen = self._watching.get(event.name)
        if seen is not None and seen():
            del self._watching[event.name]


@dataclass(slots=True)
class Arena:
    """What the faults and the load work on."""

    installation: Installation
    attachment: Attachment
    proxies: Mapping[str, FaultProxy]
    """By link: `postgres`, `valkey` and the services'."""
    client: Client
    session: aiohttp.ClientSession
    deaths: Deaths
    crash_points: str
    """Those armed in every process from the start."""

    @property
    def postgres_dsn(self) -> str:
        """The administrator's, past the proxy."""
        return self.attachment.endpoints.postgres_dsn

    @property
    def redis_url(self) -> str:
        """Past the proxy."""
        return self.attachment.endpoints.redis_url

    @property
    def http_url(self) -> str:
        """Base address of the webhooks in."""
        return self.installation.http_url

    @property
    def channel_urls(self) -> Mapping[str, str]:
        """The emulators', by channel."""
        return self.installation.channel_urls

    @property
    def receipts(self) -> Path:
        """Where the emulators write what they accepted."""
        return self.installation.data_dir / "emulators"

    def send(self, process: str, number: signal.Signals) -> int:
        """Sends a signal to a process as it runs now; its id, or 0 if it is down at the moment."""
        try:
            pid = self._pid(process)
            os.kill(pid, number)
        except (KeyError, ProcessLookupError):
            return 0
        return pid

    def _pid(self, process: str) -> int:
        if process not in ("postgres", "valkey"):
            return self.installation.pid_of(process)
        assert self.attachment.embedded is not None
        child = next(s.child for s in self.attachment.embedded.servers if s.name == process)
        if child is None or child.returncode is not None:
            raise KeyError(process)
        return child.pid


@asynccontextmanager
async def arena(directory: Path, rng: random.Random, crash_points: str) -> AsyncIterator[Arena]:
    """Everything running, and gone in the end."""
    deaths = Deaths()
    async with AsyncExitStack() as stack:
        attachment = await open_attachment(directory, listener=deaths.hear)
        stack.push_async_callback(attachment.close)
        ends = attachment.endpoints
        proxies: dict[str, FaultProxy] = {}

        async def through(name: str, port: int) -> int:
            proxy = await stack.enter_async_context(FaultProxy.running(name, port, rng))
            proxies[name] = proxy
            return proxy.port

        settings = InstallationSettings(
            postgres_dsn=_moved(ends.postgres_dsn, await through("postgres", _port(ends.postgres_dsn))),
            redis_url=_moved(ends.redis_url, await through("valkey", _port(ends.redis_url))),
            token=ends.token,
            bind_host="127.0.0.1",
            clock_control="on",
            data_dir=directory,
        )
        emulators = EmulatorSettings.model_construct()
        environment = {
            "OMNIJOURNEY_EMULATOR_TOKEN": emulators.token,
            "OMNIJOURNEY_EMULATOR_SECRET": emulators.secret,
            "OMNIJOURNEY_EMULATOR_WHATSAPP_RATE": str(WHATSAPP_RATE),
            "OMNIJOURNEY_LEASE_SECONDS": str(LEASE_S),
            CRASH_POINTS: crash_points,
        }
        installation = Installation(
            InstallationOptions(
                settings=settings,
                free_ports=True,
                emulators=True,
                listener=deaths.hear,
                environment=environment,
                more_workers={"journey": 1},
            )
        )
        for service in LINKS:
            port = await through(service, installation.plan.ports[service])
            environment[f"OMNIJOURNEY_{service.upper()}_TARGET"] = f"127.0.0.1:{port}"
        await stack.enter_async_context(installation)
        client = await stack.enter_async_context(
            Client(installation.targets, installation.token, installation.tools_token)
        )
        timeout = aiohttp.ClientTimeout(total=20)
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        yield Arena(installation, attachment, proxies, client, session, deaths, crash_points)


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def _moved(url: str, port: int) -> str:
    parts = urlsplit(url)
    head, _, _ = parts.netloc.rpartition(":")
    return urlunsplit(parts._replace(netloc=f"{head}:{port}"))


async def gone(process: int, within_s: float) -> bool:
    """Waits until a process has ended."""
    for _ in range(int(within_s / 0.05)):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        await asyncio.sleep(0.05)
    return False
