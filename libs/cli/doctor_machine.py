"""What the doctor finds on this machine: variables, the data directory, the disk."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from libs.cli.findings import Finding, fault, warning, well
from libs.common import credentials
from libs.common.config import unknown_variables

FREE_BYTES_MIN: Final = 1 << 30
"""Less is filled by a log of PostgreSQL in one busy hour."""
FREE_BYTES_LOW: Final = 5 << 30
_GIB: Final = 1 << 30


def look(data_dir: Path) -> Iterator[Finding]:
    """Looks at what needs no server."""
    yield from _variables()
    yield from _files(data_dir)
    yield _disk(data_dir)


def _variables() -> Iterator[Finding]:
    unknown = list(unknown_variables())
    if not unknown:
        yield well("variables", "every OMNIJOURNEY_* is known")
    for line in unknown:
        yield warning("variables", line, "correct its name, or unset it: docs/configuration.md has all")


def _files(data_dir: Path) -> Iterator[Finding]:
    """Whether secrets are for their owner's eyes only."""
    private = [data_dir / "token", data_dir / "secret_key", *(data_dir / credentials.FOLDER).glob("*.env")]
    there = [file for file in private if file.exists()]
    open_to_others = [file for file in there if stat.S_IMODE(file.stat().st_mode) & 0o077]
    for file in open_to_others:
        yield fault("files", f"{file} can be read by other users", f"chmod 600 {file}")
    unreadable = [file for file in there if not os.access(file, os.R_OK)]
    for file in unreadable:
        yield fault("files", f"{file} cannot be read by this user", "run as its owner")
    if not open_to_others and not unreadable:
        yield well("files", f"{len(there)} secrets in {data_dir}, for their owner only")


def _disk(data_dir: Path) -> Finding:
    there = next(folder for folder in (data_dir.absolute(), *data_dir.absolute().parents) if folder.exists())
    usage = shutil.disk_usage(there)
    found = f"{usage.free / _GIB:.1f} GiB free of {usage.total / _GIB:.0f} at {there}"
    if usage.free < FREE_BYTES_MIN:
        return fault("disk", found, "make room now: PostgreSQL stops when the disk is full")
    if usage.free < FREE_BYTES_LOW:
        return warning("disk", found, "make room, or set OMNIJOURNEY_DATA_DIR to a larger disk")
    return well("disk", found)
