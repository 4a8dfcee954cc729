"""Processes of the release before work on this release's schema: its own tests pass on it."""

import io
import os
import subprocess
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tools.paths import ROOT
from tools.schema.functions import read_baseline

_PLUGIN: Final = Path(__file__).parent / "newer_schema"
_MODULES: Final = (
    "import services.channel_gateway.app, services.journey.app, services.points.app, services.segment.app"
)
_TESTS: Final = (
    "channel_gateway/test_reserve_and_mark.py",
    "journey/test_turn_store.py",
    "points/test_posting.py",
    "segment/test_events.py",
    "stats/test_stats.py",
)

_PYTEST: Final = ("-m", "pytest", "-q", "-x", "-p", "omnijourney_newer_schema", "-p", "no:cacheprovider")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The files of the release before. The test is skipped where this checkout does not have them."""
    commit = read_baseline().commit
    archive = subprocess.run(  # a shallow checkout has no history
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"the commit {commit} of the release before is not in this checkout")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(tmp_path, filter="data")
    if _run(tmp_path, "-c", _MODULES).returncode:
        pytest.skip("the release before needs packages that are not installed")
    return tmp_path


def _run(older: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    path = os.pathsep.join(str(folder) for folder in (older, older / "libs" / "gen", _PLUGIN))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=older,
        env={**os.environ, "PYTHONPATH": path, "NEWER_RELEASE": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(900)
def test_the_release_before_works_on_this_schema(older: Path) -> None:
    # Several at a time: they wait for their servers more than they work.
    with ThreadPoolExecutor(max_workers=3) as pool:
        for done in pool.map(lambda name: _run(older, *_PYTEST, f"tests/integration/{name}"), _TESTS):
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
