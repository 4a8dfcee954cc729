"""How much of each service's code was run: counted in the process of the tests, told above the closing line."""

from tools.coverage import summary
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
