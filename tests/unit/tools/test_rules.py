"""The catalogue of rules, the plugin that watches the tests, and what counts as a proof."""

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tools.paths import ROOT
from tools.rules import catalogue, record
from tools.rules.__main__ import RUNS, closing_line, current_tests, table
from tools.rules.record import Record, State, TestResult, state_of, summarise

pytest_plugins = ["pytester"]

_PROBE = """
import pytest

@pytest.mark.rule("J-01a", "J-02b")
@pytest.mark.parametrize("n", [1, 2])
def test_passes(n): pass

@pytest.mark.rule("J-03a")
@pytest.mark.parametrize("n", [1, 2])
def test_fails_once(n): assert n == 1

@pytest.mark.rule("J-04a")
def test_skips(): pytest.skip("no")

@pytest.mark.rule("J-05a")
@pytest.mark.xfail
def test_expected_to_fail(): assert False

@pytest.mark.rule("J-06a")
@pytest.mark.xfail
def test_passes_unexpectedly(): pass

@pytest.fixture
def broken():
    yield
    raise RuntimeError("late")

@pytest.mark.rule("J-07a")
def test_breaks_afterwards(broken): pass

def test_names_no_rule(): pass
"""


@pytest.fixture(autouse=True)
def _own_plugins_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """All others that are installed would be imported anew by each run, two seconds each time."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


_PROBED = ("J-01a", "J-01b", "J-02b", "J-03a", "J-04a", "J-05a", "J-06a", "J-07a", "J-08a")


def _run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_inprocess(
        "-p",
        "tools.rules.plugin",
        "-p",
        "no:cacheprovider",
        "--rules-record",
        "record.json",
        *arguments,
    )


def test_only_what_ran_and_passed_is_proved(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(_PROBE)
    _run(pytester)
    written = record.load(pytester.path / "record.json")
    assert written is not None
    states = {clause: state_of(clause, written.tests) for clause in _PROBED}
    assert states == {
        "J-01a": State.PROVED,
        "J-01b": State.UNTESTED,
        "J-02b": State.PROVED,
        "J-03a": State.FAILED,
        "J-04a": State.SKIPPED,
        "J-05a": State.SKIPPED,
        "J-06a": State.SKIPPED,
        "J-07a": State.FAILED,
        "J-08a": State.UNTESTED,
    }


def test_unselected_tests_prove_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(_PROBE)
    _run(pytester, "-k", "skips")
    written = record.load(pytester.path / "record.json")
    assert written is not None
    assert [test.name for test in written.tests] == ["test_unselected_tests_prove_nothing.py::test_skips"]


@pytest.mark.parametrize(
    "marker", ['rule("J-99")', 'rule("J-01")', 'rule("J-01z")', 'rule("P-02a")', "rule()", 'rule("j-01")']
)
def test_unknown_ids_fail_the_collection(pytester: pytest.Pytester, marker: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.{marker}\ndef test_it(): pass")
    ended = _run(pytester)
    assert ended.ret == pytest.ExitCode.USAGE_ERROR
    ended.stderr.fnmatch_lines(["*clauses that docs/rules.md does not list:*", "*test_it: *"])
    assert not (pytester.path / "record.json").exists()


def test_one_failing_test_outweighs_passing_ones() -> None:
    good = TestResult("a", ["J-01"], {"passed": 3})
    bad = TestResult("b", ["J-01"], {"passed": 1, "failed": 1})
    assert state_of("J-01", [good]) is State.PROVED
    assert state_of("J-01", [good, bad]) is State.FAILED


def test_a_parametrised_test_with_a_skipped_instance_is_no_proof() -> None:
    tests = summarise([("t[1]", ("J-01",), "passed"), ("t[2]", ("J-01",), "skipped")])
    assert tests == [TestResult("t", ["J-01"], {"passed": 1, "skipped": 1})]
    assert state_of("J-01", tests) is State.SKIPPED


def _page(folder: Path, *rows: str) -> Path:
    page = folder / "rules.md"
    page.write_text("\n".join(rows), encoding="utf-8")
    return page


_ROWS = ("| J-01 | (a) saves; (b) publishes. |", "| J-02 | Closes. |")


def test_rows_are_read_by_clauses(tmp_path: Path) -> None:
    rules = catalogue.load(_page(tmp_path, *_ROWS))
    assert rules["J-01"].clauses == {"J-01a": "saves", "J-01b": "publishes."}
    assert rules["J-02"].clauses == {"J-02": "Closes."}
    assert list(catalogue.clauses(rules.values())) == ["J-01a", "J-01b", "J-02"]


def test_closing_line_counts_clauses_and_lists_what_is_unproved(tmp_path: Path) -> None:
    rules = catalogue.load(_page(tmp_path, *_ROWS))
    tests = [TestResult("t", ["J-01a", "J-02"], {"passed": 1})]
    assert closing_line(rules, tests) == "2 of 3 clauses, 1 of 2 rules proved; unproved: J-01b"
    tests.append(TestResult("u", ["J-01b"], {"passed": 1}))
    assert closing_line(rules, tests) == "3 of 3 clauses, 2 of 2 rules proved"


def test_the_table_shows_each_clause_with_its_tests(tmp_path: Path) -> None:
    rules = catalogue.load(_page(tmp_path, *_ROWS))
    tests = [TestResult("exact", ["J-01a"], {"passed": 1}), TestResult("whole", ["J-02"], {"passed": 1})]
    console = Console(width=120, file=StringIO(), record=True)
    console.print(table(rules, tests))
    rows = [line.split() for line in console.export_text().splitlines() if "J-0" in line]
    assert [(row[0], row[-1]) for row in rows] == [
        ("J-01a", "exact"),
        ("J-01b", "test"),  # of "no test"
        ("J-02", "whole"),
    ]


def test_a_record_survives_the_disk(tmp_path: Path) -> None:
    made = Record("f", [TestResult("t", ["J-02"], {"passed": 1})])
    record.save(made, tmp_path / "new" / "record.json")
    assert record.load(tmp_path / "new" / "record.json") == made
    assert record.load(tmp_path / "absent.json") is None


def test_what_a_browser_proves_counts_and_a_run_is_made_only_where_its_record_is_of_other_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, ran = record.fingerprint(), []

    def pytest_run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        target = Path(command[command.index("--rules-record") + 1])
        ran.append((target.name, "tests/browser" in command))
        record.save(Record(now, [TestResult("t", ["X-07"], {"passed": 1})]), target)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", pytest_run)
    runs = [each._replace(record=tmp_path / each.record.name) for each in RUNS]
    record.save(Record(now, [TestResult("s", ["J-02"], {"passed": 1})]), runs[0].record)
    record.save(Record("of before", []), runs[1].record)
    for _ in range(2):
        assert [test.name for test in current_tests(runs)] == ["s", "t"]
    assert ran == [("rules.browser.json", True)]


def test_make_records_what_the_table_reads() -> None:
    recipes = (ROOT / "Makefile").read_text(encoding="utf-8")
    for run in RUNS:
        assert f"--rules-record {run.record.relative_to(ROOT)}" in recipes


def test_any_edit_of_a_source_outdates_the_record(tmp_path: Path) -> None:
    source = tmp_path / "services" / "points" / "queries.sql"
    source.parent.mkdir(parents=True)
    source.write_text("SELECT 1", encoding="utf-8")
    before = record.fingerprint(tmp_path)
    (tmp_path / "services" / "__pycache__").mkdir()
    (tmp_path / "services" / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert record.fingerprint(tmp_path) == before
    source.write_text("SELECT 2", encoding="utf-8")
    edited = record.fingerprint(tmp_path)
    source.rename(source.with_name("other.sql"))
    assert len({before, edited, record.fingerprint(tmp_path)}) == 3


@pytest.mark.parametrize("text", ["# no table", "| J-01 | a |\n| J-01 | b |", "| J-01 | (a) x; (a) y |"])
def test_a_broken_page_is_refused(tmp_path: Path, text: str) -> None:
    page = tmp_path / "rules.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises(catalogue.CatalogueError):
        catalogue.load(page)


def test_the_page_lists_the_rules_of_the_specification(reference_data: Path) -> None:
    specification, lister = reference_data / "spec.md", reference_data / "tools" / "clauses.py"
    for needed in (specification, lister):
        if not needed.is_file():
            pytest.skip(f"no {needed}")
    command = [sys.executable, str(lister), str(specification)]
    defined = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert sorted(catalogue.clauses(catalogue.load().values())) == sorted(defined)
