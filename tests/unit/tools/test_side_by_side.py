"""Which tests one worker runs one after the other."""

import pytest

from tools.side_by_side import unit_of


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
