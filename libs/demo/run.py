"""`omnijourney demo`: from an empty directory to tables, checks and a report."""

import asyncio
import functools
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
from rich.console import Console

from libs.client import Client
from libs.common.clock import ClockRefusedError
from libs.common.db.sql_files import MigrationError
from libs.common.logging import setup_logging
from libs.demo.attributed import attribute
from libs.demo.checks import check
from libs.demo.collect import Collector
from libs.demo.conductor import Conductor, InstallationInstruments
from libs.demo.expected import expect
from libs.demo.figures import Figures, write_report
from libs.demo.grocer import read_grocer
from libs.demo.patience import DemoFault
from libs.demo.progress import ReplayProgress
from libs.demo.replay import GRID_MAX, Replay, grid_for
from libs.demo.shop import read_shop
from libs.demo.shopfront import Builder, Shopfront, approve_templates
from libs.demo.simulated import Simulator
from libs.demo.stream import SourceFault, Stream
from libs.demo.tables import show_checks, show_figures, show_stream
from libs.demo.visitors import Visit, Visitors
from libs.demo.watching import dashboards_of, prometheus
from libs.demo.webhooks import WebhookPoster
from libs.demo.whereto import show_where_to_look
from libs.demo.workplace import fresh_directory
from libs.embedded import EmbeddedError
from libs.embedded.keepalive import Died, Event
from libs.emulators.config import EmulatorSettings
from libs.supervisor import Installation, InstallationOptions, InstallationSettings

EXIT_FAULT = 1
EXIT_INTERRUPTED = 130
MONTH_DEFAULT = 12
EMULATOR_RATE = 1_000.0
"""Messages a second that the emulated accounts take: their clock is real while the demo's is fast."""
HTTP_TIMEOUT = aiohttp.ClientTimeout(total=30)
PLAIN_WIDTH = 130
"""Columns where the output is no terminal."""
LEAD = timedelta(minutes=1)
"""Domain time between the beginning of the clock, when the team is set up, and the first checkout."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says."""

    month: int = MONTH_DEFAULT
    data: Path | None = None
    """A file of the shop's form; none is the grocer's month."""
    report: Path | None = None
    speed: float | None = None
    """Most domain seconds per real second; none is as fast as everything settles."""
    data_dir: Path | None = None
    """The demo works in `demo` below it; none is the configured one."""
    watch: Path | None = None
    """The folder with the dashboards and alerts that a Prometheus watches it by; none: nobody watches."""


