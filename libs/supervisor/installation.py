"""Starts an installation, keeps it running, stops it within ten seconds."""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import cast

import asyncpg

from libs.client.found import InstallationFile, tools_tls
from libs.client.services import SERVICES, ServiceName
from libs.common import credentials
from libs.common.clock import begin_clock
from libs.common.db.roles import token_of
from libs.common.rpc.frame_server import make_folder
from libs.common.tls import Tls
from libs.embedded import Attachment, StartFailedError, open_attachment
from libs.embedded.datadir import DataDir, OwnerLock
from libs.embedded.keepalive import keep_alive
from libs.supervisor import certificates
from libs.supervisor.certificates import make_certificates
from libs.supervisor.managed import ManagedProcess
from libs.supervisor.options import InstallationOptions
from libs.supervisor.plan import (
    TOGETHER,
    AlreadyRunningError,
    Plan,
    calls_folder,
    channel_urls,
    check_ports,
    environment,
    make_plan,
)
from libs.supervisor.preparation import FirstToken, prepare
from libs.supervisor.processes import Processes
from libs.supervisor.starting import Start, until_ready
from libs.supervisor.watching import end_when_silent

DRAIN_S = 6.0
"""What a service may take to finish the calls and turns that it has begun; what is cut off is taken up again."""
STOP_WITHIN_S = 8.5
"""After this nothing is waited for any more (PostgreSQL then recovers at its next start): on a busy machine the rest
of ten seconds is needed to end at all."""
_SERVERS_GRACE_S_MIN = 1.0
_EMULATORS_GRACE_S = 0.3


