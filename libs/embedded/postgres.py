"""The embedded PostgreSQL: made once, started on loopback with a password, stopped without loss."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

from libs.common.db.faults import AWAY
from libs.embedded import leftovers
from libs.embedded.account import SERVER_ENV, choose_account
from libs.embedded.backup_home import BackupHome, archive_check
from libs.embedded.binaries import PostgresBinaries, find_postgres
from libs.embedded.datadir import DataDir
from libs.embedded.errors import DataDirUnusableError, StartFailedError
from libs.embedded.ports import LOOPBACK
from libs.embedded.process import Account, Child, Spec, describe_exit, run_to_end

ADMIN = "omnijourney"
DATABASE = "omnijourney"
PASSWORD_FILE = "postgres.password"  # noqa: S105 - a file name
_INITDB_TIMEOUT_S = 120
_ARCHIVE_CHECK_TIMEOUT_S = 20
_SYNCFS_SINCE = 17
"""The major version whose `initdb` knows of it."""
_START_TIMEOUT_S = 300  # after a crash it first replays its log, at most `max_wal_size` of it
_CONNECT_TIMEOUT_S = 2
_POLL_S = 0.02
_QUIT_GRACE_S = 2.0

SETTINGS: Mapping[str, str] = {
    # Loopback only, and no socket file: its path may not be longer than 107 bytes, which a data directory
    # easily breaks.
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    # A commit that was answered survives a crash of the machine. What speed there is comes from group
    # commits.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # What a base backup and its log need; a backup reads the files over one connection and the log over another.
    "wal_level": "replica",
    "max_wal_senders": "4",
    # Checkpoints far apart: each makes the next touch of every page write the whole page to the log. Recovery
    # after a crash reads at most this much, some seconds.
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    # Holds the hot tables of a month of a mid-sized shop; memory is taken when touched, not at start.
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    # Five services with small pools, command line and tests beside them.
    "max_connections": "120",
    # Disks of today answer a random read about as fast as a sequential one.
    "random_page_cost": "1.1",
    # Statements here are many and short: compiling them, or spreading one over the few cores, costs more than
    # it saves.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    # Rows of actors and timers are updated all the time: clean up early and often, in small pieces.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    # Logs tell what failed, never the data: no statement texts, no DETAIL lines with keys in them.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %a ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


def dsn(port: int, password: str, database: str = DATABASE) -> str:
    """Address of a database of the embedded server, as its administrator."""
    return f"postgresql://{ADMIN}:{password}@{LOOPBACK}:{port}/{database}"


_NOT_READY: Final = AWAY
"""It does not answer yet, or ends while it is asked: whether it has ended, its process says."""


class PostgresServer:
    """One PostgreSQL in a data directory. `start` may be called again after the server died."""

    name = "postgres"

    def __init__(
        self,
        directory: DataDir,
        port: int,
        settings: Mapping[str, str],
        major: int | None = None,
        *,
        archive: BackupHome | None = None,
    ) -> None:
        """`archive`: where the server keeps its log for point-in-time recovery."""
        self._directory = directory
        self._major = major
        self._port = port
        self._archive = archive
        archiving = archive.archive_settings() if archive is not None else {}
        self._settings = {**SETTINGS, **archiving, **settings}
        self.child: Child | None = None

    @property
    def address(self) -> str:
        """DSN of the product's database, as administrator (who migrates and owns everything)."""
        return dsn(self._port, self._directory.secret(PASSWORD_FILE))

    async def start(self) -> None:
        """Makes the data if there is none, starts the server and waits until it answers.

        Errors: BinariesMissingError, DataDirUnusableError, StartFailedError, EmbeddedError (no account to run
        as, or one that cannot write the archive).
        """
        directory = self._directory
        binaries = find_postgres(directory.postgres, directory.postgres_major() or self._major)
        account = choose_account(binaries.postgres, directory.postgres)
        if self._archive is not None:
            _open_archive(self._archive, account)
        if directory.postgres_major() is None:
            _make_data(directory, binaries, account, durable=self._settings.get("fsync") != "off")
        await leftovers.end_postgres(directory.postgres)
        self.child = Child.spawn(self._spec(binaries, account))
        try:
            await self._until_ready(self.child)
        except BaseException:
            await self.stop(grace_s=_QUIT_GRACE_S)
            raise

    def _spec(self, binaries: PostgresBinaries, account: Account) -> Spec:
        settings = {**self._settings, "port": str(self._port)}
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        data = self._directory.postgres
        return Spec(
            name=self.name,
            command=[str(binaries.postgres), "-D", str(data), *options],
            env=SERVER_ENV,
            log=self._directory.logs / "postgres.log",
            cwd=data,
            account=account,
            # A fast shutdown: it ends with a checkpoint, and the next start need not recover.
            death_signal=signal.SIGINT,
        )

    async def _until_ready(self, child: Child) -> None:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            code = child.returncode
            if code is not None:
                raise StartFailedError(
                    f"PostgreSQL ended at its start ({describe_exit(code)}); {child.log_end()}"
                )
            try:
                await self._ensure_database()
            except _NOT_READY:
                await asyncio.sleep(_POLL_S)
            else:
                return
        raise StartFailedError(f"PostgreSQL was not ready after {_START_TIMEOUT_S} s; {child.log_end()}")

    async def _ensure_database(self) -> None:
        address = dsn(self._port, self._directory.secret(PASSWORD_FILE), "postgres")
        connection = await asyncpg.connect(address, timeout=_CONNECT_TIMEOUT_S)
        try:
            if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close(timeout=_CONNECT_TIMEOUT_S)

    async def stop(self, grace_s: float) -> None:
        """Ends the server: SIGINT (cuts the sessions, writes a checkpoint), after `grace_s` SIGQUIT.

        SIGQUIT ends it at once and loses no commit either: the next start recovers.
        """
        if self.child is not None:
            await self.child.stop([(signal.SIGINT, grace_s), (signal.SIGQUIT, _QUIT_GRACE_S)])


