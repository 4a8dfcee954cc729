"""What tests name is recorded as well where they run in workers."""

import pytest

from tools.rules import record

pytest_plugins = ["pytester"]

_PROBE = """
import pytest

@pytest.mark.rule("J-01a", "J-02b")
@pytest.mark.parametrize("n", [1, 2])
def test_passes(n): pass

@pytest.mark.rule("J-03a")
def test_fails(): assert False
"""


def _recorded(pytester: pytest.Pytester, *arguments: str) -> list[str]:
    plugins = (
        "-p",
        "tools.side_by_side",
        "-p",
        "tools.rules.plugin",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
    )
    pytester.runpytest_subprocess(*plugins, "--rules-record", "record.json", *arguments)
    written = record.load(pytester.path / "record.json")
    assert written is not None
    return sorted(map(repr, written.tests))


def test_workers_record_what_one_process_does(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_one=_PROBE, test_two=_PROBE)
    alone = _recorded(pytester)
    assert len(alone) == 4
    assert _recorded(pytester, "-n", "2") == alone
