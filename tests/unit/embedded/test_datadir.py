"""Files of a data directory: private, written whole, believed only while their author lives."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from libs.embedded import DataDirUnusableError
from libs.embedded.datadir import DataDir, OwnerLock, ServerAddresses

OURS = ServerAddresses(os.getpid(), "postgresql://p", "redis://r")


def _dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    directory = DataDir.open(tmp_path / "data")
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: directory.secret("token"), range(32)))
    assert len(found) == 1
    assert DataDir.open(tmp_path / "data").secret("token") in found
    assert stat.S_IMODE(directory.token_file.stat().st_mode) == 0o600
    assert not list(directory.path.glob(".token.*"))


def test_one_process_owns_it_at_a_time(tmp_path: Path) -> None:
    directory = DataDir.open(tmp_path)
    first, second = OwnerLock(directory), OwnerLock(directory)
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()
    assert second.try_acquire()
    second.release()


def test_addresses_are_believed_while_their_author_lives(tmp_path: Path) -> None:
    directory = DataDir.open(tmp_path)
    assert directory.published() is None
    directory.publish(OURS)
    assert directory.published() == OURS
    directory.publish(ServerAddresses(_dead_pid(), "postgresql://p", "redis://r"))
    assert directory.published() is None
    directory.forget()
    directory.forget()


def test_the_version_of_the_data_is_read_from_it(tmp_path: Path) -> None:
    directory = DataDir.open(tmp_path)
    assert directory.postgres_major() is None
    directory.postgres.mkdir()
    (directory.postgres / "PG_VERSION").write_text("15\n")
    assert directory.postgres_major() == 15


def test_a_directory_that_cannot_be_made_is_a_clear_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusableError, match=r"cannot be used \(.*OMNIJOURNEY_DATA_DIR"):
        DataDir.open(tmp_path / "file" / "data")
