"""Append-only files of JSON lines: what an emulator accepted, and what it was told.

A line is handed to the operating system before its sender hears of it; so a checker that reads the file never
sees less than what was answered, and a killed emulator finds its past again.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

Record = dict[str, Any]
_PRIVATE: Final = 0o600
"""Phone numbers and messages stand in it."""


class Journal:
    """One file of JSON lines. Not shared between processes: one writer, any number of readers."""

    def __init__(self, path: Path) -> None:
        """Opens `path` for appending, making it if needed; a torn last line of a killed writer is cut off."""
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _cut_torn_line(path)
        self._fd = self._open()

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Writes all records with one call to the operating system; raises OSError when the disk is full."""
        lines = [json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records]
        if not lines:
            return
        data = memoryview(("\n".join(lines) + "\n").encode())
        while data:
            data = data[os.write(self._fd, data) :]

    def records(self) -> Iterator[Record]:
        """All whole lines so far, oldest first."""
        return read_journal(self.path)

    def rotate(self) -> None:
        """Puts the present file aside under the next free number and begins an empty one."""
        self.close()
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.{number}")).exists():
            number += 1
        self.path.rename(aside)
        self._fd = self._open()

    def close(self) -> None:
        """Closes the file; the journal takes nothing more."""
        os.close(self._fd)

    def _open(self) -> int:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE)
        os.fchmod(descriptor, _PRIVATE)  # a release before let everybody read it
        return descriptor


def read_journal(path: Path) -> Iterator[Record]:
    """Reads the whole lines of a journal that somebody may be writing; a missing file is an empty one."""
    if not path.exists():
        return
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                record: Record = json.loads(line)
                yield record


def _cut_torn_line(path: Path) -> None:
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
