"""Which tests one worker runs one after the other."""

import pytest

from tools.paths import ROOT
from tools.side_by_side import rank_of, unit_of


@pytest.mark.parametrize(
    "nodeid",
    [
        "tests/e2e/test_up.py::test_it",
        "tests/chaos/test_chaos.py::test_it[a::b]",
        "tests/walk/test_walk.py::test_it",
    ],
)
def test_whole_installations_are_one_workers(nodeid: str) -> None:
    assert unit_of(nodeid) == "installations"


def test_other_tests_go_by_their_file() -> None:
    first = unit_of("tests/unit/points/test_book.py::TestIt::test_it[a::b]")
    assert first == unit_of("tests/unit/points/test_book.py::test_other") == "tests/unit/points/test_book.py"


def test_files_that_share_services_are_one_workers_and_the_services_end_with_them() -> None:
    """A fixture of a package lasts as long as the session where the folder is no package: a second installation would
    then take the mail of the first one, whose mailboxes are on the same server."""
    sharing = [
        each.parent.relative_to(ROOT).as_posix()
        for each in (ROOT / "tests").rglob("conftest.py")
        if 'scope="package"' in each.read_text()
    ]
    assert {"tests/browser", "tests/integration/console", "tests/integration/whole_path"} <= set(sharing)
    assert [each for each in sharing if not (ROOT / each / "__init__.py").exists()] == []
    # Those of the browser are no part of what workers share.
    apart = [each for each in sharing if unit_of(f"{each}/test_a.py") != unit_of(f"{each}/test_b.py")]
    assert apart == ["tests/browser"]


def test_what_takes_longest_is_begun_first() -> None:
    files = ["unit/test_a", "integration/console/test_b", "integration/whole_path/test_c"]
    files += ["e2e/test_release_before", "e2e/test_d"]
    nodes = [f"tests/{file}.py::test_it" for file in files]
    assert sorted(nodes, key=rank_of) == list(reversed(nodes))
