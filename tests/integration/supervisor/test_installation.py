"""The supervisor with stub services and real servers: ready means serving, the dead come back, faults are clear."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import asyncpg
import psutil
import pytest

from libs.client import ClientSettings, ServiceName, is_serving
from libs.embedded import StartFailedError
from libs.embedded.datadir import DataDir, OwnerLock
from libs.embedded.process import Spec
from libs.supervisor import (
    Died,
    Event,
    Installation,
    InstallationSettings,
    PortTakenError,
    Restarted,
    starting,
    watching,
)
from libs.supervisor import installation as installation_module
from libs.supervisor.managed import ManagedProcess
from tests.integration.embedded.holder import still_running
from tests.integration.supervisor.stubs import STUBBED, stub_options


def _environment_of(installation: Installation, service: str) -> dict[str, str]:
    """What a stub said that it was given."""
    said: dict[str, str] = json.loads((installation.log_dir / f"{service}.log").read_text().splitlines()[0])
    return said


async def test_started_means_that_every_service_serves(data_dir: Path) -> None:
    reached: list[str] = []
    async with Installation(stub_options(data_dir, progress=reached.append)) as installation:
        assert reached[:2] == ["PostgreSQL and Redis answer", "the database is up to date"]
        assert {f"{service} serves" for service in STUBBED} == set(reached[2:])
        assert set(installation.targets) == set(STUBBED)
        for target in installation.targets.values():
            assert await is_serving(target)
        running = [installation.pid_of(name) for name in (*STUBBED, "postgres", "valkey")]
        assert len(set(running)) == 5
        connection = await asyncpg.connect(installation.postgres_dsn)
        await connection.close()
    assert still_running(running) == []
    assert not await is_serving(installation.targets["journey"])


async def test_every_service_is_given_addresses_and_ports_and_nothing_of_the_owners(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_POSTGRES_DSN", "")
    monkeypatch.setenv("OMNIJOURNEY_TOKEN", "")
    options = stub_options(
        data_dir,
        settings=InstallationSettings(data_dir=data_dir, clock_control="on"),
        environment={"OMNIJOURNEY_LOG_LEVEL": "debug"},
    )
    async with Installation(options) as installation:
        given = _environment_of(installation, "points")
        assert given == _environment_of(installation, "stats")
        assert not {"OMNIJOURNEY_POSTGRES_DSN", "OMNIJOURNEY_TOKEN"} & given.keys()
        assert not {installation.postgres_dsn, installation.token} & set(given.values())
        assert given["OMNIJOURNEY_REDIS_URL"] == installation.redis_url
        assert installation.token == (data_dir / "token").read_text().strip()
        assert given["OMNIJOURNEY_STATS_TARGET"] == installation.targets["stats"]
        assert installation.http_url.endswith(":" + given["OMNIJOURNEY_HTTP_PORT"])
        assert given["OMNIJOURNEY_CLOCK_CONTROL"] == "on"
        assert given["OMNIJOURNEY_LOG_LEVEL"] == "debug"


async def test_a_client_finds_a_running_installation_by_its_data_directory(data_dir: Path) -> None:
    settings = ClientSettings(data_dir=data_dir)
    async with Installation(stub_options(data_dir)) as installation:
        assert settings.targets().items() >= installation.targets.items()
        assert settings.api_token() == installation.token
    assert settings.targets()["journey"] == "127.0.0.1:7401"


async def test_a_killed_service_comes_back_at_its_old_address(data_dir: Path) -> None:
    heard: list[Event] = []
    async with Installation(stub_options(data_dir, listener=heard.append)) as installation:
        for deaths in (1, 2):
            old = installation.pid_of("journey")
            os.kill(old, signal.SIGKILL)
            async with asyncio.timeout(60):
                while len([event for event in heard if isinstance(event, Restarted)]) < deaths:
                    await asyncio.sleep(0.02)
                while not await is_serving(installation.targets["journey"]):
                    await asyncio.sleep(0.02)
            assert installation.pid_of("journey") != old
    died = [event for event in heard if isinstance(event, Died)]
    assert [(event.name, event.why, event.delay_s) for event in died] == [
        ("journey", "signal SIGKILL", 0.2),
        ("journey", "signal SIGKILL", 0.4),
    ]


async def test_a_service_that_runs_and_answers_no_more_is_started_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(watching, "SILENT_S_MAX", 0.5)
    heard: list[Event] = []
    async with Installation(stub_options(data_dir, listener=heard.append)) as installation:
        old = installation.pid_of("journey")
        os.kill(old, signal.SIGSTOP)
        while not heard:
            await asyncio.sleep(0.02)
        while not await is_serving(installation.targets["journey"]):
            await asyncio.sleep(0.02)
        assert installation.pid_of("journey") != old
    assert [(event.name, event.why) for event in heard if isinstance(event, Died)] == [
        ("journey", "signal SIGKILL")
    ]


async def test_a_service_that_cannot_start_stops_everything_and_is_quoted(data_dir: Path) -> None:
    before = set(psutil.Process().children())  # the servers of the test session, if it has started them
    with pytest.raises(StartFailedError) as caught:
        async with Installation(stub_options(data_dir, {"stats": "--die"})):
            pass
    message = str(caught.value)
    assert message.startswith("stats ended at its start (exit code 2)")
    assert "OMNIJOURNEY_SOMETHING: not a number" in message
    assert set(psutil.Process().children()) <= before


async def test_who_is_slow_is_waited_for_and_named_and_who_was_not_answered_is_started_again(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "TELL_EVERY_S", 0.05)
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        if text.startswith("still waiting for journey (see "):
            (data_dir / "go").touch()

    flags: dict[ServiceName, str] = {"journey": "--late", "stats": "--away-once"}
    async with Installation(stub_options(data_dir, flags, progress=hear)):
        pass
    assert any(text.startswith("still waiting for PostgreSQL and Redis") for text in said)
    assert "stats was not answered in time by a server, and is started again" in said
    assert said[-1] == "journey serves"


async def _waited_for(tmp_path: Path, program: str) -> str:
    """Why the start gives up a process that does this, and never serves."""

    async def never() -> bool:
        return False

    spec = Spec(name="points", command=[sys.executable, "-c", program], env={}, log=tmp_path / "points.log")
    process = ManagedProcess(spec, never)
    await process.start()
    try:
        with pytest.raises(StartFailedError) as caught:
            await starting.until_ready({"points": process}, starting.Start(lambda _: None), tmp_path)
    finally:
        assert process.child is not None
        await process.child.stop([])
    return str(caught.value)


async def test_a_process_that_is_never_answered_or_never_serves_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = "import sys; print('OMNIJOURNEY_REDIS_URL: away'); sys.exit(4)"
    given_up = await _waited_for(tmp_path, away)
    assert given_up.startswith("points ended at its start (exit code 4)")
    assert given_up.count("OMNIJOURNEY_REDIS_URL: away") == starting.AWAY_MAX + 1
    monkeypatch.setattr(starting, "READY_WITHIN_S", 0.0)
    given_up = await _waited_for(tmp_path, "import time; time.sleep(600)")
    assert given_up == f"not ready after 0 s: points; see {tmp_path}"


HURRIES_WITHIN_S = 60.0


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not hurry takes five minutes to stop."""
    monkeypatch.setattr(installation_module, "DRAIN_S", 300.0)
    monkeypatch.setattr(installation_module, "STOP_WITHIN_S", 310.0)


