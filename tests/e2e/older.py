"""The release before, as its own files: what runs it, and what skips where it is not at hand."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import pytest

from tools.paths import ROOT
from tools.schema.functions import read_baseline

_MODULES: Final = (
    "import services.channel_gateway.app, services.journey.app, services.points.app, services.segment.app"
)


def unpack(folder: Path) -> None:
    """Writes the files of the release before. The test is skipped where this checkout does not have them."""
    commit = read_baseline().commit
    archive = subprocess.run(  # a shallow checkout has no history
        ["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False
    )
    if archive.returncode:
        pytest.skip(f"the commit {commit} of the release before is not in this checkout")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    if run(folder, "-c", _MODULES).returncode:
        pytest.skip("the release before needs packages that are not installed")


def run(older: Path, *arguments: str, beside: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Python on the code of the release before, and on the modules of a folder of this one."""
    folders = [older, older / "libs" / "gen", *([beside] if beside else [])]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=older,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "NEWER_RELEASE": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
