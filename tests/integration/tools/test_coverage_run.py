"""A run of tests that counts lines, as `make test` is one."""

import re
import subprocess
import sys

from tools.paths import ROOT


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
