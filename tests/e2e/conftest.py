"""One `omnijourney up` for the tests that do not end it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from libs.client import ClientSettings
from tests.e2e.installation import Up, up

BACKUPS: Final = "OMNIJOURNEY_BACKUP_DIR"


@pytest.fixture(scope="package")
def data_dir() -> Iterator[Path]:
    """One data directory, as for a person who starts and stops."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        path = Path(made)
        path.chmod(0o755)
        yield path / "data"


@pytest.fixture(scope="package")
def running(data_dir: Path) -> Iterator[Up]:
    """The command, up, for the tests that do not end it."""
    backups = data_dir.with_name("backups")
    with up(data_dir, "--clock-control", "--emulators", variables={BACKUPS: str(backups)}) as started:
        yield started


@pytest.fixture
def settings(running: Up) -> ClientSettings:
    """How a client finds it."""
    return ClientSettings(data_dir=running.data_dir)
