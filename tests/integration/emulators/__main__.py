"""Runs the tests of the emulators here, and prints what agreed: `make differential`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.emulators.agreement import TRIED, Tried

_CLIENTS: Final = "test_clients_of_others.py"
_OF: Final[Mapping[str, str]] = {"line": "line-bot-sdk", "whatsapp": "pywa"}


class Table:
    """Notes how the tests end."""

    def __init__(self) -> None:
        self.calls: dict[str, str] = {}
        """How each test of others' clients ended, by its name."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """See pytest."""
        name = report.nodeid.rpartition("::")[2]
        if _CLIENTS in report.nodeid and (report.when == "call" or not report.passed):
            self.calls[name] = report.outcome

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """See pytest."""
        for line in (*_of_clients(self.calls), "", *_of_operations(TRIED)):
            terminalreporter.write_line(line)


def _of_clients(calls: Mapping[str, str]) -> Iterator[str]:
    yield "calls of the channels' own and best-kept clients, against the emulators"
    for name, outcome in calls.items():
        client = _OF["line" if "line" in name.partition("[")[0] else "whatsapp"]
        what = name.partition("[")[2].removesuffix("]") or name.removeprefix("test_").replace("_", " ")
        kind = "reads ours: " if "adapter_writes" in name else ""
        yield f"  {client} {version(client):8} {outcome:8} {kind}{what}"


def _of_operations(tried: Mapping[tuple[str, str], Tried]) -> Iterator[str]:
    yield "operations of the channels' OpenAPI files, both ways: our adapters and the tests ask, the emulators answer"
    yield f"  {'channel':9} {'taken':>6} {'refused':>8} {'answers':>8} {'faults':>7}  operation"
    for (channel, operation), each in sorted(tried.items()):
        counts = f"{each.requests:6} {each.refusals:8} {each.answers:8} {len(each.faults):7}"
        yield f"  {channel:9} {counts}  {operation}"
    yield "Messenger and Instagram publish no such file, and have no client that is kept up: only our adapter asks them"


if __name__ == "__main__":
    folder = str(Path(__file__).parent)
    sys.exit(pytest.main(["-q", "-n", "0", "--no-header", folder, *sys.argv[1:]], plugins=[Table()]))
