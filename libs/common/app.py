"""How a service starts and stops.

`runtime` gives a composition root all that every service needs: addresses, a database that fits, a pool under the
service's own role, the clock, a gRPC server. `libs.common.process` is the process around it.

A stop drains: health reports NOT_SERVING and long polls end (`draining`), running calls end, then workers are told
(`stopping`) and waited for, then connections close.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import asyncpg
import grpc
import structlog

from libs.common.backoff import Backoff, retrying
from libs.common.caller_directory import ClientDirectory
from libs.common.callers import CallerDirectory, EitherDirectory, StaticDirectory
from libs.common.clock import Clock, InstallationClock
from libs.common.config import ServiceSettings
from libs.common.db.audit import AuditLog
from libs.common.db.fitness import check_schema
from libs.common.db.installation import installation_of
from libs.common.db.migrate import migrate
from libs.common.db.pool import Pool, connection_of, open_pool
from libs.common.db.requests import keep_forgetting
from libs.common.db.roles import OwnCredentials, is_own
from libs.common.measures import Measure, Measuring, lag_measure
from libs.common.metrics import MetricsEndpoint
from libs.common.rpc import operations
from libs.common.rpc.client import channel
from libs.common.rpc.local import local_servers
from libs.common.rpc.long_work import DESCRIPTOR as OPERATIONS
from libs.common.rpc.long_work import NoOperations, Operations, OperationsServicer
from libs.common.rpc.operations import InstallationServicer, LagProbe
from libs.common.rpc.server import GrpcServer, PortTakenError, refuse_taken
from libs.common.servers import Endpoints, Servers
from libs.common.tasks import Loop
from libs.common.team_directory import TeamDirectory
from libs.common.tls import Tls
from omnijourney.common.v1 import installation_service_pb2_grpc, operations_service_pb2_grpc

WORKER_GRACE_S: Final = 5.0
"""How long workers may take to finish what they are at when the service stops."""
_DATABASE_WAIT_S: Final = 30.0
"""How long a starting service waits for its database to accept connections."""

OWNERS_WARNING: Final = "the service holds the owner's credentials: `omnijourney migrate` gives it its own"

_DATABASE_BACKOFF: Final = Backoff(0.4, 0.6, spread=0.5)

DATABASE_AWAY: Final = (
    OSError,
    asyncpg.CannotConnectNowError,
    asyncpg.PostgresConnectionError,
    TimeoutError,
)
_log = structlog.get_logger(__name__)

Run = Callable[[asyncio.Event], Coroutine[Any, Any, None]]
"""Works until the event is set."""


class ConfigurationFault(Exception):
    """A variable holds what the service cannot start with, as it turned out while it was starting."""

    def __init__(self, variable: str, fault: str) -> None:
        """`fault` says what is wrong, and shows no secret."""
        super().__init__(f"{variable}: {fault}")


@dataclass
class App:
    """A service that serves."""

    port: int
    """Its gRPC port."""
    metrics_port: int
    """The port of its Prometheus endpoint; 0: it has none of its own."""
    failed: "asyncio.Future[None]"
    """Ends with the error of a worker that ended by itself."""


@dataclass
class Runtime:
    """What every service is built from. Made by `runtime`."""

    settings: ServiceSettings
    pool: Pool
    """Connections under the service's own role."""
    dsn: str
    """The same role's address, for connections that listen."""
    redis_url: str
    """Address of the mailboxes' server, for `libs.common.mailbox.open_mailbox`."""
    installation: str
    """Which one it is, and where its database is, for `libs.common.mailbox.open_mailbox`."""
    clock: Clock
    token: str
    """Shown to other services."""
    server: GrpcServer
    draining: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the service begins to stop: long polls answer at once."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no call runs any more: workers finish and end."""
    measures: list[Measure] = field(default_factory=list)
    """What is measured every 15 s while the service serves, beside its lag."""
    _workers: "list[asyncio.Task[None]]" = field(default_factory=list)
    _failed: "asyncio.Future[None]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def channel(self, target: str) -> grpc.aio.Channel:
        """A channel to another service at `host:port`, by which this one proves itself."""
        settings = self.settings
        return channel(
            target, self.token, settings.tls, calls_dir=settings.calls_dir, bind_host=settings.bind_host
        )

    def spawn(self, name: str, run: Run) -> None:
        """Runs a loop until the service stops: the `run` of a `libs.common.tasks.Loop`, or a function like it. One that
        ends earlier ends the service."""
        self._workers.append(self._watched(name, run(self.stopping), self.stopping))

    @contextlib.asynccontextmanager
    async def running(self, name: str, loop: Loop) -> AsyncIterator[None]:
        """Runs a loop that others need until they have ended: it is told to stop at the end of the block, and waited
        for. One that ends earlier ends the service."""
        stopping = asyncio.Event()
        task = self._watched(name, loop.run(stopping), stopping)
        try:
            yield
        finally:
            stopping.set()
            await asyncio.gather(task, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def serving(self, probe: LagProbe, long_work: Operations | None = None) -> AsyncIterator[App]:
        """Serves what was added to `server`, with what every service has: lag and clock, its long work, metrics.

        Drains in the end.
        """
        self.server.add(
            operations_service_pb2_grpc.add_OperationsServiceServicer_to_server,
            OperationsServicer(long_work or NoOperations(), self.draining),
            OPERATIONS,
        )
        servicer = InstallationServicer(
            self.clock, probe, self.pool, clock_control=self.settings.clock_control == "on"
        )
        self.server.add(
            installation_service_pb2_grpc.add_InstallationServiceServicer_to_server,
            servicer,
            operations.DESCRIPTOR,
        )
        metrics = _open_metrics(self.settings)
        metrics_port = metrics.port if metrics is not None else 0
        try:
            await self.server.start()
            self.spawn("request log", partial(keep_forgetting, self.pool))
            lag = lag_measure(self.settings.service, probe, self.clock)
            self.spawn("measures", Measuring(self.settings.service, [lag, *self.measures]).run)
            _log.info("serving", port=self.server.port, metrics_port=metrics_port)
            yield App(self.server.port, metrics_port, self._failed)
        finally:
            _log.info("draining")
            self.draining.set()
            await self.server.drain()
            await self.end_workers()
            if metrics is not None:
                await asyncio.to_thread(metrics.close)
            _log.info("stopped")

    async def end_workers(self) -> None:
        """Tells the workers to finish, waits for them, and cancels those that do not. May be called twice."""
        self.draining.set()
        self.stopping.set()
        workers, self._workers = self._workers, []
        if not workers:
            return
        _, late = await asyncio.wait(workers, timeout=WORKER_GRACE_S)
        for task in late:
            _log.warning("worker did not end in time", worker=task.get_name(), grace_s=WORKER_GRACE_S)
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        if self._failed.done():
            self._failed.exception()  # seen, even if nobody waited for it

    def _watched(
        self, name: str, work: Coroutine[Any, Any, None], stopping: asyncio.Event
    ) -> "asyncio.Task[None]":
        task = asyncio.create_task(work, name=f"{self.settings.service} {name}")
        task.add_done_callback(partial(self._ended, stopping))
        return task

    def _ended(self, stopping: asyncio.Event, task: "asyncio.Task[None]") -> None:
        if task.cancelled() or (stopping.is_set() and task.exception() is None):
            return
        error = task.exception() or RuntimeError(f"the worker {task.get_name()} ended by itself")
        _log.error("worker failed", worker=task.get_name(), exc_info=error)
        if not self._failed.done():
            self._failed.set_exception(error)


@contextlib.asynccontextmanager
async def runtime(
    settings: ServiceSettings, *, package: str, servers: Servers, clock: Clock | None = None
) -> AsyncIterator[Runtime]:
    """All that the service in `package` is built from, on the `servers` handed in; `clock` instead of the
    installation's, for tests.

    Raises ServersUnavailable, MigrationError, PortTakenError, and the driver's errors when the database stays away.
    """
    for setting, port in settings.ports.items():
        refuse_taken(settings.bind_host, port, setting)  # before servers are started for it in vain
    held_token = settings.service_token.get_secret_value()
    async with contextlib.AsyncExitStack() as stack:
        ends = await stack.enter_async_context(
            servers(
                settings.data_dir,
                postgres_dsn=settings.postgres_dsn.get_secret_value(),
                redis_url=settings.redis_url.get_secret_value(),
                token=held_token or settings.token.get_secret_value(),
            )
        )
        if settings.postgres_dsn and not is_own(ends.postgres_dsn, settings.service):
            _log.warning(OWNERS_WARNING)
        dsn, token = await _own_credentials(ends, settings.service, package)
        pool = await open_pool(
            dsn,
            name=f"omnijourney {settings.service}",
            size_max=settings.pool_size_max,
            pooler=settings.pooler_address,
        )
        stack.push_async_callback(_close_pool, pool)
        if clock is None:
            clock = await stack.enter_async_context(InstallationClock.follow(dsn))
        callers: CallerDirectory = await stack.enter_async_context(ClientDirectory.follow(dsn))
        if not held_token:
            callers = EitherDirectory(StaticDirectory.installation(ends.token), callers)
        server = GrpcServer(
            host=settings.bind_host,
            port=settings.grpc_port,
            callers=callers,
            teams=TeamDirectory(pool),
            client_rate=settings.client_rate_max,
            tls=settings.tls,
            audit=AuditLog(pool).note,
            calls_dir=settings.calls_dir,
        )
        redis_url = Tls(settings.tls_ca_file).of_redis(ends.redis_url)
        async with connection_of(pool) as connection:
            installation = await installation_of(connection, dsn)
        made = Runtime(settings, pool, dsn, redis_url, installation, clock, token, server)
        # Workers may run before the service serves, and must end even if it never does.
        stack.push_async_callback(made.end_workers)
        yield made


async def _own_credentials(ends: Endpoints, service: str, package: str) -> OwnCredentials:
    """What the service proves itself with, in a database that is at this release's version: a service that was given
    the owner's address sees to that itself."""
    dsn, give_up_at = ends.postgres_dsn, time.monotonic() + _DATABASE_WAIT_S

    async def prepared() -> OwnCredentials:
        if not is_own(dsn, service):
            return await migrate(dsn, service, package)
        await check_schema(dsn, service, package)
        return OwnCredentials(dsn, ends.token)

    return await retrying(
        prepared,
        backoff=_DATABASE_BACKOFF,
        passing=DATABASE_AWAY,
        give_up=lambda: time.monotonic() > give_up_at,
        failed=_note_waiting,
    )


def _note_waiting(attempt: int, error: Exception) -> None:
    if attempt == 1:
        _log.warning("waiting for the database", wait_s_max=_DATABASE_WAIT_S, error=repr(error))


async def _close_pool(pool: Pool) -> None:
    try:
        await asyncio.wait_for(pool.close(), WORKER_GRACE_S)
    except TimeoutError:
        _log.warning("connections were still in use and are cut")
        pool.terminate()


def _open_metrics(settings: ServiceSettings) -> MetricsEndpoint | None:
    """None: another service of the process shows the metrics of all."""
    servers = local_servers()
    if servers is not None and servers.metrics_of != settings.service:
        return None
    try:
        context = settings.tls.server_context() if settings.tls is not None else None
        return MetricsEndpoint(settings.bind_host, settings.prometheus_port, context)
    except OSError as error:
        raise PortTakenError(settings.bind_host, settings.prometheus_port, error, "metrics_port") from error
