"""The process around a service, or around several: event loop, logs, signals, exit code."""

import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, TypeVar

import asyncpg
import structlog
import uvloop

from libs.common import crash
from libs.common.app import DATABASE_AWAY, App, ConfigurationFault
from libs.common.config import EXIT_CONFIG, ServiceSettings, variable_of
from libs.common.db.sql_files import MigrationError
from libs.common.logging import log_as, setup_logging
from libs.common.mailbox.errors import MailboxOfAnother, MailboxUnavailable
from libs.common.rpc import local
from libs.common.rpc.server import PortTakenError
from libs.common.servers import ServersUnavailable
from libs.common.trace_export import exporting

EXIT_OK: Final = 0
EXIT_FAULT: Final = 1
EXIT_PORT_TAKEN: Final = 3
EXIT_SERVER_AWAY: Final = 4
EXIT_DATABASE_UNFIT: Final = 5

GC_THRESHOLD: Final = 50_000
"""New objects, less those that died, after which the garbage collector looks for cycles among the young."""
_DATABASE_REFUSES: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)

_log = structlog.get_logger(__name__)

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
Serving = AbstractAsyncContextManager[App]
Serve = Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]
"""Serves until the first event is set; sets the second when it serves."""

# What ends a starting service with a line for people instead of a stack: kinds, exit code, variable to look at.
_GIVE_UP: Final[tuple[tuple[tuple[type[Exception], ...], int, str], ...]] = (
    ((ServersUnavailable,), EXIT_SERVER_AWAY, ""),
    ((MigrationError,), EXIT_DATABASE_UNFIT, ""),
    (_DATABASE_REFUSES, EXIT_CONFIG, "OMNIJOURNEY_POSTGRES_DSN: "),
    ((MailboxOfAnother,), EXIT_CONFIG, "OMNIJOURNEY_REDIS_URL: "),
    ((MailboxUnavailable,), EXIT_SERVER_AWAY, "OMNIJOURNEY_REDIS_URL: "),
    (DATABASE_AWAY, EXIT_SERVER_AWAY, "OMNIJOURNEY_POSTGRES_DSN: the server does not answer: "),
)


def run(service: str, settings: SettingsT, app: Callable[[SettingsT], Serving]) -> int:
    """Runs a service until SIGTERM or SIGINT, or until a worker fails; returns the exit code for `sys.exit`."""
    setup_logging(service, settings.log_level)
    crash.arm(settings.crash_points)
    with exporting(settings.traces_endpoint, settings.traces_ratio, settings.tls_ca_file):
        return _run(service, partial(_until_stopped, settings, app))


Member = tuple[ServiceSettings, Callable[[Any], Serving]]
"""A service with its settings and its composition root."""


def run_together(name: str, members: Sequence[Member]) -> int:
    """Runs services in one process, which call each other without a socket (docs/adr/0028), until SIGTERM or SIGINT.
    One whose worker fails ends all. The first serves the metrics of all. Returns the exit code for `sys.exit`."""
    first = members[0][0]
    setup_logging(name, first.log_level)
    crash.arm(first.crash_points)
    with (
        local.together(metrics_of=first.service),
        exporting(first.traces_endpoint, first.traces_ratio, first.tls_ca_file),
    ):
        return _run(name, partial(_all_until_stopped, members))


def _run(name: str, serve: Serve) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(serve))
        except WorkerFailedError:
            return EXIT_FAULT
        except PortTakenError as error:
            sys.stderr.write(f"{name}: {error}; set {error.variable} to another one (0: any free one)\n")
            return EXIT_PORT_TAKEN
        except Exception as error:  # noqa: BLE001 - the last resort, told and answered by an exit code
            return _give_up(name, error)
    return EXIT_OK


def _give_up(service: str, error: Exception) -> int:
    if isinstance(error, ConfigurationFault):
        sys.stderr.write(f"{service}: {error}\n")
        return EXIT_CONFIG
    for kinds, code, prefix in _GIVE_UP:
        if isinstance(error, kinds):
            sys.stderr.write(f"{service}: {prefix}{str(error) or type(error).__name__}\n")
            return code
    # Into the log, where secrets are blanked, and not onto stderr as it is.
    _log.critical("service failed", exc_info=error)
    return EXIT_FAULT


class WorkerFailedError(Exception):
    """A worker ended by itself; it was logged."""


async def _serve(serve: Serve) -> None:
    stopping = asyncio.Event()
    entered = asyncio.Event()
    service = asyncio.create_task(serve(stopping, entered), name="service")

    def stop() -> None:
        stopping.set()
        if not entered.is_set():
            # Still starting (waiting for its database, say): nothing to drain.
            service.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await service
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise


def _tune_garbage_collection() -> None:
    """A batch makes ten thousands of objects that die by themselves: looking through all living ones for cycles every
    700 finds nothing. Modules and what the service is built of are not looked at any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 10, 10)


async def _until_stopped(
    settings: SettingsT,
    app: Callable[[SettingsT], Serving],
    stopping: asyncio.Event,
    entered: asyncio.Event,
) -> None:
    async with _naming_ports(settings), app(settings) as serving:
        _tune_garbage_collection()
        entered.set()
        waiting = asyncio.create_task(stopping.wait(), name="stop signal")
        await asyncio.wait((waiting, serving.failed), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if serving.failed.done():
            raise WorkerFailedError from serving.failed.exception()


@contextlib.asynccontextmanager
async def _naming_ports(settings: ServiceSettings) -> AsyncIterator[None]:
    """A port that is taken is told by the variable that changes it."""
    try:
        yield
    except PortTakenError as error:
        error.variable = variable_of(type(settings), error.setting)
        raise


async def _all_until_stopped(
    members: Sequence[Member], stopping: asyncio.Event, entered: asyncio.Event
) -> None:
    """Each serves in a task of its own; the first that fails stops the others. Raises what the first raised."""
    served = [asyncio.Event() for _ in members]
    tasks = [
        asyncio.create_task(_as_member(settings, app, stopping, each), name=settings.service)
        for (settings, app), each in zip(members, served, strict=True)
    ]
    failed: list[Exception] = []
    for task in tasks:
        task.add_done_callback(partial(_note_failure, failed))
    ready = asyncio.create_task(_when_all(served, entered), name="all serve")
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        ready.cancel()
        stopping.set()
        for task, each in zip(tasks, served, strict=True):
            if not each.is_set():
                task.cancel()  # still starting: nothing to drain
        await asyncio.gather(*tasks, return_exceptions=True)
    if failed:
        raise failed[0]


def _note_failure(failed: list[Exception], task: "asyncio.Task[None]") -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, Exception):
        failed.append(error)


async def _as_member(
    settings: SettingsT, app: Callable[[SettingsT], Serving], stopping: asyncio.Event, served: asyncio.Event
) -> None:
    log_as(settings.service)
    await _until_stopped(settings, app, stopping, served)


async def _when_all(served: Sequence[asyncio.Event], entered: asyncio.Event) -> None:
    for each in served:
        await each.wait()
    entered.set()
