"""What the pages say to type names what there is: targets of make, modules, RPCs, files, and values of the chart."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployments import containers, rendered
from tests.readme import blocks_of
from tools.paths import ROOT
from tools.site.__main__ import documents
from tools.site.contracts import pages

HISTORY = {"CHANGELOG.md"}
"""Pages that tell what was: what they name may be gone."""
PAGES = [page for page in documents() if page.name not in HISTORY and "adr" not in page.parts]
RPC = re.compile(r"\b(?:omnijourney\.)?(\w+\.v1)\.(\w+Service)/(\w+)")
FOLDERS = ("deploy/", "requirements/", "services/", "docs/")


def _lines(page: Path) -> Iterator[str]:
    """What a page says to type in a shell, each command whole."""
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.language in ("", "bash"):
            yield from block.text.replace("\\\n", " ").splitlines()


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # a part of a command of several lines
        return line.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_is_typed_is_there(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    typed = set(re.findall(r"`make ([a-z][a-z-]*)[^`]*`", text)) | {
        words[1] for line in _lines(page) if len(words := _words(line)) > 1 and words[0] == "make"
    }
    assert typed <= targets
    for line in _lines(page):
        for module in re.findall(r"\bpython3? -m ([\w.]+)", line):
            assert module == "venv" or importlib.util.find_spec(module), module
        for word in _words(line):
            if word.startswith(FOLDERS) and "<" not in word:
                assert list(ROOT.glob(word)), word


def test_calls_that_pages_show_are_of_the_contracts() -> None:
    contracts = "\n".join(pages().values())
    shown = {found for page in PAGES for found in RPC.findall(page.read_text(encoding="utf-8"))}
    assert len(shown) > 5
    for package, service, method in shown:
        assert f"#{package}.{service}.{method} }}" in contracts, f"{package}.{service}/{method}"


def test_profiles_and_services_of_compose_are_those_that_are_named() -> None:
    known = containers()
    profiles = {profile for each in known.values() for profile in each.get("profiles", [])}
    lines = [line for line in _lines(ROOT / "docs" / "deployment.md") if "docker compose" in line]
    assert len(lines) > 2
    for line in lines:
        words = _words(line)
        assert {words[at + 1] for at, word in enumerate(words) if word == "--profile"} <= profiles
        assert {words[at + 1] for at, word in enumerate(words) if word == "exec"} <= known.keys()


@pytest.mark.skipif(
    importlib.util.find_spec("helm_python") is None, reason="Helm's library is not installed: make chart"
)
def test_the_chart_takes_the_values_that_the_page_gives_it() -> None:
    from helm_python import parse_set_string  # noqa: PLC0415 - not everybody has it

    (line,) = [line for line in _lines(ROOT / "docs" / "deployment.md") if line.startswith("helm install")]
    words = _words(line)
    assert (ROOT / words[3] / "Chart.yaml").exists()
    values = parse_set_string(",".join(words[at + 1] for at, word in enumerate(words) if word == "--set"))
    assert {each["kind"] for each in rendered(values, words[2])} >= {"Deployment", "Job"}
