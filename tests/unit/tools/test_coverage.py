"""How much of each service's code was run: counted in the processes of the tests, told above the closing line."""

from tools.coverage import merged, summary
from tools.paths import ROOT


def test_lines_are_summed_by_service() -> None:
    files = {
        "services/points/app.py": {"executed_lines": [1, 2, 3], "missing_lines": [4]},
        str(ROOT / "services" / "points" / "domain" / "book.py"): {
            "executed_lines": [],
            "missing_lines": [1, 2],
        },
        "libs/common/ids.py": {"executed_lines": [1], "missing_lines": []},
        "libs/demo/run.py": {"executed_lines": [1], "missing_lines": []},
    }
    assert [line.split() for line in summary(files)] == [
        ["services/points", "50.0", "%", "of", "6", "lines"],
        ["libs/common", "100.0", "%", "of", "1", "lines"],
    ]


def test_a_line_that_one_process_ran_is_run() -> None:
    first = {"a.py": {"executed_lines": [1, 2], "missing_lines": [3, 4]}}
    second = {
        "a.py": {"executed_lines": [1, 3], "missing_lines": [2, 4]},
        "b.py": {"executed_lines": [], "missing_lines": [1]},
    }
    assert merged([first, {}, second]) == {
        "a.py": {"executed_lines": [1, 2, 3], "missing_lines": [4]},
        "b.py": {"executed_lines": [], "missing_lines": [1]},
    }
