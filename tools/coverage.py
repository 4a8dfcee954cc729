"""The pytest plugin behind ``--coverage``: how much of each service's code the tests ran, a line a service.

It sees the processes of the tests (workers tell what they ran) and no other: services that tests start as processes
of their own (``e2e``, ``chaos``, the kills) are left out. Lines are counted by slipcover, whose probes take themselves
out once they were hit: that costs next to nothing on a Python without ``sys.monitoring`` as well, where a tracer
doubles the time.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any, Final

import pytest

from tools.paths import ROOT
from tools.side_by_side import is_worker

_SERVICES: Final = sorted(file.parent for file in (ROOT / "services").glob("*/app.py"))
_TOLD: Final = "lines"
# Probes are taken out in sweeps over all functions that there are. One begins when a probe has been hit so often since
# the last: at slipcover's own 50 the sweeps alone make the tests a quarter slower.
_HITS_BEFORE_REMOVAL: Final = 1_000
_PARTS: Final = {part.relative_to(ROOT).as_posix(): part for part in (*_SERVICES, ROOT / "libs" / "common")}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds ``--coverage``."""
    parser.addoption("--coverage", action="store_true", help="print how much of each service's code was run")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Begins before any of the code is imported."""
    if early_config.known_args_namespace.coverage:
        early_config.pluginmanager.register(Meter(), "coverage-meter")
        if "PYTEST_XDIST_WORKER" in os.environ:
            os.environ.pop("PYTEST_PLUGINS", None)  # what tests start is no part of this run
        else:
            os.environ["PYTEST_PLUGINS"] = __name__  # so that workers load it as early


class Meter:
    """Counts from when it is made."""

    def __init__(self) -> None:
        """From here on, what is imported is counted."""
        import slipcover  # noqa: PLC0415 - only where it is asked for

        folders = [str(folder) for folder in _PARTS.values()]
        self._workers: list[Mapping[str, Any]] = []
        self._counted = slipcover.Slipcover(source=folders, d_miss_threshold=_HITS_BEFORE_REMOVAL)
        self._stack = ExitStack()
        self._stack.enter_context(
            slipcover.ImportManager(self._counted, slipcover.FileMatcher(sources=folders))
        )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A worker tells what it ran."""
        if is_worker(session.config):
            self._stack.close()
            session.config.workeroutput[_TOLD] = lines_of(self._counted.get_coverage()["files"])  # type: ignore[attr-defined]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hears what a worker ran."""
        self._workers.append(node.workeroutput.get(_TOLD, {}))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints above the closing line."""
        self._stack.close()
        terminalreporter.section("lines run in the processes of the tests")
        own = lines_of(self._counted.get_coverage()["files"])
        for line in summary(merged([own, *self._workers])):
            terminalreporter.write_line(line)


def lines_of(files: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[int]]]:
    """Of each file the lines that were run and those that were not."""
    kinds = ("executed_lines", "missing_lines")
    return {name: {kind: list(lines[kind]) for kind in kinds} for name, lines in files.items()}


def merged(told: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, list[int]]]:
    """What several processes ran together: a line that one of them ran is run."""
    run: dict[str, set[int]] = {}
    there: dict[str, set[int]] = {}
    for files in told:
        for name, lines in files.items():
            run.setdefault(name, set()).update(lines["executed_lines"])
            there.setdefault(name, set()).update(lines["executed_lines"], lines["missing_lines"])
    return {
        name: {"executed_lines": sorted(run[name]), "missing_lines": sorted(lines - run[name])}
        for name, lines in there.items()
    }


def summary(files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """``services/points 93.1 % of 4,210 lines``, one for each service and for what they share.

    ``files``: path, absolute or from the root, to its ``executed_lines`` and ``missing_lines``.
    """
    run, there = Counter[str](), Counter[str]()
    for name, lines in files.items():
        file = (ROOT / name).resolve()
        for part, folder in _PARTS.items():
            if file.is_relative_to(folder):
                run[part] += len(lines["executed_lines"])
                there[part] += len(lines["executed_lines"]) + len(lines["missing_lines"])
    width = max(map(len, _PARTS))
    return [
        f"{part:{width}} {100 * run[part] / there[part]:5.1f} % of {there[part]:6,} lines"
        for part in _PARTS
        if there[part]
    ]
