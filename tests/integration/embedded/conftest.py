"""Data directories that the servers' own account can reach, and processes that hold one."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.integration.embedded.holder import Hold, Holder


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A new directory through which every user of the machine may pass (`tmp_path` lets nobody else in)."""
    with tempfile.TemporaryDirectory(prefix="omnijourney-test-") as made:
        path = Path(made)
        path.chmod(0o755)
        yield path


@pytest.fixture
def data_dir(open_dir: Path) -> Path:
    """Where a data directory may be made."""
    return open_dir / "data"


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Starts processes that attach to a data directory; ends them after the test."""
    with contextlib.ExitStack() as stack:

        def start(data_dir: Path, prefix: Sequence[str] = ()) -> Holder:
            holder = Holder.start(data_dir, prefix)
            stack.callback(holder.reap)
            return holder

        yield start
