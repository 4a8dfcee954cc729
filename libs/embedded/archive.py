"""Keeps the segments of PostgreSQL's write-ahead log, compressed, and gives them back: what the server itself runs.

    archive.py keep PATH FOLDER     # as archive_command: %p
    archive.py fetch NAME FOLDER TARGET     # as restore_command: %f, %p
    archive.py check FOLDER     # whether this account may keep anything there

Uses the standard library only and is run by path (`python -I -S archive.py`), by the account of the server. Exit code 1
when it did not succeed: PostgreSQL keeps the segment then, and tries again; when it fetches, the log ends here.
"""

import gzip
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SUFFIX = ".gz"
_LEVEL = 1
"""A segment that was closed before it was full is mostly zeros, which the fastest level finds as well."""


def keep(path: Path, folder: Path) -> None:
    """Writes the compressed copy to the disk before it says so. What is there already has to be the same: PostgreSQL
    asks again when it went down before it had the answer.

    Raises OSError; FileExistsError for another content.
    """
    kept = folder / (path.name + SUFFIX)
    if kept.exists():
        if gzip.decompress(kept.read_bytes()) != path.read_bytes():
            raise FileExistsError(f"{kept} is another segment of the same name")
        return
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            with (
                path.open("rb") as source,
                gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=_LEVEL) as packed,
            ):
                shutil.copyfileobj(source, packed, 1 << 20)
            stream.flush()
            os.fsync(stream.fileno())
        Path(draft).replace(kept)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    _sync(folder)


def fetch(name: str, folder: Path, target: Path) -> None:
    """Unpacks a segment. Raises OSError; FileNotFoundError where the log ends."""
    with gzip.open(folder / (name + SUFFIX), "rb") as packed, target.open("wb") as stream:
        shutil.copyfileobj(packed, stream, 1 << 20)


def check(folder: Path) -> None:
    """Raises OSError if nothing can be kept there."""
    with tempfile.NamedTemporaryFile(dir=folder):
        pass


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    try:
        match arguments:
            case ["keep", path, folder]:
                keep(Path(path), Path(folder))
            case ["fetch", name, folder, target]:
                fetch(name, Path(folder), Path(target))
            case ["check", folder]:
                check(Path(folder))
            case _:
                sys.stderr.write(__doc__ or "")
                return 1
    except FileNotFoundError as missing:
        if arguments[0] != "fetch":  # to the one who fetches it says only that there is no more
            sys.stderr.write(f"archive: {missing}\n")
        return 1
    except (OSError, EOFError) as error:
        sys.stderr.write(f"archive: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
