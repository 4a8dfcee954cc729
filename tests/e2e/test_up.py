"""`omnijourney up` as a person runs it: the real command, real servers, all five services."""

import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import grpc
import psutil
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from typer.testing import CliRunner

from libs.cli.emulators import Emulators, words_of
from libs.cli.main import app
from libs.client import SERVICES, Client, ClientSettings, ServiceName, full_name, is_serving
from libs.client.found import InstallationFile
from libs.common import credentials
from libs.common.config import DEFAULT_PORTS
from omnijourney.channel_gateway.v1.account_pb2 import ChannelAccount, LineConnection
from omnijourney.channel_gateway.v1.channel_gateway_service_pb2 import (
    CreateChannelAccountRequest,
    DeleteChannelAccountRequest,
)
from omnijourney.common.v1.channel_pb2 import CHANNEL_LINE
from omnijourney.common.v1.installation_service_pb2 import GetClockRequest, GetLagRequest, SetClockRequest
from omnijourney.internal.v1.customers_service_pb2 import BatchGetTeamSettingsRequest
from omnijourney.segment.v1.segment_service_pb2 import CreateTeamRequest
from omnijourney.segment.v1.team_pb2 import Team, TeamSettings
from tests.command_line import omnijourney
from tests.e2e.installation import STARTS_WITHIN_S, Up, up
from tests.integration.embedded.holder import still_running
from tests.readme import Block, blocks_below

RESTARTS_WITHIN_S = 120.0


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.rule("X-01a")
def test_a_service_is_described_and_answers_with_no_file_at_hand(
    settings: ClientSettings, service: ServiceName
) -> None:
    with grpc.insecure_channel(settings.targets()[service]) as channel:
        reflection = ProtoReflectionDescriptorDatabase(channel)
        listed = set(reflection.get_services())
        assert {
            full_name(service),
            "omnijourney.common.v1.InstallationService",
            "grpc.health.v1.Health",
        } <= listed
        described = reflection.FindFileContainingSymbol(full_name(service))
        assert described.service[0].method


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_tells_lag_and_clock(settings: ClientSettings, service: ServiceName) -> None:
    async with Client(settings.targets(), settings.api_token()) as client:
        # A service that has just found its neighbours may have looked in vain a moment ago.
        lag = await client.installation(service).GetLag(GetLagRequest(wait=Duration(seconds=10)), timeout=15)
        clock = await client.installation(service).GetClock(GetClockRequest(), timeout=30)
    assert (lag.pending, clock.rate) == (0, 1)


@pytest.mark.parametrize("service", SERVICES)
async def test_nobody_gets_in_without_the_token(settings: ClientSettings, service: ServiceName) -> None:
    async with Client(settings.targets(), "wrong") as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.installation(service).GetLag(GetLagRequest(), timeout=30)
    assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_all_services_follow_one_clock(settings: ClientSettings) -> None:
    async with Client(settings.targets(), settings.api_token()) as client:
        changed = await client.installation("journey").SetClock(SetClockRequest(rate=2.0), timeout=30)
        for service in SERVICES:
            asked = GetLagRequest(min_clock_version=changed.version)
            lag = await client.installation(service).GetLag(asked, timeout=30)
            assert lag.clock_version >= changed.version
        await client.installation("stats").SetClock(SetClockRequest(rate=1.0), timeout=30)


async def test_every_service_has_metrics(running: Up) -> None:
    environment = psutil.Process(running.pid_of("journey")).environ()
    async with aiohttp.ClientSession() as session:
        for service in SERVICES:
            port = environment[f"OMNIJOURNEY_{service.upper()}_METRICS_PORT"]
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                assert answer.status == 200
                assert "omnijourney_" in await answer.text()


