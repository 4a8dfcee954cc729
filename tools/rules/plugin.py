"""The pytest plugin behind ``@pytest.mark.rule``: refuses unknown ids and records what ran.

Loaded for every run (``addopts`` in pyproject.toml). With ``--rules-record FILE`` it writes what the run
showed about the rules to FILE.
"""

from pathlib import Path
from typing import Any, Final

import pytest

from tools.rules import catalogue, record
from tools.side_by_side import is_worker

_MARKER: Final = "rule"
_FINISHED: Final = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--rules-record``."""
    parser.addoption(
        "--rules-record", type=Path, default=None, metavar="FILE",
        help="write which tests that name rules ran, and how they ended, to FILE",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Registers one recorder for the run."""
    target = None if is_worker(config) else config.getoption("--rules-record")
    config.pluginmanager.register(RuleRecorder(target), "rule-recorder")


class RuleRecorder:
    """Knows the rules of each collected test and how the test ended."""

    def __init__(self, target: Path | None) -> None:
        """``target``: the file to write at the end of the run, None to write nothing."""
        self._target = target
        # Taken before the tests run, so that an edit made meanwhile outdates the record.
        self._fingerprint = record.fingerprint() if target else ""
        self._rules_of: dict[str, tuple[str, ...]] = {}
        """Of the tests that ended: reports tell them, as a worker's process may have collected them."""
        self._outcomes: dict[str, str] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Raises UsageError with every fault at once when a marker names no clause of docs/rules.md."""
        known = catalogue.clauses(catalogue.load().values())
        faults: list[str] = []
        for item in items:
            marks = list(item.iter_markers(_MARKER))
            rules = tuple(str(rule) for mark in marks for rule in mark.args)
            if marks and not rules:
                faults.append(f"{item.nodeid}: the rule marker names no rule")
            faults += [f"{item.nodeid}: unknown clause {rule!r}" for rule in rules if rule not in known]
            if rules:
                item.user_properties.append((_MARKER, rules))
        if faults:
            raise pytest.UsageError(
                "\n".join(["clauses that docs/rules.md does not list:", *dict.fromkeys(faults)])
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes how a test ended: set-up, call and tear-down all count."""
        rules: Any = dict(report.user_properties).get(_MARKER)
        if rules is None:
            return
        self._rules_of[report.nodeid] = tuple(rules)
        if report.failed:
            self._outcomes[report.nodeid] = "failed"
        elif hasattr(report, "wasxfail"):
            self._outcomes[report.nodeid] = "xfailed" if report.skipped else "xpassed"
        elif report.skipped:
            self._outcomes[report.nodeid] = "skipped"
        elif report.when == "call":
            self._outcomes[report.nodeid] = "passed"

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Writes the record, but not after an interrupted run: it would call tests unrun that exist."""
        if self._target is None or exitstatus not in _FINISHED:
            return
        ended = ((node, self._rules_of[node], outcome) for node, outcome in self._outcomes.items())
        record.save(record.Record(self._fingerprint, record.summarise(ended)), self._target)