@pytest.mark.usefixtures("patience")
async def test_a_stubborn_service_is_killed_when_told_to_hurry(data_dir: Path) -> None:
    installation = Installation(stub_options(data_dir, {"points": "--stubborn"}))
    await installation.start()
    running = [installation.pid_of(name) for name in (*STUBBED, "postgres", "valkey")]
    asyncio.get_running_loop().call_later(0.5, installation.hurry)
    async with asyncio.timeout(HURRIES_WITHIN_S):
        await installation.stop()
    assert still_running(running, 0.1) == []


@pytest.mark.usefixtures("patience")
async def test_a_cancellation_during_the_stop_hurries_it(data_dir: Path) -> None:
    entered = asyncio.Event()
    running: list[int] = []

    async def work() -> None:
        async with Installation(stub_options(data_dir, {"points": "--stubborn"})) as installation:
            running.extend(installation.pid_of(name) for name in (*STUBBED, "postgres", "valkey"))
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    asyncio.get_running_loop().call_later(0.5, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(HURRIES_WITHIN_S):
            await task
    assert still_running(running, 0.1) == []


async def test_taken_ports_are_all_named_before_anything_starts(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        taken = [listener.getsockname()[1] for listener in (first, second)]
        monkeypatch.setenv("OMNIJOURNEY_POINTS_PORT", str(taken[0]))
        monkeypatch.setenv("OMNIJOURNEY_HTTP_PORT", str(taken[1]))
        options = stub_options(data_dir, settings=InstallationSettings(data_dir=data_dir), free_ports=False)
        with pytest.raises(PortTakenError) as caught:
            async with Installation(options):
                pass
    message = str(caught.value)
    assert f"port {taken[0]} on 127.0.0.1 is taken, points needs it: see OMNIJOURNEY_POINTS_PORT" in message
    assert f"port {taken[1]} on 127.0.0.1 is taken, http needs it: see OMNIJOURNEY_HTTP_PORT" in message
    assert not data_dir.exists()


async def test_a_database_that_is_away_is_named_by_its_variable(data_dir: Path) -> None:
    settings = InstallationSettings(
        data_dir=data_dir, postgres_dsn="postgresql://a:b@127.0.0.1:1/x", redis_url="redis://127.0.0.1:1"
    )
    options = stub_options(data_dir, settings=settings, commands={})
    with pytest.raises(StartFailedError, match=r"does not let us in \(.*see OMNIJOURNEY_POSTGRES_DSN"):
        async with Installation(options):
            pass


async def _as_another_process(data_dir: Path) -> str:
    """What the command says when it is started in the same data directory."""
    root = Path(__file__).parents[3]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(Path(__file__).with_name("up_stubs.py")), str(data_dir)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=root,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    return " ".join(said.decode().split())


async def test_a_second_installation_in_the_same_data_directory_is_refused(data_dir: Path) -> None:
    async with Installation(stub_options(data_dir)) as installation:
        before = (data_dir / "installation.json").read_text()
        said = await _as_another_process(data_dir)
        assert f"process {os.getpid()} runs an installation in {data_dir} already" in said
        assert "OMNIJOURNEY_DATA_DIR" in said
        assert (data_dir / "installation.json").read_text() == before
        assert await is_serving(installation.targets["journey"])
    async with Installation(stub_options(data_dir)):
        pass


async def test_a_second_installation_is_refused_while_the_first_one_starts(data_dir: Path) -> None:
    lock = OwnerLock(DataDir.open(data_dir), "installation.lock")
    assert lock.try_acquire()
    try:
        said = await _as_another_process(data_dir)
    finally:
        lock.release()
    assert f"another process runs an installation in {data_dir} already" in said


async def test_configured_servers_are_used_and_left_running(data_dir: Path) -> None:
    async with Installation(stub_options(data_dir)) as first:
        settings = InstallationSettings(
            data_dir=data_dir.with_name("other"),
            postgres_dsn=first.postgres_dsn,
            redis_url=first.redis_url,
            token="t",
        )
        async with Installation(stub_options(data_dir, settings=settings)) as second:
            assert second.attachment.embedded is None
            assert second.token == "t"
            with pytest.raises(KeyError):
                second.pid_of("postgres")
        connection = await asyncpg.connect(first.postgres_dsn)
        await connection.close()
