"""`omnijourney backup`: makes backups of the embedded PostgreSQL, shows, verifies and restores them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from libs.cli.console import complain, err, fail, say
from libs.common.config import EXIT_CONFIG
from libs.embedded import EmbeddedError, published_dsn, secret_key
from libs.embedded.backup_home import Backup, BackupError, BackupHome
from libs.embedded.backups import SECRET_KEY_FILE, Restored, drop_older, make_backup, opens, restore, verify
from libs.embedded.datadir import DataDir
from libs.supervisor import InstallationSettings

_VARIABLE: Final = "OMNIJOURNEY_BACKUP_DIR"
_MIB: Final = 1 << 20


async def create_backup(
    settings: InstallationSettings, *, keep: int, with_secret_key: bool, as_json: bool
) -> int:
    """Makes one; returns the exit code."""
    if settings.postgres_dsn:
        complain(
            "OMNIJOURNEY_POSTGRES_DSN: this PostgreSQL is yours, and so are its backups: see docs/backup.md"
        )
        return EXIT_CONFIG
    if settings.backup_dir is None:
        return _nowhere()
    dsn = published_dsn(settings.data_dir)
    if not dsn:
        return fail(BackupError(f"no PostgreSQL runs in {settings.data_dir}: start it (omnijourney up)"))
    try:
        directory = DataDir.open(settings.data_dir)
        home = BackupHome.of(settings.backup_dir, directory)
        keys = settings.secret_keys.get_secret_value() or secret_key(directory.path)
        own_key = (directory.path / SECRET_KEY_FILE).exists() and not settings.secret_keys
        made = make_backup(
            home, directory, dsn, version("omnijourney"), keys, with_secret_key=with_secret_key and own_key
        )
        say(_json(home, made) if as_json else _line(home, made))
        for removed in drop_older(home, keep) if keep else []:
            complain(f"removed {_name(home, removed)}")
    except EmbeddedError as error:
        return fail(error)
    if not made.has_secret_key:
        where = directory.path / SECRET_KEY_FILE if own_key else "OMNIJOURNEY_SECRET_KEYS"
        complain(f"the key of channels' tokens is not in it: keep a copy of {where} in another place")
    if not home.wal.is_dir():
        complain(f"the log is not kept: {_VARIABLE} was not set when PostgreSQL was started")
    return 0


async def show_backups(settings: InstallationSettings, limit: int, *, as_json: bool) -> int:
    """Lists them, newest first; 0 is no limit. Returns the exit code."""
    if settings.backup_dir is None:
        return _nowhere()
    try:
        newest = sorted(_all(settings.backup_dir), key=lambda pair: pair[1].end_time, reverse=True)
        for home, found in newest[: limit or None]:
            say(_json(home, found) if as_json else _line(home, found))
    except EmbeddedError as error:
        return fail(error)
    if limit and len(newest) > limit:
        complain(f"there are more than {limit:,}: --limit 0 shows all")
    return 0


async def verify_backup(settings: InstallationSettings, name: str, *, as_json: bool = False) -> int:
    """Verifies one; returns the exit code."""
    if settings.backup_dir is None:
        return _nowhere()
    try:
        home, found = _find(settings.backup_dir, name)
        with tempfile.TemporaryDirectory(prefix=".verify-", dir=home.path) as place:
            verify(home, found, Path(place))
    except EmbeddedError as error:
        return fail(error)
    say(json.dumps({"name": name, "whole": True}) if as_json else f"{name} is whole")
    return 0


async def restore_backup(
    settings: InstallationSettings,
    name: str,
    to_time: datetime | None,
    secret_key_file: Path | None,
    *,
    as_json: bool,
) -> int:
    """Restores one; returns the exit code."""
    if settings.backup_dir is None:
        return _nowhere()
    at = to_time.astimezone() if to_time is not None else None
    try:
        home, found = _find(settings.backup_dir, name)
        if at is not None and at < found.ended:
            raise BackupError(f"{name} ended {_local(found.ended)}, after that time: take an earlier backup")
        given = _key_in(secret_key_file)
        if not (found.has_secret_key or opens(found, given or settings.secret_keys.get_secret_value())):
            wanted = " or ".join(found.secret_key_ids)
            raise BackupError(
                f"the key {wanted}, which opens channels' tokens, is not in the backup, and not given: see"
                " --secret-key-file"
            )
        done = await restore(home, found, settings.data_dir, given, at)
    except ValueError as error:
        complain(f"{secret_key_file or 'OMNIJOURNEY_SECRET_KEYS'}: {error}")
        return EXIT_CONFIG
    except EmbeddedError as error:
        return fail(error)
    _tell(settings, done, as_json=as_json)
    return 0


def _key_in(file: Path | None) -> str:
    return file.read_text().strip() if file is not None else ""


def _tell(settings: InstallationSettings, done: Restored, *, as_json: bool) -> None:
    last = done.last_commit_time
    if as_json:
        found = {"data_dir": str(settings.data_dir), "last_commit_time": last.isoformat() if last else None}
        say(json.dumps(found))
        return
    say(f"{settings.data_dir} is as everything was at {_local(last or done.backup.ended)}")
    say("start it by omnijourney up, and make a backup of it: it has none of its own yet")


def _all(backup_dir: Path) -> Iterator[tuple[BackupHome, Backup]]:
    for home in BackupHome.all(backup_dir):
        for found in home.backups():
            yield home, found


def _find(backup_dir: Path, name: str) -> tuple[BackupHome, Backup]:
    for home, found in _all(backup_dir):
        if _name(home, found) == name:
            return home, found
    raise BackupError(
        f"{backup_dir} has no backup {name}: omnijourney backup list shows those that there are"
    )


def _name(home: BackupHome, found: Backup) -> str:
    return f"{home.path.name}/{found.name}"


def _leads_to(home: BackupHome, found: Backup) -> datetime:
    """The last moment that it can be restored to, to about a minute."""
    gap = home.gap_after(found)
    numbers = [
        n for n in home.segments(found.timeline) if n >= found.start_segment and (gap is None or n < gap)
    ]
    return max(found.ended, home.archived_until(found.timeline, numbers[-1])) if numbers else found.ended


def _line(home: BackupHome, found: Backup) -> str:
    key = "with its key" if found.has_secret_key else f"key {' '.join(found.secret_key_ids)}"
    return (
        f"{_name(home, found)}  {found.size_bytes / _MIB:8,.1f} MiB  PostgreSQL {found.postgres_major}  {key}"
        f"  restores {_local(found.ended)} to {_local(_leads_to(home, found))}"
    )


def _json(home: BackupHome, found: Backup) -> str:
    shown: dict[str, Any] = {
        **asdict(found),
        "name": _name(home, found),
        "restores_until_time": _leads_to(home, found).isoformat(timespec="seconds"),
    }
    return json.dumps(shown)


def _local(at: datetime) -> str:
    return at.astimezone().isoformat(sep=" ", timespec="seconds")


def _nowhere() -> int:
    err.print(f"{_VARIABLE}: must name the directory of the backups, or give --backup-dir", highlight=False)
    return EXIT_CONFIG
