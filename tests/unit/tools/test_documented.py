"""Each command of the pages is run, or it is said why not; what is not run is looked at by what would take it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from libs.cli.lazy import load
from libs.cli.main import COMMANDS, app
from libs.common.variables import PREFIX, VARIABLES
from tests.documented import documented
from tests.e2e.documented_commands import AFTER, BEFORE, EXIT_CODES, INSTEAD, NOT_RUN, SAID, key_of
from tools.paths import ROOT

TEXTS = [command.text for command in documented()]
OF_OURS = [text for text in TEXTS if re.match(r"omnijourney |\w+=\$\(omnijourney ", text)]


def test_each_command_is_run_or_it_is_said_why_not_and_nothing_else_is_listed() -> None:
    for keys in (SAID, NOT_RUN):
        used = {key_of(text, keys) for text in TEXTS}
        assert not keys.keys() - used, "no page has these"
    assert not [text for text in TEXTS if key_of(text, {**SAID, **NOT_RUN}) is None]
    assert all(NOT_RUN.values())
    assert not (AFTER.keys() | BEFORE.keys() | EXIT_CODES.keys()) - SAID.keys()
    assert not [old for old in INSTEAD if not any(old in text for text in TEXTS)]
    assert not SAID.keys() & NOT_RUN.keys()


def test_reasons_name_tests_that_there_are() -> None:
    for reason in NOT_RUN.values():
        for name in re.findall(r"tests/[\w/]+(?:\.py)?|\b(?<!/)test_\w+\.py", reason):
            assert (ROOT / name).exists() or list(ROOT.glob(f"tests/**/{name}")), name


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the files that commands name."""
    (tmp_path / "secret_key").touch()
    for name in ("welcome.yaml", "review.yaml"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("text", OF_OURS)
def test_the_command_line_takes_what_the_pages_say_to_type(text: str, files: None) -> None:
    words = shlex.split(re.sub(r"^\w+=\$\((.*)\)$", r"\1", text))[1:]
    words = words[: next((at for at, word in enumerate(words) if word in {">", "|"}), None)]
    if words[0].startswith("-"):
        assert words[0] in {option for each in get_command(app).params for option in each.opts} | {"--help"}
        return
    command = load(words[0], COMMANDS[words[0]])
    group = getattr(command, "commands", None)
    if group is None:
        command.make_context(words[0], _with_team(words[1:], command))
    elif words[1:] and "|" not in words[1] and words[1] in group and words[2:]:
        if words[2:] != ["--help"]:
            group[words[1]].make_context(words[1], words[2:])
    else:
        # A command by its name alone.
        assert not words[1:] or not [name for name in words[1].split("|") if name not in {*group, "--help"}]


def _with_team(words: list[str], command: object) -> list[str]:
    """A sentence may leave the team out."""
    needs = any(each.required and "--team" in each.opts for each in getattr(command, "params", ()))
    return [*words, "--team", "t"] if needs and "--team" not in words else words


def test_make_knows_its_targets() -> None:
    for text in TEXTS:
        for typed in text.split("&&") if text.startswith("make ") else ():
            done = subprocess.run(
                [*shlex.split(typed), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{typed}: {done.stderr}"


def test_variables_that_a_reader_exports_are_read_by_something() -> None:
    exported = {name for text in TEXTS for name in re.findall(r"\b(OMNIJOURNEY_\w+)=", text)}
    assert len(exported) > 7
    assert not exported - {PREFIX + name for name in VARIABLES}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not at hand")
def test_kubectl_takes_what_the_pages_say_to_type() -> None:
    environment = {
        "PASSWORD": "p",
        "REDIS_PASSWORD": "r",
        "PATH": os.environ["PATH"],
        "KUBECONFIG": os.devnull,
    }
    for text in TEXTS:
        if text.startswith("kubectl "):
            typed = f"{text} --dry-run=client --output name"
            done = subprocess.run(
                ["bash", "-c", typed], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{text}: {done.stderr}"


def test_what_is_installed_by_hand_is_here() -> None:
    for text in TEXTS:
        if text.startswith(("install ", "/opt/omnijourney/bin/pip ", "docker compose ")):
            for word in text.split():
                if word.startswith(("deploy/", "requirements/")):
                    assert list(ROOT.glob(word)), text
