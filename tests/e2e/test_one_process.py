"""`omnijourney up --one-process`: journeys walk through all five services in one process, which dies in the middle."""

import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
from typer.testing import CliRunner

from libs.cli.main import app
from libs.client import SERVICES, Client
from libs.common.process import EXIT_SERVER_AWAY
from libs.supervisor import Died, Event, Installation, InstallationOptions, InstallationSettings
from libs.supervisor.plan import TOGETHER
from tests.e2e.installation import up
from tests.e2e.test_cluster import BATCH, CUSTOMERS, WANTED, Site, counts_at_last, join, set_up
from tests.integration.embedded.holder import still_running

BLOWS = (2, 6)
"""Batches after which the process is killed."""
KILLED = "signal SIGKILL"
TOO_LATE = f"exit code {EXIT_SERVER_AWAY}"
"""On a busy machine the servers may answer five services that start at once too late; then these are started again."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """For a data directory, with room for sockets in its path."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.mark.timeout(480)
async def test_journeys_walk_through_one_process_that_dies_twice(directory: Path) -> None:
    deaths: Counter[tuple[str, str]] = Counter()

    def hear(event: Event) -> None:
        if isinstance(event, Died):
            deaths[event.name, event.why] += 1

    settings = InstallationSettings(clock_control="on", data_dir=directory / "data")
    options = InstallationOptions(settings=settings, free_ports=True, one_process=True, listener=hear)
    async with (
        Installation(options) as installation,
        Client(installation.targets, installation.token, installation.tools_token) as client,
    ):
        admin = await asyncpg.connect(installation.postgres_dsn)
        try:
            site = Site(client, admin)
            await set_up(site)
            for number, start in enumerate(range(0, len(CUSTOMERS), BATCH)):
                await join(site, CUSTOMERS[start : start + BATCH])
                if number in BLOWS:
                    os.kill(installation.pid_of(TOGETHER), signal.SIGKILL)
            assert await counts_at_last(site) == WANTED
        finally:
            await admin.close()
        assert deaths[TOGETHER, KILLED] == len(BLOWS)
        assert set(deaths) <= {(TOGETHER, KILLED), (TOGETHER, TOO_LATE)}
        assert {installation.pid_of(service) for service in SERVICES} == {installation.pid_of(TOGETHER)}


def test_it_is_one_process_that_serves_five_and_ends_within_ten_seconds(directory: Path) -> None:
    with up(directory / "data", "--one-process", "--tls", "mutual") as started:
        everything = started.everything()
        ours = [pid for pid in everything if "services" in psutil.Process(pid).cmdline()]
        assert len(ours) == 1
        done = CliRunner().invoke(app, ["status", "--data-dir", str(directory / "data")])
        assert (done.exit_code, done.output.count("serving")) == (0, len(SERVICES))
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(10) == 0
        assert still_running(everything, 0.1) == []
