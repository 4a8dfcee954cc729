"""How a service starts and stops, in the test's process and as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import sys
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest

from libs.common.app import OWNERS_WARNING, runtime
from libs.common.clock import SteppedClock
from libs.common.config import EXIT_CONFIG
from libs.common.process import EXIT_DATABASE_UNFIT, EXIT_FAULT, EXIT_OK, EXIT_PORT_TAKEN
from libs.common.rpc.errors import remote_error
from libs.common.rpc.operations import NothingPending, Progress
from libs.common.rpc.server import PortTakenError
from libs.embedded import attach
from libs.embedded.ports import free_port
from libs.testing.fixtures import Database, Databases, Servers
from omnijourney.common.v1 import installation_service_pb2 as pb
from omnijourney.common.v1 import installation_service_pb2_grpc as pb_grpc
from tests.integration.common.conftest import PACKAGE
from tests.integration.common.diary.app import Settings, app

START = datetime(2017, 12, 1, tzinfo=UTC)
Start = Callable[..., Awaitable[Process]]


def _stub(channel: grpc.aio.Channel) -> Any:
    return pb_grpc.InstallationServiceStub(channel)


async def test_a_service_serves_in_the_tests_own_process(servers: Servers, database: Database) -> None:
    clock = SteppedClock(START)
    settings = servers.settings(Settings, database)
    async with app(settings, clock=clock) as serving, servers.channel(serving.port) as channel:
        answer = await _stub(channel).GetClock(pb.GetClockRequest(), timeout=20)
        assert (answer.now.ToDatetime(tzinfo=UTC), answer.rate, answer.version) == (START, 0, 1)
        url = f"http://127.0.0.1:{serving.metrics_port}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=20).read())
        assert b"omnijourney_rpc_requests_total" in text


async def test_two_services_follow_one_clock(servers: Servers, database: Database) -> None:
    settings = servers.settings(Settings, database)
    async with (
        app(settings) as one,
        app(settings) as other,
        servers.channel(one.port) as channel,
        servers.channel(other.port) as other_channel,
    ):
        future = datetime.now(UTC) + timedelta(days=400)
        request = pb.SetClockRequest(rate=0, expected_version=1)
        request.domain_time.FromDatetime(future)
        version = (await _stub(channel).SetClock(request, timeout=20)).version
        lag = await _stub(other_channel).GetLag(pb.GetLagRequest(min_clock_version=version), timeout=20)
        assert (lag.pending, lag.clock_version) == (0, 2)
        now = await _stub(other_channel).GetClock(pb.GetClockRequest(), timeout=20)
        assert now.now.ToDatetime(tzinfo=UTC) == future
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _stub(channel).SetClock(pb.SetClockRequest(rate=1, expected_version=1), timeout=20)
        assert remote_error(caught.value).reason == "CLOCK_VERSION_MISMATCH"
        for rate in (-1, 5e-324, 1e-7, 1_000_001):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await _stub(channel).SetClock(pb.SetClockRequest(rate=rate), timeout=20)
            assert [fault.field for fault in remote_error(caught.value).violations] == ["rate"]


@pytest.mark.parametrize("version", [2, 9, 2**63 - 1])
async def test_a_version_that_the_clock_has_not_had_is_refused(
    servers: Servers, database: Database, version: int
) -> None:
    async with (
        app(servers.settings(Settings, database)) as serving,
        servers.channel(serving.port) as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _stub(channel).GetLag(pb.GetLagRequest(min_clock_version=version), timeout=20)
        answer = remote_error(caught.value)
        assert answer.code is grpc.StatusCode.FAILED_PRECONDITION
        assert [fault.field for fault in answer.violations] == ["min_clock_version"]
        assert "the clock's version is 1" in answer.violations[0].description


async def test_a_version_that_the_process_does_not_see_in_time_is_told(
    servers: Servers, database: Database
) -> None:
    settings = servers.settings(Settings, database)
    async with (
        app(settings, clock=SteppedClock(START)) as serving,
        servers.channel(serving.port) as channel,
    ):
        changed = await _stub(channel).SetClock(pb.SetClockRequest(rate=5), timeout=20)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _stub(channel).GetLag(pb.GetLagRequest(min_clock_version=changed.version), timeout=20)
        assert remote_error(caught.value).reason == "DEPENDENCY_UNAVAILABLE"


async def test_the_clock_of_an_installation_is_not_changed_by_default(
    servers: Servers, database: Database
) -> None:
    settings = servers.settings(Settings, database, clock_control="off")
    async with app(settings) as serving, servers.channel(serving.port) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _stub(channel).SetClock(pb.SetClockRequest(rate=5), timeout=20)
        assert remote_error(caught.value).reason == "CLOCK_NOT_CONTROLLABLE"


async def test_a_failing_worker_is_told(servers: Servers, database: Database) -> None:
    async with app(servers.settings(Settings, database, worker_fails=True)) as serving:
        with pytest.raises(ZeroDivisionError):
            await asyncio.wait_for(serving.failed, 60)


async def test_a_worker_that_failed_before_the_service_served_is_told(
    servers: Servers, database: Database
) -> None:
    async with runtime(servers.settings(Settings, database), package=PACKAGE, servers=attach) as rt:
        rt.spawn("early", _fail)
        await asyncio.sleep(0)
        async with rt.serving(NothingPending(Progress())) as serving:
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(serving.failed, 60)


async def test_a_loop_that_others_need_ends_after_them_and_its_failure_ends_the_service(
    servers: Servers, database: Database
) -> None:
    order = []

    class Needed:
        async def run(self, stopping: asyncio.Event) -> None:
            await stopping.wait()
            order.append("needed")

    class Failing:
        async def run(self, stopping: asyncio.Event) -> None:
            raise ZeroDivisionError

    async def work(stopping: asyncio.Event) -> None:
        await stopping.wait()
        order.append("worker")

    async with (
        runtime(servers.settings(Settings, database), package=PACKAGE, servers=attach) as rt,
        rt.running("needed", Needed()),
        rt.running("failing", Failing()),
    ):
        rt.spawn("worker", work)
        async with rt.serving(NothingPending(Progress())) as serving:
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(serving.failed, 60)
    assert order == ["worker", "needed"]


async def test_workers_end_though_the_service_never_served(servers: Servers, database: Database) -> None:
    ended = []

    async def work(stopping: asyncio.Event) -> None:
        await stopping.wait()
        ended.append(True)

    with pytest.raises(KeyError):  # noqa: PT012 - the runtime must end by it
        async with runtime(servers.settings(Settings, database), package=PACKAGE, servers=attach) as rt:
            rt.spawn("waiting", work)
            raise KeyError
    assert ended


async def _fail(stopping: asyncio.Event) -> None:
    raise ZeroDivisionError


async def test_a_service_that_cannot_start_frees_what_it_took(servers: Servers, database: Database) -> None:
    async with app(servers.settings(Settings, database)) as serving:
        with pytest.raises(PortTakenError):
            async with app(servers.settings(Settings, database, port=serving.port)):
                pass
        port = free_port()
        with pytest.raises(PortTakenError):
            async with app(
                servers.settings(Settings, database, port=port, metrics_port=serving.metrics_port)
            ):
                pass
    async with app(servers.settings(Settings, database, port=port)):
        pass


@pytest.fixture
async def start(servers: Servers, database: Database) -> AsyncIterator[Start]:
    """Starts the diary as a process; variables are given without their prefix."""
    started: list[Process] = []

    async def begin(**changes: object) -> Process:
        variables = {
            "POSTGRES_DSN": database.dsn_of("diary"),
            "REDIS_URL": servers.redis_url,
            "TOKEN": servers.token,
            "DIARY_PORT": "0",
            "DIARY_METRICS_PORT": "0",
            **{name: str(value) for name, value in changes.items()},
        }
        environment = {f"OMNIJOURNEY_{name}": value for name, value in variables.items()}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.integration.common.diary",
            env={"PATH": os.environ["PATH"], **environment},
            stdout=PIPE,
            stderr=PIPE,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _log_line(process: Process, event: str) -> dict[str, Any]:
    assert process.stderr is not None
    async for line in process.stderr:
        fields: dict[str, Any] = json.loads(line)
        if fields["event"] == event:
            return fields
    raise AssertionError(f"no log line {event}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.rule("X-05")
async def test_a_signal_drains(start: Start, number: signal.Signals) -> None:
    process = await start()
    serving = await asyncio.wait_for(_log_line(process, "serving"), 60)
    process.send_signal(number)
    _, rest = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == EXIT_OK
    assert [json.loads(line)["event"] for line in rest.splitlines()] == ["draining", "stopped"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", serving["port"]), timeout=1)


@pytest.mark.parametrize("variable", ["DIARY_PORT", "DIARY_METRICS_PORT"])
async def test_a_taken_port_is_told_in_one_line_with_its_variable(start: Start, variable: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await start(**{variable: port})
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == EXIT_PORT_TAKEN
    plain = [line for line in said.decode().splitlines() if not line.startswith("{")]
    assert plain == [
        f"diary: cannot listen on 127.0.0.1:{port}: the port is taken; "
        f"set OMNIJOURNEY_{variable} to another one (0: any free one)"
    ]


async def test_a_taken_port_is_told_before_any_server_is_started(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        directory = tmp_path / "data"
        process = await start(POSTGRES_DSN="", REDIS_URL="", DATA_DIR=directory, DIARY_METRICS_PORT=port)
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == EXIT_PORT_TAKEN
    assert f"{port}: the port is taken" in said.decode()
    assert not directory.exists()


async def test_a_wrong_password_is_told_with_its_variable(start: Start, database: Database) -> None:
    process = await start(POSTGRES_DSN=database.dsn_of("diary").replace("@", "x@"))
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == EXIT_CONFIG
    assert said.decode().startswith("diary: OMNIJOURNEY_POSTGRES_DSN: password authentication failed")


async def test_a_database_that_does_not_exist_is_told(start: Start, database: Database) -> None:
    gone = urlsplit(database.dsn_of("diary"))._replace(path="/gone").geturl()
    process = await start(POSTGRES_DSN=gone)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == EXIT_CONFIG
    assert "does not exist" in said.decode()


async def test_a_service_does_not_make_its_schema_but_says_who_does(
    start: Start, databases: Databases, database: Database
) -> None:
    async with databases.fresh({}) as empty:
        process = await start(POSTGRES_DSN=empty.dsn_of("diary"))
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == EXIT_DATABASE_UNFIT
    assert said.decode().startswith("diary: the database has no schema of diary that can be checked: run")
    assert "`omnijourney migrate`" in said.decode()


async def test_a_service_with_the_owners_address_makes_its_schema_and_says_that_it_need_not(
    start: Start, databases: Databases
) -> None:
    async with databases.fresh({}) as empty:
        process = await start(POSTGRES_DSN=empty.admin_dsn)
        warned = await asyncio.wait_for(_log_line(process, OWNERS_WARNING), 60)
        await asyncio.wait_for(_log_line(process, "serving"), 60)
        process.terminate()
        await asyncio.wait_for(process.communicate(), 60)
    assert (warned["level"], process.returncode) == ("warning", EXIT_OK)


async def test_a_faulty_variable_is_told(start: Start) -> None:
    process = await start(WORKER_FAILS="perhaps")
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == EXIT_CONFIG
    assert said.decode().startswith("OMNIJOURNEY_WORKER_FAILS: ")


async def test_a_signal_ends_a_service_that_waits_for_its_database(start: Start) -> None:
    process = await start(POSTGRES_DSN=f"postgresql://a:b@127.0.0.1:{free_port()}/c")
    await asyncio.wait_for(_log_line(process, "waiting for the database"), 60)
    process.terminate()
    await asyncio.wait_for(process.communicate(), 20)  # it waits for 30
    assert process.returncode == EXIT_OK


async def test_a_failed_worker_ends_the_process(start: Start) -> None:
    process = await start(WORKER_FAILS=True)
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == EXIT_FAULT
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert events[-3:] == ["worker failed", "draining", "stopped"]
