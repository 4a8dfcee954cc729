"""A data directory that the servers' own account can reach."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Where a data directory may be made."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        path = Path(made)
        path.chmod(0o755)
        yield path / "data"
