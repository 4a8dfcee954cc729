"""Backups of the embedded PostgreSQL: made while it runs, verified, and restored into a new data directory."""

import asyncio
import os
import re
import shutil
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import asyncpg

from libs.common.private_files import write_private
from libs.common.sealing import key_ring
from libs.embedded import archive
from libs.embedded.account import SERVER_ENV, can_run, choose_account
from libs.embedded.backup_home import Backup, BackupError, BackupHome, segment_name, start_of
from libs.embedded.binaries import PostgresBinaries, find_postgres
from libs.embedded.datadir import DataDir, OwnerLock
from libs.embedded.errors import EmbeddedError
from libs.embedded.ports import free_port
from libs.embedded.postgres import PASSWORD_FILE, PostgresServer
from libs.embedded.process import Spec, describe_exit, log_tail, run_to_end

SECRET_KEY_FILE: Final = "secret_key"  # noqa: S105 - a file name
_SMALL_FILES: Final = ("token", PASSWORD_FILE, SECRET_KEY_FILE, "tls/ca.pem", "tls/ca.key")
"""Beside the database: what callers hold or know of the installation. Certificates are made anew by each start."""
_STAGE: Final = "restoring"
_POLL_S: Final = 0.05
_STOP_GRACE_S: Final = 30.0
_SKIP_NUMBERS: Final = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, coalesce(last_value, 0) + 1000000)
  FROM pg_sequences WHERE schemaname <> 'pg_catalog'
"""
"""Links that left after the moment hold numbers of addresses: these must not become other addresses' numbers."""
_TOO_SHORT: Final = "recovery ended before configured recovery target was reached"
_PACKED: Final = {"base.tar.gz": "", "pg_wal.tar.gz": "pg_wal"}
"""Where each part of a base backup belongs."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of a restore."""

    backup: Backup
    last_commit_time: datetime | None
    """The last commit that was replayed from the log; None: nothing followed the backup."""


def make_backup(
    home: BackupHome, directory: DataDir, dsn: str, version: str, secret_keys: str, *, with_secret_key: bool
) -> Backup:
    """Makes a backup of the PostgreSQL that runs at `dsn` in `directory`, with what the data directory holds beside it.

    Raises BackupError. What is half made is removed.
    """
    binaries = _binaries(directory)
    began = datetime.now(UTC)
    name = began.strftime("%Y%m%dT%H%M%SZ")
    folder = home.path / name
    try:
        home.path.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise BackupError(
            f"{folder} cannot be made ({error.strerror}): see OMNIJOURNEY_BACKUP_DIR"
        ) from error
    try:
        _base_backup(binaries, dsn, folder)
        _copy_files(directory, folder, with_secret_key=with_secret_key)
        timeline, segment = start_of(folder / "backup_manifest")
        made = Backup(
            name=name,
            begin_time=began.isoformat(timespec="milliseconds"),
            end_time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            postgres_major=binaries.major,
            version=version,
            timeline=timeline,
            start_segment=segment,
            secret_key_ids=sorted(each.hex() for each in key_ring(secret_keys).key_ids),
            has_secret_key=with_secret_key,
            size_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        )
        home.write(made)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return made


def _binaries(directory: DataDir) -> PostgresBinaries:
    binaries = find_postgres(directory.postgres, directory.postgres_major())
    for name in ("pg_basebackup", "pg_verifybackup", "pg_waldump"):
        if not (binaries.directory / name).is_file():
            raise BackupError(
                f"{binaries.directory} has no {name}: install PostgreSQL {binaries.major} with its clients"
            )
    return binaries


def _base_backup(binaries: PostgresBinaries, dsn: str, folder: Path) -> None:
    address = urlsplit(dsn)
    command = [
        str(binaries.directory / "pg_basebackup"),
        *("--host", str(address.hostname), "--port", str(address.port), "--username", str(address.username)),
        *("--pgdata", str(folder), "--format", "tar", "--gzip", "--wal-method", "stream"),
        *("--checkpoint", "fast", "--no-password"),
    ]
    _run(command, {**SERVER_ENV, "PGPASSWORD": unquote(address.password or "")})


