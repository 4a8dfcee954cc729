"""The demo's own data directory: fresh at each start, one demo at a time, kept afterwards for a look."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from libs.demo.patience import DemoFault

_MARK = ".omnijourney-demo"


@contextmanager
def fresh_directory(parent: Path) -> Iterator[Path]:
    """`<parent>/demo`, emptied of the demo before, held until the context ends.

    DemoFault when another demo runs there, or when what is there was not made by a demo.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFault(
                f"another demo runs in {parent}: let it end, or set OMNIJOURNEY_DATA_DIR to another directory"
            ) from None
        directory = parent / "demo"
        if directory.exists() and not (directory / _MARK).exists():
            raise DemoFault(f"{directory} was not made by a demo, so it is not touched: move it away")
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(exist_ok=True)
        (directory / _MARK).touch()
        yield directory
