"""What a test run showed about the rules: written by the plugin, read by the table."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from tools.paths import BUILD, ROOT

RECORD: Final = BUILD / "rules.json"
BROWSER_RECORD: Final = BUILD / "rules.browser.json"
"""Of the tests in a browser, which are a run of their own."""

# A record speaks for the sources that it was made from and for no others.
_SOURCES: Final = (
    "docs/rules.md",
    "libs",
    "protos",
    "pyproject.toml",
    "requirements",
    "services",
    "tests",
    "tools",
)


class State(StrEnum):
    """What the tests say about one clause."""

    PROVED = "proved"
    FAILED = "failed"
    SKIPPED = "not run"
    UNTESTED = "no test"


class TestResult(msgspec.Struct, frozen=True):
    """One test function; ``rules``: the ids that it names, ``outcomes``: how many instances ended in which way."""

    __test__ = False  # not a test class, whatever its name

    name: str
    rules: list[str]
    outcomes: dict[str, int]

    @property
    def passed(self) -> bool:
        """All instances ran and passed."""
        return set(self.outcomes) == {"passed"}

    @property
    def failed(self) -> bool:
        """At least one instance ran and did not pass."""
        return "failed" in self.outcomes


class Record(msgspec.Struct, frozen=True):
    """One finished test run."""

    fingerprint: str
    tests: list[TestResult]


def state_of(clause: str, tests: Iterable[TestResult]) -> State:
    """One failing test outweighs any number of passing ones; a test that did not run says nothing."""
    naming = [test for test in tests if clause in test.rules]
    if not naming:
        return State.UNTESTED
    if any(test.failed for test in naming):
        return State.FAILED
    return State.PROVED if any(test.passed for test in naming) else State.SKIPPED


def summarise(outcomes: Iterable[tuple[str, tuple[str, ...], str]]) -> list[TestResult]:
    """Groups (node id, rules, outcome) of single test items by their function, in order of appearance."""
    rules_of: dict[str, tuple[str, ...]] = {}
    counts: dict[str, Counter[str]] = {}
    for node_id, rules, outcome in outcomes:
        name = node_id.split("[", 1)[0]
        rules_of[name] = tuple(dict.fromkeys((*rules_of.get(name, ()), *rules)))
        counts.setdefault(name, Counter())[outcome] += 1
    return [TestResult(name, list(rules_of[name]), dict(count)) for name, count in counts.items()]


def fingerprint(root: Path = ROOT) -> str:
    """A hash over every source file; changes with any edit."""
    digest = hashlib.sha256()
    for source in _SOURCES:
        entry = root / source
        for file in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
            if file.is_file() and "__pycache__" not in file.parts:
                content = hashlib.sha256(file.read_bytes()).digest()
                digest.update(str(file.relative_to(root)).encode() + b"\0" + content)
    return digest.hexdigest()


def save(record: Record, path: Path) -> None:
    """Writes the record where ``load`` finds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))


def load(path: Path = RECORD) -> Record | None:
    """The last record, or None when there is none."""
    return msgspec.json.decode(path.read_bytes(), type=Record) if path.is_file() else None
