"""How much of each service's code was run: counted in the process of the tests, told above the closing line."""

import re
import subprocess
import sys

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


def test_a_run_with_coverage_names_every_service_and_ends_with_pytests_own_line() -> None:
    options = ["-q", "--coverage", "-p", "no:cacheprovider", "tests/unit/points/test_earning.py"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *_, last = ended.stdout.splitlines()
    assert re.search(r"\d+ passed in", last)
    shares = dict(re.findall(r"^(services/\w+) +([\d.]+) % of", ended.stdout, re.MULTILINE))
    assert set(shares) == {f"services/{file.parent.name}" for file in (ROOT / "services").glob("*/app.py")}
    assert [name for name, share in shares.items() if float(share) > 0] == ["services/points"]
