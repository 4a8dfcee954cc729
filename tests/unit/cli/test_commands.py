"""All commands: each is listed, is quick to show its help, and has an example that it takes."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.main import get_group
from typer.testing import CliRunner

import libs.cli
from libs.cli.lazy import load
from libs.cli.main import COMMANDS, app
from libs.cli.options import ServiceName
from libs.client.services import SERVICES
from tools.paths import ROOT

RUN = CliRunner()
HEAVY = {
    "aiohttp",
    "asyncio",
    "asyncpg",
    "google.protobuf",
    "grpc",
    "pydantic",
    "pydantic_settings",
    "redis",
    "structlog",
}
"""What talks to the services, of which help says all without asking."""
EXAMPLE = re.compile(r"^Example: omnijourney (.+)$")


def _commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, by the words that call it."""
    for name, listed in COMMANDS.items():
        command = load(name, listed)
        for words, each in getattr(command, "commands", {None: command}).items():
            yield (name,) if words is None else (name, words), each


ALL = dict(_commands())


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that examples name."""
    for name in ("welcome.yaml", "welcome.json", "data.csv.gz", "secret_key"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _take(words: list[str]) -> None:
    """Lets the parser of the command take what is typed after `omnijourney`. Raises what it raises."""
    name = tuple(words[:2]) if tuple(words[:2]) in ALL else tuple(words[:1])
    ALL[name].make_context(" ".join(name), words[len(name) :])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_listed_by_the_first_sentence_of_its_help(name: str) -> None:
    own = load(name, COMMANDS[name]).help
    assert re.split(r"(?<=\.)\s", own)[0].replace("\n", " ") == COMMANDS[name].help


def test_every_module_of_commands_is_listed() -> None:
    there = {
        found.name for found in pkgutil.iter_modules(libs.cli.__path__) if found.name.endswith("_commands")
    }
    assert there == {listed.module for listed in COMMANDS.values()}
    for module in there:
        for app_name, value in vars(importlib.import_module(f"libs.cli.{module}")).items():
            if isinstance(value, typer.Typer):
                listed = {name for name, each in COMMANDS.items() if each[:2] == (module, app_name)}
                own = set(get_group(value).commands)
                assert listed in ({value.info.name}, own)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_command_has_an_example_that_it_takes(words: tuple[str, ...], files: Path) -> None:
    example = EXAMPLE.match(ALL[words].epilog or "")
    assert example is not None, "no epilog"
    typed = shlex.split(example[1])
    assert tuple(typed[: len(words)]) == words
    _take(typed)


NAMED = "up demo quickstart doctor migrate token team customer journey audience points coupon import webhook mailbox"
"""What the command line must have, beside `stats`, `emulator` and `backup`."""
STREAMS = {("audit", "export"), ("customer", "export"), ("stats", "series"), ("emulator", "log")}
"""Write all that there is as it comes, and keep nothing of it."""


NOT_AS_JSON = {
    "up": "serves until it is stopped",
    "console": "serves until it is stopped",
    "demo": "--report writes its figures as JSON",
    "migrate": "makes files; its exit code says whether it did",
    "seed-customers": "makes customers; its exit code says whether it did",
    "version": "writes one word",
    "journey schema": "writes JSON as it is",
    "customer export": "writes JSON as it is",
    "audit export": "writes JSON as it is",
    "stats series": "writes CSV, for spreadsheets",
}
"""Commands without `--json`, and why."""


def _options(words: tuple[str, ...]) -> set[str]:
    return {option for parameter in ALL[words].params for option in parameter.opts}


def test_the_command_line_has_what_an_operator_needs() -> None:
    assert {*NAMED.split(), "stats", "emulator", "backup"} <= {words[0] for words in ALL}


def test_a_list_ends_somewhere_and_is_for_programs_too() -> None:
    lists = {words for words in ALL if (ALL[words].help or "").startswith("List ")}
    assert len(lists) > 14
    assert not [words for words in lists if not {"--limit", "--json"} <= _options(words)]
    assert not lists & STREAMS
    assert ALL.keys() >= STREAMS


def test_what_a_command_answers_is_for_programs_too() -> None:
    without = {" ".join(words) for words in ALL if "--json" not in _options(words)}
    assert without == NOT_AS_JSON.keys()


def test_help_and_completion_load_nothing_that_talks_to_services() -> None:
    """Loading is what help costs: it is asked how much is loaded, which no busy machine changes."""
    program = """
import json, sys
from libs.cli.main import app, COMMANDS
app(["--help"], standalone_mode=False)
first = len(sys.modules)
for name in COMMANDS:
    app([name, "--help"], standalone_mode=False)
app(["journey", "trigger", "--help"], standalone_mode=False)
print(json.dumps([first, sorted(sys.modules)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    first, loaded = json.loads(done.stdout.splitlines()[-1])
    assert first < 360
    assert len(loaded) < 380
    assert not HEAVY & set(loaded)
    assert not [name for name in loaded if name.startswith(("omnijourney.", "libs.client", "libs.common"))]


def test_names_of_commands_are_completed() -> None:
    def completed(typed: str) -> str:
        environment = {
            **os.environ,
            "_OMNIJOURNEY_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split(" ")) - 1),
        }
        done = subprocess.run(
            [Path(sys.executable).with_name("omnijourney")],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    assert completed("omnijourney jou").split() == ["journey"]
    assert {"publish", "simulate", "trigger"} <= set(completed("omnijourney journey ").split())


def test_a_mistyped_command_is_answered_by_what_is_like_it() -> None:
    done = RUN.invoke(app, ["jurney"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "Did you mean 'journey'" in done.output


@pytest.mark.rule("X-01d")
@pytest.mark.parametrize(
    "command",
    [
        "audit export --since {}",
        "audit export --until {}",
        "journey simulate Welcome --team T --since {}",
        "stats series Welcome --team T --since {} --until 2026-01-01",
        "backup restore latest --data-dir new --to-time {}T00:00:00",
    ],
)
@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1969-12-31"])
def test_a_time_that_no_service_takes_is_a_wrong_argument(command: str, day: str) -> None:
    done = RUN.invoke(app, shlex.split(command.format(day)), env={"COLUMNS": "200"})
    assert (done.exit_code, "must be a time in the years 1970 to 9998" in done.output) == (2, True)


def test_services_are_those_of_the_client() -> None:
    assert get_args(ServiceName) == SERVICES