def _copy_files(directory: DataDir, folder: Path, *, with_secret_key: bool) -> None:
    for name in _SMALL_FILES:
        source = directory.path / name
        if source.exists() and (with_secret_key or name != SECRET_KEY_FILE):
            _copy(source, folder / name)


def _copy(source: Path, target: Path) -> None:
    _make_room(target)
    shutil.copy(source, target)


def _make_room(file: Path) -> None:
    """Makes the folder of a file, which others may pass through as they may through the data directory's `tls`."""
    file.parent.mkdir(mode=0o711, exist_ok=True)


def drop_older(home: BackupHome, keep: int) -> list[Backup]:
    """Removes all backups but the newest `keep`, and the log that only they needed. Returns the removed ones."""
    backups = home.backups()
    removed, kept = backups[:-keep], backups[-keep:]
    for backup in removed:
        folder = home.path / backup.name
        (folder / "backup.json").unlink()  # first: what is half removed is no backup
        shutil.rmtree(folder)
    first = segment_name(kept[0].timeline, kept[0].start_segment)
    for file in home.wal.glob("*" + archive.SUFFIX):
        if file.name[: len(first)] < first and not file.name.startswith("."):
            file.unlink()
    return removed


def verify(home: BackupHome, backup: Backup, place: Path) -> None:
    """Looks for gaps in the archived log; then unpacks a backup into the empty folder `place` and has PostgreSQL's own
    tool compare each file, and the log in the backup, with the manifest.

    Raises BackupError.
    """
    gap = home.gap_after(backup)
    if gap is not None:
        until = home.archived_until(backup.timeline, gap - 1) if gap > backup.start_segment else backup.ended
        raise BackupError(
            f"the log in {home.wal} lacks {segment_name(backup.timeline, gap)}: it leads on from {backup.name} to"
            f" {until.isoformat(timespec='seconds')} only"
        )
    binaries = find_postgres(place, backup.postgres_major)
    _unpack(home, backup, place)
    _run([str(binaries.directory / "pg_verifybackup"), "--quiet", str(place)], SERVER_ENV)


def _unpack(home: BackupHome, backup: Backup, place: Path) -> None:
    folder = home.path / backup.name
    try:
        for name, within in _PACKED.items():
            with tarfile.open(folder / name, "r:gz") as packed:
                packed.extractall(place / within, filter="data")
        shutil.copy(folder / "backup_manifest", place)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BackupError(f"{folder} cannot be unpacked ({error}): take another backup") from error


def opens(backup: Backup, secret_keys: str) -> bool:
    """Whether these keys (as OMNIJOURNEY_SECRET_KEYS has them) open the secrets in a backup. Raises ValueError."""
    given = {each.hex() for each in key_ring(secret_keys).key_ids} if secret_keys else set()
    return bool(given & set(backup.secret_key_ids))


async def restore(
    home: BackupHome, backup: Backup, target: Path, secret_key: str, to_time: datetime | None
) -> Restored:
    """Makes the data directory `target` as everything was at `to_time`, or at the end of the archived log.

    `secret_key` is kept there, where the backup has none. `target` gets a PostgreSQL that has recovered and was
    stopped, and nothing for Valkey, which begins empty. Call it from the main thread. Raises BackupError and other
    EmbeddedErrors; what is half restored is removed.
    """
    directory = DataDir.open(target)
    lock = OwnerLock(directory)
    if not lock.try_acquire():
        raise BackupError(f"another process uses {directory.path}: restore into a directory of its own")
    stage = directory.path / _STAGE
    try:
        if directory.postgres_major() is not None:
            raise BackupError(
                f"{directory.path} has data already: restore into a new one, and keep what is here"
            )
        shutil.rmtree(stage, ignore_errors=True)
        staged = DataDir.open(stage)
        _lay_out(home, backup, staged, whole_log=to_time is None)
        if secret_key and not backup.has_secret_key:
            write_private(stage / SECRET_KEY_FILE, secret_key.encode() + b"\n")
        reached = await _recover(staged, home, to_time)
        _move(staged, directory)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        lock.release()
    return Restored(backup, reached)


