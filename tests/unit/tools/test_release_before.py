"""Which release `make upgrade` begins with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.upgrade.release import Absent, release_before


def _git(folder: Path, *arguments: str) -> None:
    own = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *own, *arguments], check=True, capture_output=True)


def _told(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _commit(folder: Path, *tags: str) -> None:
    _git(folder, "commit", "--allow-empty", "--message", "a change")
    for tag in tags:
        _git(folder, "tag", tag)


def test_the_release_before_is_the_newest_tag_behind_or_how_it_was_a_day_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _git(tmp_path, "init")
    for hour in ("2026-11-29T08:00:00Z", "2026-11-29T10:00:00Z", "2026-11-30T09:00:00Z"):
        monkeypatch.setenv("GIT_COMMITTER_DATE", hour)
        _commit(tmp_path, hour[8:13])
    assert release_before(tmp_path) == _told(tmp_path, "rev-parse", "29T08")
    _git(tmp_path, "checkout", "29T08")
    with pytest.raises(Absent, match="FROM="):
        release_before(tmp_path)
    _commit(tmp_path, "other", "v0.1.0")
    _commit(tmp_path, "v0.2.0")
    assert release_before(tmp_path) == "v0.1.0", "not the one that is tagged now"
    _commit(tmp_path)
    assert release_before(tmp_path) == "v0.2.0"