class Installation:
    """Embedded servers (unless addresses are configured), the services, and the emulators if asked for.

    Use it as an async context, from the main thread: nothing of it outlives the process.
    """

    def __init__(self, options: InstallationOptions) -> None:
        self._options = options
        self._data_dir = options.settings.data_dir.absolute()
        self._plan = make_plan(options)
        self._attachment: Attachment | None = None
        self._made = Processes(options, self._plan, self._data_dir, self.log_dir, self.tls)
        self._processes: dict[str, ManagedProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._file = InstallationFile(self._data_dir)
        self._lock: OwnerLock | None = None
        self._hurry = asyncio.Event()

    async def __aenter__(self) -> "Installation":
        try:
            await self.start()
        except BaseException:
            await self._stop_in_any_case()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop_in_any_case()

    async def _stop_in_any_case(self) -> None:
        """`stop`, which a cancellation does not interrupt but makes hurry."""
        stopping = asyncio.create_task(self.stop())
        cancelled: asyncio.CancelledError | None = None
        while not stopping.done():
            try:
                await asyncio.shield(stopping)
            except asyncio.CancelledError as error:
                cancelled = error
                self.hurry()
        stopping.result()
        if cancelled is not None:
            raise cancelled

    @property
    def plan(self) -> Plan:
        """All ports."""
        return self._plan

    @property
    def attachment(self) -> Attachment:
        """The servers. Only after `start`."""
        assert self._attachment is not None, "the installation is not started"
        return self._attachment

    @property
    def data_dir(self) -> Path:
        """Absolute."""
        return self._data_dir

    @property
    def log_dir(self) -> Path:
        """Where the logs of the services are."""
        return self._options.log_dir or self._data_dir / "logs"

    @property
    def token(self) -> str:
        """API token."""
        return self.attachment.endpoints.token

    @property
    def tools_token(self) -> str:
        """For what services say to each other: scopes INTERNAL and OPERATE."""
        return token_of(self.postgres_dsn, credentials.TOOLS)

    @property
    def postgres_dsn(self) -> str:
        """Administrator's address."""
        return self.attachment.endpoints.postgres_dsn

    @property
    def redis_url(self) -> str:
        """With password."""
        return self.attachment.endpoints.redis_url

    @property
    def targets(self) -> dict[ServiceName, str]:
        """`host:port` of each service."""
        return {service: self._plan.target(service) for service in self._options.services}

    @property
    def metrics_urls(self) -> dict[ServiceName, str]:
        """Prometheus page of each service."""
        return {
            service: self._plan.url(f"{shown}_metrics", tls=self._serves_tls) + "/metrics"
            for service in self._options.services
            # One process has one page, on the first's port.
            for shown in (SERVICES[0] if self._options.one_process else service,)
        }

    @property
    def http_url(self) -> str:
        """Base address of the webhooks in."""
        return self._plan.url("http", tls=self._serves_tls)

    @property
    def console_url(self) -> str:
        """Where browsers find the console; empty without one."""
        return self._plan.url("console", tls=self._serves_tls) if self._options.console else ""

    @property
    def tls(self) -> Tls | None:
        """How its services are called; None: without TLS."""
        return tools_tls(self.tls_dir) if self._options.own_ca else self._options.settings.tls

    @property
    def tls_dir(self) -> Path:
        """Where the certificates are, if it has a CA of its own."""
        return self._data_dir / certificates.FOLDER

    @property
    def asks_for_certificates(self) -> bool:
        """Whether who calls has to show one."""
        return self.tls is not None and self._options.settings.tls_clients == "required"

    @property
    def _serves_tls(self) -> bool:
        return self.tls is not None

    @property
    def channel_urls(self) -> dict[str, str]:
        """Base address by channel where it is not the adapter's own default; the emulators' if they run."""
        return channel_urls(self._options, self._plan)

    @property
    def emulators(self) -> bool:
        """Whether emulators stand in for the channels."""
        return self._options.emulators

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that all processes got on top of our own environment."""
        return environment(self._options, self._plan, self.redis_url, self._data_dir)

    def change_environment(self, changes: Mapping[str, str], only: str = "") -> None:
        """Variables that all processes, or `only` this one, get from their next start on."""
        for process in self._processes.values():
            if only not in ("", process.name):
                continue
            process.spec = replace(process.spec, env={**process.spec.env, **changes})

    def pid_of(self, name: str) -> int:
        """Process id now, of a service or further worker, `services` (all in one), `emulators`, `postgres` or `valkey`.
        Errors: KeyError."""
        servers = self.attachment.embedded.servers if self.attachment.embedded else []
        children = {server.name: server.child for server in servers}
        children.update({process.name: process.child for process in self._processes.values()})
        within = self._options.one_process and name in self._options.services
        child = children[TOGETHER if within else name]
        if child is None:
            raise KeyError(name)
        return child.pid

    async def start(self) -> None:
        """Starts everything and waits until every service serves; says meanwhile what is reached and waited for.

        Errors: EmbeddedError with its subclasses (AlreadyRunningError, PortTakenError, StartFailedError …),
        MigrationError, ClockRefusedError. Call `stop` afterwards, also after an error.
        """
        self._refuse_second()
        check_ports(self._plan)
        lock = OwnerLock(DataDir.open(self._data_dir), "installation.lock")
        if not lock.try_acquire():
            raise AlreadyRunningError(self._data_dir, None)
        self._lock = lock
        start = Start(self._options.progress)
        telling = asyncio.create_task(start.keep_telling())
        try:
            await self._start(start)
        finally:
            telling.cancel()
        for process in self._processes.values():
            self._keepers.append(asyncio.create_task(keep_alive(process, self._options.listener)))
            self._keepers.append(asyncio.create_task(end_when_silent(process)))
        self._file.publish(
            self.targets,
            self.http_url,
            self.tls_dir if self._options.own_ca else None,
            self.channel_urls if self._options.emulators else {},
        )

    async def _start(self, start: Start) -> None:
        settings = self._options.settings
        if self._options.emulators:
            await self._begin([self._made.emulators()])
        start.waits_for("PostgreSQL and Redis")
        self._attachment = await open_attachment(
            self._data_dir,
            postgres_dsn=settings.postgres_dsn.get_secret_value(),
            redis_url=settings.redis_url.get_secret_value(),
            token=settings.token.get_secret_value(),
            listener=self._options.listener,
            backup_dir=settings.backup_dir,
        )
        start.reached("PostgreSQL and Redis answer")
        if self._options.own_ca:
            together = [TOGETHER] if self._options.one_process else []
            console = ["console"] if self._options.console else []
            holders = (*together, *self._options.services, *console, certificates.TOOLS)
            make_certificates(self.tls_dir, holders, self._plan.host)
        if (folder := calls_folder(self._data_dir)) is not None:
            make_folder(folder)
        start.waits_for("the migrations of the database")
        await self._start_services(start)
        await until_ready(self._processes, start, self.log_dir)

    def _refuse_second(self) -> None:
        """What runs is named by its process; what is just starting holds the lock."""
        found = self._file.read()
        if found is not None and found.pid != os.getpid():
            raise AlreadyRunningError(self._data_dir, found.pid)

    async def _start_services(self, start: Start) -> None:
        """Each as soon as its own part of the database is ready: it loads while the next one is migrated."""
        own = [service for service in self._options.services if service not in self._options.commands]
        directory = self._data_dir / credentials.FOLDER
        configured = bool(self._options.settings.token)
        first = FirstToken.of(self.token, self._data_dir, configured=configured)
        clock_start = self._options.clock_start
        try:
            async for holder, file in prepare(self.postgres_dsn, own, directory, first):
                if clock_start is not None:
                    await begin_clock(self.postgres_dsn, clock_start)
                    clock_start = None
                if holder != credentials.TOOLS and not self._options.one_process:
                    await self._begin(self._made.of_service(cast(ServiceName, holder), self.redis_url, file))
        except (OSError, asyncpg.PostgresError) as error:
            raise StartFailedError(
                f"the database does not let us in ({error}): see OMNIJOURNEY_POSTGRES_DSN"
            ) from error
        start.reached("the database is up to date")
        if self._options.one_process:
            await self._begin([self._made.together(self.redis_url)])
        for service in self._options.commands:
            await self._begin(self._made.of_service(service, self.redis_url, None))
        if self._options.console:
            # Last: it loads while the services, which it does not keep waiting, make themselves ready.
            await self._begin([self._made.console()])

    async def _begin(self, processes: Sequence[ManagedProcess]) -> None:
        for process in processes:
            self._processes[process.name] = process
            try:
                await process.start()
            except OSError as error:
                raise StartFailedError(f"{process.name} cannot be started ({error})") from error

    def hurry(self) -> None:
        """Makes a running or later `stop` wait for nothing that may be ended at once without loss."""
        self._hurry.set()

    async def stop(self) -> None:
        """Drains and ends the services, then the emulators, then the servers. May be called twice."""
        began_s = time.monotonic()
        self._file.withdraw()
        for keeper in self._keepers:
            keeper.cancel()
        ended = await asyncio.gather(*self._keepers, return_exceptions=True)
        self._keepers.clear()
        await self._end_all(began_s)
        for fault in ended:
            if isinstance(fault, Exception):  # a keeper ends by cancellation only
                raise fault

    async def _end_all(self, began_s: float) -> None:
        emulators = self._processes.pop("emulators", None)
        await asyncio.gather(*(self._end(process, DRAIN_S) for process in self._processes.values()))
        if emulators is not None:
            await self._end(emulators, _EMULATORS_GRACE_S)
        if self._attachment is not None:
            left_s = 0.0 if self._hurry.is_set() else STOP_WITHIN_S - (time.monotonic() - began_s)
            await self._attachment.close(max(_SERVERS_GRACE_S_MIN, left_s))
        if self._lock is not None:
            self._lock.release()

    async def _end(self, process: ManagedProcess, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after `grace_s` or as soon as `hurry` is called."""
        if process.child is None:
            return
        process.child.send(signal.SIGTERM)
        ended = asyncio.create_task(process.child.wait(grace_s))
        hurried = asyncio.create_task(self._hurry.wait())
        await asyncio.wait((ended, hurried), return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        await process.child.stop([])
        await ended
