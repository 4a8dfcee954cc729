"""Five services of one release that are replaced by those of another, one after the other, on the same ports."""

import asyncio
import secrets
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from libs.client import Client
from libs.client.services import ServiceName
from libs.common import credentials
from libs.common.config import DEFAULT_PORTS
from libs.common.rpc.frame_server import make_folder
from libs.embedded import Embedded, start_embedded
from libs.supervisor import InstallationOptions, InstallationSettings
from libs.supervisor.managed import ManagedProcess
from libs.supervisor.plan import Plan, calls_folder, channel_urls, make_plan
from libs.supervisor.processes import Processes
from tests.upgrade.release import Release

ORDER: Final[tuple[ServiceName, ...]] = ("stats", "segment", "points", "journey", "channel_gateway")
"""Whoever reads a history before whoever writes it, as docs/upgrade.md says."""
_READY_S: Final = 300.0
_DRAIN_S: Final = 20.0
_WHATSAPP_RATE: Final = 1_000
_EXPECTED: Final = frozenset({"OK", "UNAVAILABLE", "CANCELLED", "DEADLINE_EXCEEDED"})
"""Answers of an upgrade: whoever gets another one than OK repeats, or has gone."""


@dataclass(slots=True)
class Rolling:
    """The processes as they are now (`tests.chaos.arena.Place`)."""

    directory: Path
    embedded: Embedded
    token: str
    options: InstallationOptions
    plan: Plan
    client: Client
    session: aiohttp.ClientSession
    processes: dict[str, ManagedProcess] = field(default_factory=dict)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Calls by service and code, of all processes that there were."""
    ends: dict[str, int] = field(default_factory=dict)
    """Exit codes of the processes that were replaced."""

    @property
    def http_url(self) -> str:
        """Base address of the webhooks in."""
        return self.plan.url("http")

    @property
    def channel_urls(self) -> Mapping[str, str]:
        """The emulators', by channel."""
        return channel_urls(self.options, self.plan)

    @property
    def receipts(self) -> Path:
        """Where the emulators write what they accepted."""
        return self.directory / "emulators"

    @property
    def postgres_dsn(self) -> str:
        """The administrator's."""
        return self.embedded.postgres_dsn

    @property
    def _credentials(self) -> Path:
        return self.directory / credentials.FOLDER

    async def migrate(self, release: Release) -> None:
        """Brings the database up to a release, whatever runs."""
        variables = {
            "OMNIJOURNEY_POSTGRES_DSN": self.postgres_dsn,
            "OMNIJOURNEY_TOKEN": self.token,
            "OMNIJOURNEY_DATA_DIR": str(self.directory),
        }
        await asyncio.to_thread(release.migrate, variables, self._credentials)

    async def start(self, service: ServiceName, release: Release) -> None:
        """Starts a service of a release, and waits until it serves."""
        made = self._made().of_service(
            service, self.embedded.redis_url, credentials.file_of(self._credentials, service)
        )[0]
        made.spec = replace(
            made.spec,
            cwd=release.folder,
            env=release.environment(made.spec.env),
            name=f"{service} of {release.name}",
        )
        await self._start(service, made)

    async def start_emulators(self) -> None:
        """Starts the channels."""
        await self._start("emulators", self._made().emulators())

    async def replace(self, service: ServiceName, release: Release) -> None:
        """Stops a service as a rolling upgrade does, with SIGTERM, and starts that of another release."""
        old = self.processes.pop(service)
        await self._count(service)
        assert old.child is not None
        self.ends[service] = await old.child.stop([(signal.SIGTERM, _DRAIN_S)])
        await self.start(service, release)

    async def count(self) -> None:
        """Adds what the processes that run now have answered."""
        for service in ORDER:
            await self._count(service)

    @property
    def faults(self) -> dict[tuple[str, str], int]:
        """Answers that nobody should get, by service and code."""
        return {key: count for key, count in self.answers.items() if key[1] not in _EXPECTED}

    async def stop(self) -> None:
        """Ends all, the emulators last."""
        for process in reversed(self.processes.values()):
            if process.child is not None:
                await process.child.stop([(signal.SIGTERM, _DRAIN_S)])

    def _made(self) -> Processes:
        return Processes(self.options, self.plan, self.directory, self.directory / "logs", None)

    async def _start(self, name: str, process: ManagedProcess) -> None:
        await process.start()
        self.processes[name] = process
        until_s = time.monotonic() + _READY_S
        while not await process.ready():
            assert process.child is not None
            ended = process.child.returncode
            assert ended is None, f"{process.name} ended with {ended}; {process.child.log_end()}"
            assert time.monotonic() < until_s, f"{process.name} does not serve; {process.child.log_end()}"
            await asyncio.sleep(0.05)

    async def _count(self, service: ServiceName) -> None:
        async with self.session.get(self.plan.url(f"{service}_metrics") + "/metrics") as answer:
            page = await answer.text()
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == "omnijourney_rpc_requests_total":
                    self.answers[service, sample.labels["code"]] += int(sample.value)


@asynccontextmanager
async def rolling(directory: Path, release: Release) -> AsyncIterator[Rolling]:
    """Everything running, of one release, and gone in the end."""
    async with AsyncExitStack() as stack:
        embedded = await start_embedded(directory)
        stack.push_async_callback(embedded.stop)
        token = secrets.token_hex(24)
        settings = InstallationSettings(
            postgres_dsn=embedded.postgres_dsn,
            redis_url=embedded.redis_url,
            token=token,
            bind_host="127.0.0.1",
            data_dir=directory,
            clock_control="on",
        )
        environment = {"OMNIJOURNEY_EMULATOR_WHATSAPP_RATE": str(_WHATSAPP_RATE)}
        options = InstallationOptions(
            settings=settings, free_ports=True, emulators=True, environment=environment
        )
        plan = make_plan(options)
        targets = {service: plan.target(service) for service in ORDER}
        client = await stack.enter_async_context(Client(targets, token))
        session = await stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))
        )
        made = Rolling(directory, embedded, token, options, plan, client, session)
        stack.push_async_callback(made.stop)
        if (folder := calls_folder(directory)) is not None:
            make_folder(folder)
        await made.migrate(release)
        await made.start_emulators()
        assert set(ORDER) == set(DEFAULT_PORTS)
        for service in ORDER:
            await made.start(service, release)
        yield made
