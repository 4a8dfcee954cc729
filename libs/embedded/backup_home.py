"""Where backups of a data directory lie, and what one is.

<backup directory>/<id of the data directory>/      a restored data directory has another id: two never write to one log
    wal/                                            segments of the log, compressed (`archive.py`)
    20261130T150102Z/                               a backup
        base.tar.gz  pg_wal.tar.gz  backup_manifest     as pg_basebackup writes them
        token  postgres.password  [tls/…]  [secret_key]     files of the data directory (0600)
        backup.json                                     written last: without it the backup is none
"""

import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from libs.embedded import archive
from libs.embedded.datadir import DataDir
from libs.embedded.errors import EmbeddedError

ARCHIVE_TIMEOUT_S = 60
"""A segment that is not full is archived after so long: at most this much is lost with the disk."""
SEGMENT_BYTES = 16 * 1024 * 1024
"""What `initdb` makes."""
_ID_BYTES = 4
_FORM = 1
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_SEGMENTS_A_LOG = (1 << 32) // SEGMENT_BYTES
_ARCHIVE = Path(archive.__file__)


class BackupError(EmbeddedError):
    """A backup cannot be made, found, verified or restored; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup, as `backup.json` has it. Times are UTC, ISO 8601."""

    name: str
    begin_time: str
    end_time: str
    """From here on the log leads to any later moment."""
    postgres_major: int
    version: str
    """Of the product."""
    timeline: int
    start_segment: int
    """The first segment of the log that it needs, counted from the log's beginning."""
    secret_key_ids: Sequence[str]
    """Names of the keys that secrets at rest were sealed with."""
    has_secret_key: bool
    """Whether the data directory's key lies in the backup."""
    size_bytes: int

    @property
    def ended(self) -> datetime:
        """Timezone-aware."""
        return datetime.fromisoformat(self.end_time)


@dataclass(frozen=True, slots=True)
class BackupHome:
    """The backups of one data directory."""

    path: Path

    @classmethod
    def of(cls, backup_dir: Path, directory: DataDir) -> "BackupHome":
        """That of a data directory."""
        return cls(backup_dir.absolute() / directory.secret("backup_id", _ID_BYTES))

    @classmethod
    def all(cls, backup_dir: Path) -> "list[BackupHome]":
        """Those of all data directories that were backed up here."""
        found = sorted(backup_dir.iterdir()) if backup_dir.is_dir() else []
        return [cls(each.absolute()) for each in found if re.fullmatch(r"[0-9a-f]{8}", each.name)]

    @property
    def wal(self) -> Path:
        """The folder of the log."""
        return self.path / "wal"

    def backups(self) -> list[Backup]:
        """Oldest first. Raises BackupError for one of a newer release."""
        return sorted(self._read(), key=lambda backup: backup.end_time)

    def _read(self) -> Iterator[Backup]:
        for file in self.path.glob("*/backup.json"):
            read = json.loads(file.read_text())
            if read.pop("form") > _FORM:
                raise BackupError(f"{file} was written by a newer release: use that one")
            yield Backup(**read)

    def write(self, backup: Backup) -> None:
        """Finishes a backup."""
        draft = self.path / backup.name / ".backup.json"
        draft.write_text(json.dumps({"form": _FORM, **asdict(backup)}, indent=2) + "\n")
        draft.rename(draft.with_name("backup.json"))

    def segments(self, timeline: int) -> list[int]:
        """Numbers of the archived segments of a timeline, ascending."""
        names = (file.name.removesuffix(archive.SUFFIX) for file in self.wal.glob("*" + archive.SUFFIX))
        found = map(_SEGMENT.fullmatch, names)
        return sorted(
            int(match[2], 16) * _SEGMENTS_A_LOG + int(match[3], 16)
            for match in found
            if match is not None and int(match[1], 16) == timeline
        )

    def gap_after(self, backup: Backup) -> int | None:
        """The first segment that lies between archived ones and is missing; None: the log has no gap."""
        numbers = [number for number in self.segments(backup.timeline) if number >= backup.start_segment]
        if not numbers:
            return None
        wanted = range(backup.start_segment, numbers[-1] + 1)
        return next((number for number, found in zip(wanted, numbers, strict=False) if number != found), None)

    def archived_until(self, timeline: int, segment: int) -> datetime:
        """When a segment was archived; the log up to it is of before."""
        at_s = (self.wal / (segment_name(timeline, segment) + archive.SUFFIX)).stat().st_mtime
        return datetime.fromtimestamp(at_s).astimezone()

    def archive_settings(self) -> Mapping[str, str]:
        """Settings of a server that keeps its log here."""
        return {
            "archive_mode": "on",
            "archive_command": _command("keep", "%p", str(self.wal)),
            "archive_timeout": str(ARCHIVE_TIMEOUT_S),
        }

    def restore_command(self) -> str:
        """The setting of a server that recovers from this log."""
        return _command("fetch", "%f", str(self.wal), "%p")


def archive_check(folder: Path) -> list[str]:
    """The command that says whether its account may keep segments in a folder."""
    return [sys.executable, "-I", "-S", str(_ARCHIVE), "check", str(folder)]


def _command(*arguments: str) -> str:
    """For PostgreSQL, which puts path and name in the places of %p and %f."""
    words = [sys.executable, "-I", "-S", str(_ARCHIVE), *arguments]
    return " ".join(word if word in ("%p", "%f") else shlex.quote(word).replace("%", "%%") for word in words)


def segment_name(timeline: int, number: int) -> str:
    """The name of the file of a segment."""
    log, within = divmod(number, _SEGMENTS_A_LOG)
    return f"{timeline:08X}{log:08X}{within:08X}"


def start_of(manifest: Path) -> tuple[int, int]:
    """Timeline and first segment that a base backup needs, by its manifest."""
    (first, *_) = json.loads(manifest.read_text())["WAL-Ranges"]
    high, low = (int(part, 16) for part in first["Start-LSN"].split("/"))
    return int(first["Timeline"]), ((high << 32) + low) // SEGMENT_BYTES
