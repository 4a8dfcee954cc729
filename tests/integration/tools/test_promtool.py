"""Prometheus' own tool reads its configuration and tries the rules of `deploy/prometheus`."""

import shutil
import subprocess

import pytest

from tools.paths import ROOT

DEPLOYED = ROOT / "deploy" / "prometheus"


@pytest.mark.rule("T-07c")
@pytest.mark.parametrize(
    "asked",
    ["check config --syntax-only prometheus.yml", "check rules alerts.yml", "test rules alerts_test.yml"],
)
def test_prometheus_takes_what_it_is_configured_with(asked: str) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool on this machine: it comes with Debian's prometheus")
    done = subprocess.run(
        [promtool, *asked.split()], cwd=DEPLOYED, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