@pytest.fixture
def workplace(running: Up, settings: ClientSettings, tmp_path: Path) -> Callable[[Block], str]:
    """Runs a block of the README where a newcomer is: below a clone, with what runs in `.omnijourney`. Returns what it
    writes."""
    (tmp_path / ".omnijourney").symlink_to(running.data_dir)
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMNIJOURNEY_")}
    environment |= {"TOKEN": settings.api_token(), "PATH": f"{tmp_path}/.venv/bin:{environment['PATH']}"}

    def run(block: Block) -> str:
        text = block.text
        for service, target in settings.targets().items():
            text = text.replace(f"127.0.0.1:{DEFAULT_PORTS[service]}", target)
            text = text.replace(f"call {DEFAULT_PORTS[service]}", f"call {target.rpartition(':')[2]}")
        file = tmp_path / "block"
        file.write_text("".join(line for line in text.splitlines(True) if not line.startswith("make ")))
        program = [sys.executable] if block.language == "python" else ["bash", "-euo", "pipefail"]
        done = subprocess.run(
            [*program, str(file)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


async def test_the_readme_leads_to_the_first_message_in_three_ways(
    running: Up, workplace: Callable[[Block], str]
) -> None:
    by_command, by_grpcurl, by_python = blocks_below("The first message")
    assert len(by_command.text.splitlines()) <= 5
    found = InstallationFile(running.data_dir).read()
    assert found is not None
    wanted = {"Hello Ann, welcome!"}
    said = await asyncio.to_thread(workplace, by_command)
    assert said.count("Hello Ann, welcome!") == 2, "by quickstart, and in the log"
    await asyncio.to_thread(workplace, by_grpcurl)
    await asyncio.to_thread(workplace, by_python)
    wanted |= {"Hello Ben!", "Hello Cleo!"}
    async with aiohttp.ClientSession() as session, asyncio.timeout(STARTS_WITHIN_S):
        emulators = Emulators({"line": found.emulator_urls["line"]}, session)
        while wanted:
            messages = await emulators.more()
            wanted -= {words for message in messages for words in words_of(message["body"])}
            await asyncio.sleep(0.05)


async def test_what_there_is_can_be_listed_from_the_command_line(running: Up) -> None:
    environment = {"OMNIJOURNEY_DATA_DIR": str(running.data_dir)}

    async def said(*words: str) -> str:
        done = await omnijourney(*words, environment=environment)
        assert done.code == 0, done.err
        return done.out

    made = json.loads(await said("quickstart", "--json"))
    team, customer = made["team_id"], made["customer_id"]
    assert made["texts"] == ["Hello Ann, welcome!"]
    assert f"{team}  Asia/Taipei TWD  Quickstart shop  JOURNEYS" in await said("team", "show", team)
    created = await said("team", "create", "Other", "--zone", "UTC", "--module", "points", "--json")
    other = json.loads(created)["team_id"]
    assert {team, other} <= {
        json.loads(line)["team_id"] for line in (await said("team", "list", "--json")).splitlines()
    }
    one = await omnijourney("team", "list", "--limit", "1", environment=environment)
    assert (len(one.out.splitlines()), one.err) == (1, "there are more than 1: --limit 0 shows all\n")
    assert customer in await said("customer", "list", "--keyword", "ann", "--team", team)
    for who in (customer, "M-1"):
        assert f"identity   {made['line_user']}" in await said("customer", "show", who, "--team", team)
    assert await said("audience", "list", "--team", team) == ""
    assert await said("webhook", "list", "--team", team) == ""
    assert (
        await said("coupon", "list", "--team", other) == await said("coupon", "claims", "--team", other) == ""
    )
    assert await said("points", "history", "--team", other) == ""
    assert await said("mailbox", "show", customer, "--team", team) == ""
    assert await said("mailbox", "parked", "--team", team) == ""
    assert "triggered" in await said("stats", "overview", "Welcome", "--team", team)
    span = ("--since", "2030-01-01", "--until", "2031-01-01")
    lines = (await said("stats", "series", "Welcome", "--team", team, "--by", "day", *span)).splitlines()
    assert (lines[0].split(",")[:3], len(lines)) == (["start_time", "journey_id", "triggered_count"], 1 + 366)
    assert f"{made['journey_id']}  ACTIVE" in await said("journey", "list", "--team", team)
    assert await said("journey", "waits", "Welcome", "--json", "--team", team) == ""
    assert await said("tag", "list", "--team", team) == ""
    assert await said("customer", "conflicts", "--json", "--team", team) == ""
    assert "hello" in await said("journey", "explain", "Welcome", customer, "--team", team)
    assert "Hello Ann" in await said("emulator", "log", "--recipient", made["line_user"])
    assert await said("points", "balance", customer, "--team", other) == "balance 0, cumulative 0\n"
    no_audience = await omnijourney("audience", "count", "VIP", "--team", team, environment=environment)
    assert (no_audience.code, "there are no audiences 'VIP'" in no_audience.err) == (1, True)
    for words in (
        ("token", "create", "shop", "--scope", "read"),
        ("attribute", "create", "size", "number"),
        ("journey", "trigger", "Welcome", "--customer", customer),
        ("journey", "stop", "Welcome"),
        ("customer", "erase", customer, "--yes", "--no-follow"),
    ):
        assert isinstance(json.loads(await said(*words, "--json", "--team", team)), dict), words
    checked = await said("points", "check", "--json", "--team", other)
    assert "summary" in json.loads(checked.splitlines()[-1])


@pytest.mark.rule("X-03")
async def test_the_doctor_finds_nothing_until_something_is_wrong(
    running: Up, settings: ClientSettings
) -> None:
    environment = {"OMNIJOURNEY_DATA_DIR": str(running.data_dir)}

    async def doctor(*words: str, **more: str) -> tuple[int | None, list[dict[str, str]]]:
        done = await omnijourney("doctor", "--json", *words, environment=environment | more)
        return done.code, [json.loads(line) for line in done.out.splitlines()]

    code, found = await doctor()
    assert (code, [finding for finding in found if finding["state"] == "fault"]) == (0, [])
    subjects = {finding["subject"] for finding in found}
    assert {*SERVICES, "PostgreSQL", "Redis", "migrations", "disk", "accounts"} <= subjects
    code, found = await doctor(OMNIJOURNEY_TOKEN="wrong")
    refused = [finding["subject"] for finding in found if "UNAUTHENTICATED" in finding["found"]]
    assert (code, refused) == (1, list(SERVICES))
    async with Client(settings.targets(), settings.api_token()) as client:
        team = Team(name="Faulty", settings=TeamSettings(time_zone="UTC", currency_code="TWD"))
        request = CreateTeamRequest(request_id="faulty", team=team)
        team_id = (await client.segment.CreateTeam(request, timeout=30)).team.team_id
        line = LineConnection(access_token="expired", channel_secrets=["secret"])
        account = ChannelAccount(channel=CHANNEL_LINE, display_name="Old", line=line)
        creation = CreateChannelAccountRequest(team_id=team_id, request_id="account", account=account)
        made = (await client.channel_gateway.CreateChannelAccount(creation, timeout=30)).account
        try:
            code, found = await doctor()
            (wrong,) = [finding for finding in found if finding["state"] == "fault"]
            assert (code, wrong["subject"]) == (1, "accounts")
            assert f"LINE account 'Old' of team {team_id}" in wrong["found"]
            assert "renew its token" in wrong["remedy"]
            assert (await doctor("--no-accounts"))[0] == 0
        finally:
            deletion = DeleteChannelAccountRequest(
                team_id=team_id, request_id="end", channel_account_id=made.channel_account_id
            )
            await client.channel_gateway.DeleteChannelAccount(deletion, timeout=30)


async def test_at_rest_the_database_is_asked_little(running: Up) -> None:
    """Looks that come now and then are some 40 from one renewal of the leases to the next; a loop that does not wait
    makes thousands."""
    dsn = json.loads((running.data_dir / "endpoints.json").read_text())["postgres_dsn"]
    connection = await asyncpg.connect(dsn)

    async def transactions_at_a_renewal() -> tuple[int, int]:
        """Of all, when journey next renews its leases; and how often this looked until then."""
        renewed = "SELECT max(expires_at) FROM journey.partition_lease WHERE owner IS NOT NULL"
        before, looks = await connection.fetchval(renewed), 1
        while await connection.fetchval(renewed) == before:
            looks += 1
            await asyncio.sleep(0.05)
        counted = "SELECT sum(xact_commit + xact_rollback)::bigint FROM pg_stat_database"
        return await connection.fetchval(counted), looks

    try:
        async with asyncio.timeout(STARTS_WITHIN_S):
            before, _ = await transactions_at_a_renewal()
            after, looks = await transactions_at_a_renewal()
    finally:
        await connection.close()
    assert after - before - looks < 250


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_holds_its_own_roles_credentials_and_not_the_owners(
    running: Up, service: ServiceName
) -> None:
    environment = psutil.Process(running.pid_of(service)).environ()
    owner = json.loads((running.data_dir / "endpoints.json").read_text())["postgres_dsn"]
    given = "".join(environment.values())
    assert urlsplit(owner).password not in given
    assert (running.data_dir / "token").read_text().strip() not in given
    file = Path(environment[credentials.FILE_VARIABLE])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    dsn = credentials.read(file)[credentials.DSN_VARIABLE]
    assert urlsplit(dsn).username == f"omnijourney_{service}"
    connection = await asyncpg.connect(dsn)
    try:
        other = "segment.team" if service != "segment" else "points.account"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetchval(f"SELECT count(*) FROM {other}")
    finally:
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_what_services_say_to_each_other_asks_for_a_token_of_theirs(
    running: Up, settings: ClientSettings, service: ServiceName
) -> None:
    own = credentials.read(credentials.file_of(running.data_dir / credentials.FOLDER, service))
    request = BatchGetTeamSettingsRequest(team_ids=["01890000-0000-7000-8000-000000000001"])
    for token, code in (
        (settings.api_token(), grpc.StatusCode.PERMISSION_DENIED),
        ("made up", grpc.StatusCode.UNAUTHENTICATED),
        (own[credentials.TOKEN_VARIABLE], None),
    ):
        async with Client(settings.targets(), settings.api_token(), token) as client:
            call = client.internal("segment").customers.BatchGetTeamSettings(request, timeout=30)
            if code is None:
                await call
            else:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await call
                assert caught.value.code() == code


def test_status_shows_all_five(running: Up) -> None:
    done = CliRunner().invoke(app, ["status", "--data-dir", str(running.data_dir)])
    assert (done.exit_code, done.output.count("serving")) == (0, 5)


async def _until_serving_again(up: Up, settings: ClientSettings, service: ServiceName, old: int) -> None:
    async with asyncio.timeout(RESTARTS_WITHIN_S):
        while True:
            with contextlib.suppress(LookupError):
                if up.pid_of(service) != old and await is_serving(settings.targets()[service]):
                    return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_killed_service_comes_back(
    running: Up, settings: ClientSettings, service: ServiceName
) -> None:
    old = running.pid_of(service)
    os.kill(old, signal.SIGKILL)
    await _until_serving_again(running, settings, service, old)
    async with Client(settings.targets(), settings.api_token()) as client:
        await client.installation(service).GetLag(GetLagRequest(), timeout=30)


def test_after_ctrl_c_or_a_kill_nothing_runs_and_the_next_start_is_fine(data_dir: Path) -> None:
    own = data_dir.with_name("own")
    with up(own) as started:
        everything = started.everything()
        assert len(everything) >= 8  # the command, five services, two servers
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(10) == 0
        assert still_running(everything, 0.1) == []
    with up(own) as started:
        everything = started.everything()
        started.process.kill()
        started.process.wait(10)
        assert still_running(everything) == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_runs_alone(data_dir: Path, service: ServiceName) -> None:
    """With nothing configured it starts its own servers, and ends them again."""
    alone = data_dir.with_name("alone")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMNIJOURNEY_")}
    environment |= {"OMNIJOURNEY_DATA_DIR": str(alone), f"OMNIJOURNEY_{service.upper()}_PORT": "0"}
    environment |= {"OMNIJOURNEY_HTTP_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", f"services.{service}"], stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if '"event": "serving"' in line:
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0, "".join(said)
    assert any('"event": "serving"' in line for line in said), "".join(said)
