"""The command line without servers: its options, and faults told before anything starts."""

import asyncio
import json
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from libs.cli import journeys
from libs.cli.main import app
from libs.client import Client, ClientSettings
from omnijourney.segment.v1.segment_service_pb2 import ListTeamsRequest

RUN = CliRunner()


def test_version() -> None:
    done = RUN.invoke(app, ["version"])
    assert (done.exit_code, done.output) == (0, f"omnijourney {version('omnijourney')}\n")


def test_help_names_every_command() -> None:
    done = RUN.invoke(app, ["--help"])
    assert done.exit_code == 0
    for command in ("up", "migrate", "demo", "status", "token", "journey", "customer", "version"):
        assert f" {command} " in done.output


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIJOURNEY_SEGMENT_PORT", "many")
    done = RUN.invoke(app, ["up"])
    assert done.exit_code == 2
    assert "OMNIJOURNEY_SEGMENT_PORT: Input should be a valid integer" in done.output
    assert "(it is 'many')" in done.output


def test_a_taken_port_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("OMNIJOURNEY_JOURNEY_PORT", str(port))
        done = RUN.invoke(app, ["up", "--data-dir", str(tmp_path / "data")])
    assert done.exit_code == 1
    assert f"port {port} on 127.0.0.1 is taken, journey needs it: see OMNIJOURNEY_JOURNEY_PORT" in done.output
    assert not (tmp_path / "data").exists()


def test_a_mistyped_variable_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIJOURNEY_DATADIR", "x")
    monkeypatch.delenv("OMNIJOURNEY_POSTGRES_DSN", raising=False)
    done = RUN.invoke(app, ["migrate", "--data-dir", str(tmp_path / "data")])
    assert (
        "OMNIJOURNEY_DATADIR: no part of the product reads it; is OMNIJOURNEY_DATA_DIR meant?" in done.output
    )


def test_a_migration_without_an_address_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMNIJOURNEY_POSTGRES_DSN", raising=False)
    done = RUN.invoke(app, ["migrate", "--data-dir", str(tmp_path / "data")])
    assert done.exit_code == 2
    assert done.output.startswith("OMNIJOURNEY_POSTGRES_DSN: must be the owner's address")
    assert not (tmp_path / "data").exists()


def test_a_demo_without_its_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "libs.demo.run", raising=False)
    monkeypatch.setitem(sys.modules, "libs.demo.grocer", None)
    done = RUN.invoke(app, ["demo"])
    assert done.exit_code == 2
    assert "pip install 'omnijourney[demo]'" in done.output


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--month", "13"], "Invalid value for '--month': Input should be less than or equal to 12"),
        (["--speed", "0"], "Invalid value for '--speed': Input should be greater than or equal to 1"),
        (["--data", "/no/such/file"], "'/no/such/file' does not exist"),
    ],
)
def test_options_of_the_demo_are_checked(arguments: list[str], fault: str) -> None:
    done = RUN.invoke(app, ["demo", *arguments], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert fault in done.output


@pytest.fixture
def nobody_home(monkeypatch: pytest.MonkeyPatch) -> str:
    """An address where nothing listens, as that of every service."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"
    for service in ("JOURNEY", "POINTS", "CHANNEL_GATEWAY", "SEGMENT", "STATS"):
        monkeypatch.setenv(f"OMNIJOURNEY_{service}_TARGET", target)
    return target


def test_commands_about_texts_say_what_failed_for_each_file(tmp_path: Path, nobody_home: str) -> None:
    files = [str(tmp_path / name) for name in ("a.yaml", "b.json")]
    for file in files:
        Path(file).write_text("name: A")
    done = RUN.invoke(
        app, ["journey", "apply", *files, "--team", str(UUID(int=1)), "--data-dir", str(tmp_path)]
    )
    assert done.exit_code == 1
    assert [line.split(": ")[:2] for line in done.output.splitlines()] == [
        [file, "UNAVAILABLE"] for file in files
    ]


def test_an_id_is_for_one_file(tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.yaml", "b.yaml")]
    for file in files:
        Path(file).write_text("name: A")
    done = RUN.invoke(app, ["journey", "apply", *files, "--team", "t", "--id", "x"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "--id and --etag are for one file" in done.output


def test_calls_that_fail_side_by_side_are_one_fault(nobody_home: str, tmp_path: Path) -> None:
    """Not a stack for each of them."""

    async def ask(client: Client) -> None:
        await client.segment.ListTeams(ListTeamsRequest(), timeout=5)

    async def side_by_side(client: Client) -> int:
        async with asyncio.TaskGroup() as group:
            group.create_task(ask(client))
            group.create_task(ask(client))
        return 0

    settings = ClientSettings(data_dir=tmp_path, token=SecretStr("t"))
    assert asyncio.run(journeys.run(settings, side_by_side)) == 1


def test_status_of_nothing(tmp_path: Path, nobody_home: str) -> None:
    done = RUN.invoke(app, ["status", "--data-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.count("away") == 5
    assert nobody_home in done.output


def test_status_for_programs(tmp_path: Path, nobody_home: str) -> None:
    done = RUN.invoke(app, ["status", "--json", "--data-dir", str(tmp_path)])
    found = json.loads(done.output)
    assert [status["service"] for status in found] == [
        "journey",
        "points",
        "channel_gateway",
        "segment",
        "stats",
    ]
    assert {(status["target"], status["serving"], status["pending"]) for status in found} == {
        (nobody_home, False, None)
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("--customer", "c", "--data", "gift"), "--data 'gift': write KEY=VALUE"),
        (("--customer", "c", "--data", "gift=1", "--data", "gift=2"), "--data 'gift' is given twice"),
        (("--audience", "a", "--data", "gift=1"), "--data goes with --customer"),
        (("--audience", "a", "--customer", "c"), "give --audience or --customer, and not both"),
    ],
)
def test_wrong_data_of_triggers_are_named(given: tuple[str, ...], told: str) -> None:
    done = RUN.invoke(app, ["journey", "trigger", "gifts", "--team", "t", *given], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("\u2502", " ").split())
