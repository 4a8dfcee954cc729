"""``make rules``: the table of all clauses with the tests that prove them.

Uses the records of the last whole runs of `make test` and `make browser` when the sources have not changed since;
otherwise runs the tests that name rules first. The last line says how many clauses and rules are proved. Exits 1 when
such a test fails.
"""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tools.paths import ROOT
from tools.rules import catalogue
from tools.rules.catalogue import Rule
from tools.rules.record import BROWSER_RECORD, RECORD, Record, State, TestResult, fingerprint, load, state_of

_STYLE = {State.PROVED: "green", State.FAILED: "red", State.SKIPPED: "yellow", State.UNTESTED: "dim"}


class Run(NamedTuple):
    """One of the runs that show what is proved; `arguments` are pytest's, besides those of every run."""

    record: Path
    arguments: Sequence[str] = ()


RUNS: Final = (Run(RECORD), Run(BROWSER_RECORD, ("-n", "0", "tests/browser")))


def current_tests(runs: Iterable[Run] = RUNS) -> list[TestResult]:
    """The tests of all runs."""
    return [test for run in runs for test in current_record(run).tests]


def current_record(run: Run) -> Record:
    """The record of these very sources, made now if the last one is of others."""
    record = load(run.record)
    if record is None or record.fingerprint != fingerprint():
        command = [sys.executable, "-m", "pytest", "-q", "-m", "rule", *run.arguments]
        ended = subprocess.run([*command, "--rules-record", str(run.record)], cwd=ROOT, check=False)
        # 1: tests failed, which the table shows; 5: no test names a rule.
        if ended.returncode not in (0, 1, 5):
            raise SystemExit(ended.returncode)
        record = load(run.record)
    if record is None:
        raise SystemExit("the test run left no record of the rules")
    return record


def table(rules: dict[str, Rule], tests: list[TestResult]) -> Table:
    """One row for each clause: id, meaning, state, the tests that name it."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("clause", no_wrap=True)
    shown.add_column("says", ratio=3)
    shown.add_column("state", no_wrap=True)
    shown.add_column("tests", ratio=4, overflow="fold")
    for rule in rules.values():
        for clause, text in rule.clauses.items():
            state = state_of(clause, tests)
            shown.add_row(clause, escape(text), f"[{_STYLE[state]}]{state}[/]", _naming(clause, tests))
    return shown


def closing_line(rules: dict[str, Rule], tests: list[TestResult]) -> str:
    """``N of M clauses, P of Q rules proved; unproved: J-01a …`` (without the second half when there are none)."""
    clauses = catalogue.clauses(rules.values())
    unproved = [clause for clause in clauses if state_of(clause, tests) is not State.PROVED]
    whole = sum(rule.clauses.keys().isdisjoint(unproved) for rule in rules.values())
    counted = (
        f"{len(clauses) - len(unproved)} of {len(clauses)} clauses, {whole} of {len(rules)} rules proved"
    )
    return f"{counted}; unproved: {' '.join(unproved)}" if unproved else counted


def _naming(named: str, tests: list[TestResult]) -> str:
    return "\n".join(escape(_label(test)) for test in tests if named in test.rules)


def _label(test: TestResult) -> str:
    name = test.name.removeprefix("tests/")
    if test.passed:
        count = test.outcomes["passed"]
        return f"{name} ×{count}" if count > 1 else name
    ended = ", ".join(f"{count} {outcome}" for outcome, count in test.outcomes.items())
    return f"{name} ({ended})"


def main() -> int:
    """Prints the table; 1 when a test that names a rule failed."""
    rules = catalogue.load()
    tests = current_tests()
    console = Console()
    if not console.is_terminal:
        console = Console(width=170)
    console.print(table(rules, tests), markup=True)
    print(closing_line(rules, tests))
    return int(any(test.failed for test in tests))


if __name__ == "__main__":
    sys.exit(main())
