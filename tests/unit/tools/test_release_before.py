"""Which release `make upgrade` begins with."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.upgrade.release import release_before
from tools.schema.functions import read_baseline


def _git(folder: Path, *arguments: str) -> None:
    own = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *own, *arguments], check=True, capture_output=True)


def _commit(folder: Path, *tags: str) -> None:
    _git(folder, "commit", "--allow-empty", "--message", "a change")
    for tag in tags:
        _git(folder, "tag", tag)


def test_the_release_before_is_the_newest_tag_behind_or_the_one_that_is_kept(tmp_path: Path) -> None:
    _git(tmp_path, "init")
    _commit(tmp_path, "other", "v0.1.0")
    assert release_before(tmp_path) == read_baseline().commit, "none is behind"
    _commit(tmp_path, "v0.2.0")
    assert release_before(tmp_path) == "v0.1.0", "not the one that is tagged now"
    _commit(tmp_path)
    assert release_before(tmp_path) == "v0.2.0"
