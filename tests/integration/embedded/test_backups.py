"""A backup of a PostgreSQL that runs, verified and restored to the end of the log; and what is no way to restore."""

import asyncio
import secrets
import stat
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
from prometheus_client import REGISTRY

from libs.cli import doctor_database
from libs.cli.findings import Finding, State
from libs.common.db.archive import archive_state
from libs.common.db.pool import open_pool
from libs.embedded import DataDirUnusableError, Embedded, archive, start_embedded
from libs.embedded.backup_home import Backup, BackupError, BackupHome, segment_name
from libs.embedded.backups import make_backup, restore
from libs.supervisor.certificates import make_certificates
from services.stats.worker.log_archive import measure_log_archive

KEY = secrets.token_hex(32)


async def _write(embedded: Embedded, what: str) -> None:
    """Commits a row."""
    connection = await asyncpg.connect(embedded.postgres_dsn)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS said (id bigint GENERATED ALWAYS AS IDENTITY, what text)"
        )
        await connection.execute("INSERT INTO said (what) VALUES ($1)", what)
    finally:
        await connection.close()


async def _archived(embedded: Embedded, home: BackupHome) -> None:
    """Waits until all of the log is archived, as it is within a minute by itself."""
    connection = await asyncpg.connect(embedded.postgres_dsn)
    try:
        segment = await connection.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
    finally:
        await connection.close()
    while not (home.wal / (segment + archive.SUFFIX)).exists():
        await asyncio.sleep(0.02)


async def _told_while_nothing_is_archived(embedded: Embedded, home: BackupHome) -> None:
    """The doctor and the metric say so, and no more when it works again."""
    connection = await asyncpg.connect(embedded.postgres_dsn)
    away = home.wal.with_name("away")
    try:
        assert (await _finding(embedded)).state is State.OK
        home.wal.rename(away)
        segment = await connection.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
        while not (await archive_state(connection)).failing:
            await asyncio.sleep(0.02)
        found = await _finding(embedded)
        assert (found.state, f"one at {segment}" in found.found) == (State.FAULT, True)
        pool = await open_pool(embedded.postgres_dsn, name="test", size_max=1)
        await measure_log_archive(pool)
        await pool.close()
        assert _failing_s() > 0
        away.rename(home.wal)
        while (await archive_state(connection)).failing:
            await asyncio.sleep(0.02)
        assert (await _finding(embedded)).state is State.OK
    finally:
        await connection.close()


async def _finding(embedded: Embedded) -> Finding:
    looked = doctor_database.look(embedded.postgres_dsn, [])
    (found,) = [finding async for finding in looked if finding.subject == "log archive"]
    return found


def _failing_s() -> float:
    return REGISTRY.get_sample_value("omnijourney_stats_log_archive_failing_seconds") or 0.0


async def _said(data_dir: Path) -> tuple[list[str], int]:
    """The rows of a restored directory, and the number that the next one gets."""
    embedded = await start_embedded(data_dir, valkey=False, postgres_settings={"fsync": "off"})
    try:
        connection = await asyncpg.connect(embedded.postgres_dsn)
        try:
            rows = [row["what"] for row in await connection.fetch("SELECT what FROM said ORDER BY id")]
            return rows, await connection.fetchval("INSERT INTO said (what) VALUES ('') RETURNING id")
        finally:
            await connection.close()
    finally:
        await embedded.stop()


@pytest.mark.timeout(600)
async def test_a_backup_leads_to_the_end_of_the_log_and_what_is_broken_leads_nowhere(
    data_dir: Path,
) -> None:
    backup_dir = data_dir.parent / "backups"
    embedded = await start_embedded(
        data_dir, valkey=False, postgres_settings={"fsync": "off"}, backup_dir=backup_dir
    )
    home = BackupHome.of(backup_dir, embedded.directory)
    make_certificates(data_dir / "tls", ["tools"], "127.0.0.1")
    try:
        await _write(embedded, "before")
        made = await asyncio.to_thread(
            make_backup, home, embedded.directory, embedded.postgres_dsn, "0.1.0", KEY, with_secret_key=False
        )
        await _write(embedded, "first")
        await _write(embedded, "second")
        await _archived(embedded, home)
        await _told_while_nothing_is_archived(embedded, home)
    finally:
        await embedded.stop()

    assert home.backups() == [made]
    done = await restore(home, made, data_dir.parent / "all", KEY, None)
    assert done.last_commit_time is not None
    rows, number = await _said(data_dir.parent / "all")
    assert rows == ["before", "first", "second"]
    assert number > 1_000_000, "numbers that left after the moment are not given out again"
    assert (data_dir.parent / "all" / "secret_key").read_text() == KEY + "\n"
    for name in ("ca.pem", "ca.key"):
        kept = data_dir.parent / "all" / "tls" / name
        assert kept.read_bytes() == (data_dir / "tls" / name).read_bytes()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    await _refused(home, made, data_dir.parent)


async def _refused(home: BackupHome, made: Backup, folder: Path) -> None:
    with pytest.raises(BackupError, match="has data already"):
        await restore(home, made, folder / "all", KEY, None)
    later = datetime.fromisoformat(made.end_time) + timedelta(days=1)
    with pytest.raises(BackupError, match=r"ends before .*, whose last commit is of"):
        await restore(home, made, folder / "later", KEY, later)
    assert not (folder / "later" / "postgres").exists()

    # A log with a hole would end there in silence.
    last = home.segments(made.timeline)[-1]
    beyond = home.wal / (segment_name(made.timeline, last + 2) + archive.SUFFIX)
    beyond.touch()
    with pytest.raises(BackupError, match=f"lacks {segment_name(made.timeline, last + 1)}"):
        await restore(home, made, folder / "later", KEY, None)
    beyond.unlink()

    base = home.path / made.name / "base.tar.gz"
    whole = base.read_bytes()
    base.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackupError, match="cannot be unpacked"):
        await restore(home, made, folder / "later", KEY, None)
    assert not (folder / "later" / "postgres").exists()


async def test_a_place_that_the_server_cannot_write_is_named(data_dir: Path) -> None:
    data_dir.parent.joinpath("file").touch()
    with pytest.raises(DataDirUnusableError, match="OMNIJOURNEY_BACKUP_DIR"):
        await start_embedded(data_dir, valkey=False, backup_dir=data_dir.parent / "file")