def _lay_out(home: BackupHome, backup: Backup, stage: DataDir, *, whole_log: bool) -> None:
    """Puts all files of a backup in their places, owned by the server's account."""
    binaries = find_postgres(stage.postgres, backup.postgres_major)
    account = choose_account(binaries.postgres, stage.postgres)
    if home.wal.is_dir() and not can_run(binaries.postgres, home.wal, account):
        raise BackupError(
            f"PostgreSQL runs as uid {account.uid}, which cannot read {home.wal}: give it that folder (chown -R)"
        )
    if whole_log:
        verify(home, backup, stage.postgres)
    else:  # whether the log leads so far, the server finds out
        _unpack(home, backup, stage.postgres)
    (stage.postgres / "recovery.signal").touch()
    for path in (stage.postgres, *stage.postgres.rglob("*")):
        os.chown(path, account.uid, account.gid)
    stage.postgres.chmod(0o700)
    for name in _SMALL_FILES:
        if (home.path / backup.name / name).exists():
            _copy(home.path / backup.name / name, stage.path / name)


def _move(stage: DataDir, directory: DataDir) -> None:
    for name in _SMALL_FILES:
        if (stage.path / name).exists():
            _make_room(directory.path / name)
            (stage.path / name).replace(directory.path / name)
    if directory.postgres.exists():
        directory.postgres.rmdir()  # empty: it has no version
    stage.postgres.rename(directory.postgres)  # last: only then there are data


async def _recover(stage: DataDir, home: BackupHome, to_time: datetime | None) -> datetime | None:
    """Lets the server replay the log, and stops it. Returns the time of the last commit that it replayed."""
    settings = {"restore_command": home.restore_command(), "recovery_target_action": "promote"}
    if sys.platform == "linux":
        # Once for the whole file system instead of once for each of a thousand files.
        settings["recovery_init_sync_method"] = "syncfs"
    if to_time is not None:
        settings["recovery_target_time"] = to_time.isoformat()
    server = PostgresServer(stage, free_port(), settings)
    try:
        await server.start()
        connection = await asyncpg.connect(server.address)
        try:
            while await connection.fetchval("SELECT pg_is_in_recovery()"):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(_POLL_S)
            reached: datetime | None = await connection.fetchval("SELECT pg_last_xact_replay_timestamp()")
            await connection.execute(_SKIP_NUMBERS)
        finally:
            await connection.close()
    except (EmbeddedError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise BackupError(_why(stage, home, to_time)) from error
    finally:
        await server.stop(_STOP_GRACE_S)
    return reached


def _why(stage: DataDir, home: BackupHome, to_time: datetime | None) -> str:
    """Why a recovery did not come to its end."""
    tail = log_tail(stage.logs / "postgres.log", 12)
    ended = re.findall(r"last completed transaction was at log time ([^\n]+)", tail)
    if _TOO_SHORT in tail and to_time is not None:
        last = f", whose last commit is of {ended[-1]}" if ended else ""
        return (
            f"the log in {home.wal} ends before {to_time.isoformat()}{last}: choose an earlier time, or none for all"
            " that there is"
        )
    return f"PostgreSQL could not recover; the end of its log:\n{tail}"


def _run(command: list[str], env: Mapping[str, str]) -> None:
    """Runs a program of PostgreSQL. Raises BackupError with what it says."""
    done = run_to_end(Spec(Path(command[0]).name, command, env))
    if done.returncode != 0:
        raise BackupError(
            f"{Path(command[0]).name} failed ({describe_exit(done.returncode)}): {done.stderr.strip()}"
        )