def run_demo(
    month: int = MONTH_DEFAULT,
    data: Path | None = None,
    report: Path | None = None,
    speed: float | None = None,
    *,
    watch: Path | None = None,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> int:
    """Runs the demo; see DemoOptions. Returns the exit code: 0 only when everything was done and all figures agree."""
    setup_logging("demo", "warning")  # what a person wants to know is printed here in words
    console = console or _console()
    options = DemoOptions(month, data, report, speed, data_dir, watch)
    try:
        return asyncio.run(_until_stopped(options, console))
    except (DemoFault, SourceFault, EmbeddedError, MigrationError, ClockRefusedError, OSError) as error:
        console.print("[bold red]the demo failed:[/]", end=" ")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return EXIT_FAULT


def _console() -> Console:
    """Standard output; wide enough for the tables where nobody says how wide it is."""
    console = Console()
    return console if console.is_terminal else Console(width=PLAIN_WIDTH)


class _Stopper:
    """What a signal does: the first ends the demo's work, later ones hurry the end that is under way."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.stopping = False
        self.ending = False
        """Set when the work is done and only the stop is left, which must not be cut short."""
        self.work: asyncio.Task[int] | None = None
        self.installation: Installation | None = None

    def stop(self) -> None:
        """Handles one signal."""
        if self.stopping or self.ending:
            if self.installation is not None:
                self.installation.hurry()
            return
        self.stopping = True
        self._console.print("[yellow]stopping (once more to hurry) …[/]")
        if self.work is not None:
            self.work.cancel()


async def _until_stopped(options: DemoOptions, console: Console) -> int:
    """Runs the demo until it ends or a signal says stop."""
    stopper = _Stopper(console)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopper.stop)
    stopper.work = asyncio.create_task(_demo(options, console, stopper))
    try:
        return await stopper.work
    except asyncio.CancelledError:
        if not stopper.stopping:
            raise
        return EXIT_INTERRUPTED


async def _demo(options: DemoOptions, console: Console, stopper: _Stopper) -> int:
    began_s = time.monotonic()
    stream = await asyncio.to_thread(_read, options)
    show_stream(console, stream)
    if not stream.checkouts:
        raise DemoFault("there is nothing to replay in it")
    settings = _settings(options)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(fresh_directory(settings.data_dir))
        settings = settings.model_copy(update={"data_dir": directory})
        start = stream.checkouts[0].occurred_at - LEAD
        console.print(f"starting everything in {directory} …", highlight=False, soft_wrap=True)
        installation = Installation(_installation(settings, start, console))
        stopper.installation = installation
        await stack.enter_async_context(installation)
        token = f"{directory}/token"
        console.print(
            f"the console: {installation.console_url} (token in {token})", highlight=False, soft_wrap=True
        )
        client = await stack.enter_async_context(Client(installation.targets, installation.token))
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=HTTP_TIMEOUT))
        demo = _Demo(stream, options.speed, console, installation, client, session)
        watched = await stack.enter_async_context(_watched(options.watch, demo))
        figures = replace(await demo.run(start), dashboards=await watched())
        stopper.ending = True
    return _finish(replace(figures, wall_s=time.monotonic() - began_s), stream, options, console, demo)


@asynccontextmanager
async def _watched(
    deployed: Path | None, demo: "_Demo"
) -> AsyncIterator[Callable[[], Awaitable[Mapping[str, int]]]]:
    """What says how many series each query of the dashboards has; of none where nobody watches."""
    if deployed is None:

        async def nobody() -> Mapping[str, int]:
            return {}

        yield nobody
        return
    targets, directory = demo.installation.metrics_urls, demo.installation.data_dir / "prometheus"
    queries = dashboards_of(deployed)
    async with prometheus(targets, deployed, directory, demo.session) as server:
        yield functools.partial(server.series_of, queries)


@dataclass(slots=True)
class _Demo:
    """One replay on an installation that runs."""

    stream: Stream
    speed: float | None
    console: Console
    installation: Installation
    client: Client
    session: aiohttp.ClientSession
    shopfront: Shopfront | None = None
    """Set by `run`."""
    span: tuple[datetime, datetime] | None = None
    """The time of the replay, set by `run`."""
    visits: Sequence[Visit] = ()
    """Who opened links in it, set by `run`."""

    @property
    def receipts(self) -> Path:
        """Where the emulators write their logs."""
        return self.installation.data_dir / "emulators"

    async def run(self, start: datetime) -> Figures:
        """Sets up, replays, collects, and simulates the same."""
        self.console.print(
            f"setting up the team and {len(self.stream.members):,} customers …", highlight=False
        )
        await approve_templates(self.session, self.installation.channel_urls["whatsapp"])
        builder = Builder(self.client, self.stream.profile, EmulatorSettings.model_construct())
        self.shopfront = await builder.build(self.stream.members)
        instruments = InstallationInstruments(self.client)
        conductor = Conductor(instruments, start, self.speed)
        await conductor.settle()
        rate = await self._replay(conductor)
        collector = Collector(self.client, self.shopfront, self.stream.members, self.receipts)
        await collector.wait_for_stats()
        figures = await collector.collect(rate)
        self.span = start, conductor.now + GRID_MAX
        simulated = await Simulator(self.client, self.shopfront).run(*self.span)
        recounted = attribute(self.stream.checkouts, self.visits, self.shopfront.journeys)
        return replace(figures, simulated=simulated, recounted=recounted)

    async def _replay(self, conductor: Conductor) -> float:
        """Returns checkouts a second."""
        assert self.shopfront is not None
        profile = self.stream.profile
        url = (
            f"{self.installation.http_url}/v1/teams/{self.shopfront.team_id}"
            f"/shops/{self.shopfront.shop_id}/events"
        )
        poster = WebhookPoster(self.session, url, self.shopfront.webhook_secret, profile.currency)
        checkouts = self.stream.checkouts
        began_s = time.monotonic()
        links = f"{self.installation.http_url}/l"
        visitors = Visitors(self.session, self.receipts, self.stream.members, links)
        with ReplayProgress(self.console, len(checkouts), lambda: visitors.message_count) as progress:
            await Replay(checkouts, conductor, poster, grid_for(self.speed), visitors).run(progress.tell)
        self.visits = visitors.visits
        return len(checkouts) / (time.monotonic() - began_s)


def _finish(figures: Figures, stream: Stream, options: DemoOptions, console: Console, demo: _Demo) -> int:
    checks = check(figures, expect(stream))
    show_figures(console, figures)
    show_checks(console, checks)
    assert demo.shopfront is not None
    assert demo.span is not None
    show_where_to_look(console, demo.installation.data_dir, demo.shopfront, demo.span)
    if options.report is not None:
        write_report(figures, options.report)
    return 0 if all(found.good for found in checks) else EXIT_FAULT


def _read(options: DemoOptions) -> Stream:
    return read_shop(options.data) if options.data is not None else read_grocer(options.month)


def _settings(options: DemoOptions) -> InstallationSettings:
    """Own servers on loopback, whatever the environment configures: the demo moves the clock."""
    settings = InstallationSettings(
        postgres_dsn="",
        redis_url="",
        token="",
        bind_host="127.0.0.1",
        clock_control="on",
        tls_ca_file=None,
        tls_key_file=None,
        tls_cert_file=None,
        tls_clients="off",
    )
    return (
        settings if options.data_dir is None else settings.model_copy(update={"data_dir": options.data_dir})
    )


def _installation(settings: InstallationSettings, start: datetime, console: Console) -> InstallationOptions:
    def tell(event: Event) -> None:
        what = f"ended ({event.why}), starts again" if isinstance(event, Died) else "runs again"
        console.print(f"{event.name} {what}", markup=False, highlight=False)

    # The emulators and the team's accounts share the defaults of EmulatorSettings, so nothing else may set them.
    emulators = EmulatorSettings.model_construct()
    return InstallationOptions(
        settings=settings,
        free_ports=True,
        emulators=True,
        console=True,
        clock_start=start,
        listener=tell,
        environment={
            "OMNIJOURNEY_EMULATOR_TOKEN": emulators.token,
            "OMNIJOURNEY_EMULATOR_SECRET": emulators.secret,
            "OMNIJOURNEY_EMULATOR_WHATSAPP_RATE": str(EMULATOR_RATE),
        },
    )
