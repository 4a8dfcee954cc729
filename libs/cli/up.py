"""`omnijourney up`: an installation in the foreground."""

import asyncio
import dataclasses
import shlex
import signal
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from rich.markup import escape
from rich.table import Table

from libs.cli.console import err, fail, out
from libs.common.db.sql_files import MigrationError
from libs.common.logging import setup_logging
from libs.embedded import EmbeddedError
from libs.supervisor import Died, Event, Installation, InstallationOptions

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def run_up(options: InstallationOptions) -> int:
    """Starts everything, says where it is, and stops it when a signal says so. Returns the exit code."""
    setup_logging("up", "warning")  # what a person wants to know is printed here in words
    try:
        installation = Installation(dataclasses.replace(options, listener=tell, progress=progress()))
        await run_until_stopped(installation, welcome)
    except (EmbeddedError, MigrationError, OSError) as error:
        return fail(error)
    return 0


async def run_until_stopped(installation: Installation, started: Callable[[Installation], None]) -> None:
    """Runs an installation until SIGINT, SIGTERM or SIGHUP, also in the middle of its start; a second signal hurries.

    Errors: those of `Installation.start`; everything is stopped then.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, _on_signal, installation, stopping)
    starting = asyncio.create_task(installation.start())
    waiting = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({starting, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            started(installation)
            await waiting
    finally:
        for task in (starting, waiting):
            task.cancel()
        await asyncio.gather(starting, waiting, return_exceptions=True)
        await installation.stop()
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _on_signal(installation: Installation, stopping: asyncio.Event) -> None:
    if stopping.is_set():
        err.print("stopping at once")
        installation.hurry()
    else:
        err.print("stopping (once more to hurry) …")
        stopping.set()


def tell(event: Event) -> None:
    """Prints what happened to a process."""
    if isinstance(event, Died):
        where = f"; its log: {event.log}" if event.log else ""
        err.print(
            f"[yellow]{event.name} ended[/] ({escape(event.why)}), starts again in {event.delay_s:.1f} s{where}",
            highlight=False,
            soft_wrap=True,
        )
    else:
        err.print(f"[green]{event.name} runs again[/] (process {event.pid})", highlight=False)


def progress() -> Callable[[str], None]:
    """Prints what the start has come to, with the seconds since now."""
    began_s = time.monotonic()

    def show(reached: str) -> None:
        err.print(f"[dim]{time.monotonic() - began_s:5.1f} s[/]  {escape(reached)}", highlight=False)

    return show


def welcome(installation: Installation) -> None:
    """Prints where everything is, and what to try."""
    services = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("service", "gRPC", "metrics", "process"):
        services.add_column(heading, header_style="bold")
    for service, target in installation.targets.items():
        services.add_row(
            service, target, installation.metrics_urls[service], str(installation.pid_of(service))
        )
    out.print("\n[bold green]omnijourney is up[/]  (Ctrl-C stops it)\n")
    out.print(services)
    out.print(_places(installation))
    out.print(_tries(installation), soft_wrap=True)


def _places(installation: Installation) -> Table:
    places = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    places.add_row()
    if installation.console_url:
        places.add_row("console", f"[bold]{installation.console_url}[/] (sign in with the token below)")
    places.add_row("webhooks in", installation.http_url)
    what = "emulator" if installation.emulators else "API"
    for channel, url in installation.channel_urls.items():
        places.add_row(f"{channel} {what}", url)
    places.add_row("PostgreSQL", _server(installation.postgres_dsn, installation, "postgres"))
    places.add_row("Redis", _server(installation.redis_url, installation, "valkey"))
    places.add_row("token", str(installation.data_dir / "token"))
    places.add_row("logs", str(installation.log_dir))
    return places


def _server(address: str, installation: Installation, name: str) -> str:
    """Where a server is, without its password."""
    parts = urlsplit(address)
    embedded = installation.attachment.embedded
    owned = embedded is not None and name in {server.name for server in embedded.servers}
    where = parts.netloc.rpartition("@")[2]
    return f"{where} (embedded, process {installation.pid_of(name)})" if owned else where


def shown(file: Path | None) -> str:
    """As short as it can be said from here, as a shell and as rich's markup take it."""
    if file is None:
        return "…"
    near = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return escape(shlex.quote(str(near)))


def _tries(installation: Installation) -> str:
    target = next(iter(installation.targets.values()))
    token_file = shown(installation.data_dir / "token")
    how = "-plaintext"
    if installation.tls is not None:
        how = f"-cacert {shown(installation.tls.ca_file)}"
        if installation.asks_for_certificates:
            how += f" -cert {shown(installation.tls.cert_file)} -key {shown(installation.tls.key_file)}"
    where = (
        "messages go to the emulators, and nobody gets one: `--no-emulators` for the real channels"
        if installation.emulators
        else "messages go to the real channels"
    )
    first = "omnijourney quickstart   [dim](the first message)[/]\n     " if installation.emulators else ""
    return (
        f"\n{where}\n"
        f"\n[dim]try[/]  {first}grpcurl {how} {target} list\n"
        f'     grpcurl {how} -H "authorization: Bearer $(cat {token_file})" {target} '
        "omnijourney.common.v1.InstallationService/GetLag\n"
        f"     omnijourney status   [dim](all services at one glance)[/]\n"
    )