def _open_archive(archive: BackupHome, account: Account) -> None:
    """Makes the folder of the log, for the server's account alone, and lets that account write there."""
    try:
        mode = 0o711 if os.geteuid() == 0 else 0o700
        archive.path.mkdir(mode=mode, parents=True, exist_ok=True)
        archive.wal.mkdir(mode=0o700, exist_ok=True)
        os.chown(archive.wal, account.uid, account.gid)
    except OSError as error:
        raise DataDirUnusableError(
            f"OMNIJOURNEY_BACKUP_DIR: {archive.wal} cannot be made ({error.strerror})"
        ) from error
    spec = Spec("archive", archive_check(archive.wal), SERVER_ENV, cwd=archive.wal, account=account)
    done = run_to_end(spec, _ARCHIVE_CHECK_TIMEOUT_S)
    if done.returncode != 0:
        raise DataDirUnusableError(
            f"OMNIJOURNEY_BACKUP_DIR: PostgreSQL, which runs as uid {account.uid}, cannot keep its log in"
            f" {archive.wal} ({done.stderr.strip() or describe_exit(done.returncode)}): choose a directory that every"
            " user may pass through (not below /root)"
        )


def _make_data(directory: DataDir, binaries: PostgresBinaries, account: Account, *, durable: bool) -> None:
    """Runs `initdb` beside the final place and moves the result there: half-made data is never taken for
    data.

    The locale is C: text sorts by code point, the same on every machine and release; folding of letter case
    is done before it comes here.
    """
    draft = directory.path / "postgres.new"
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    password_file = directory.path / "postgres.new.password"
    password_file.unlink(missing_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(directory.secret(PASSWORD_FILE) + "\n")
    for path in (draft, password_file):
        os.chown(path, account.uid, account.gid)
    try:
        _initdb(binaries, draft, password_file, account, durable=durable)
    finally:
        password_file.unlink()
    directory.postgres.rmdir()  # empty: it was made to find out who may use it
    draft.rename(directory.postgres)


def _initdb(
    binaries: PostgresBinaries, data: Path, password_file: Path, account: Account, *, durable: bool
) -> None:
    command = [
        str(binaries.initdb),
        "-D",
        str(data),
        "-U",
        ADMIN,
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
    ]
    command += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
    if not durable:
        command.append("--no-sync")
    elif binaries.major >= _SYNCFS_SINCE and sys.platform == "linux":
        # Once for the whole file system instead of once for each of a thousand files: a second instead of three.
        command.append("--sync-method=syncfs")
    spec = Spec("initdb", command, SERVER_ENV, cwd=data, account=account)
    done = run_to_end(spec, _INITDB_TIMEOUT_S)
    if done.returncode != 0:
        raise StartFailedError(f"initdb failed ({describe_exit(done.returncode)}):\n{done.stderr.strip()}")
