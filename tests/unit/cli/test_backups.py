"""`omnijourney backup` without servers: what it lists, and what it refuses before it touches anything."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libs.cli.main import app
from libs.common.sealing import key_id
from libs.embedded.backup_home import Backup, BackupHome

RUN = CliRunner()
KEY = bytes(range(32))
BACKUP = Backup(
    name="20261130T150102Z",
    begin_time="2026-11-30T15:01:02+00:00",
    end_time="2026-11-30T15:01:09+00:00",
    postgres_major=18,
    version="0.1.0",
    timeline=1,
    start_segment=3,
    secret_key_ids=[key_id(KEY).hex()],
    has_secret_key=False,
    size_bytes=5 << 20,
)
NAME = "0a1b2c3d/20261130T150102Z"


@pytest.fixture
def backups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A backup directory with one backup."""
    for variable in ("POSTGRES_DSN", "BACKUP_DIR", "SECRET_KEYS", "DATA_DIR"):
        monkeypatch.delenv(f"OMNIJOURNEY_{variable}", raising=False)
    home = BackupHome(tmp_path / "backups" / "0a1b2c3d")
    (home.path / BACKUP.name).mkdir(parents=True)
    home.write(BACKUP)
    return tmp_path / "backups"


def _run(backups: Path, *arguments: str) -> tuple[int, str]:
    done = RUN.invoke(app, ["backup", *arguments, "--backup-dir", str(backups)], env={"COLUMNS": "300"})
    return done.exit_code, done.output


def test_a_backup_is_listed_with_how_far_it_leads(backups: Path) -> None:
    code, output = _run(backups, "list", "--json")
    shown = json.loads(output)
    assert (code, shown["name"], shown["restores_until_time"]) == (0, NAME, "2026-11-30T15:01:09+00:00")
    assert NAME in _run(backups, "list")[1]


def test_a_directory_must_be_named(backups: Path, tmp_path: Path) -> None:
    for words in (
        ["create"],
        ["list"],
        ["verify", NAME],
        ["restore", NAME, "--data-dir", str(tmp_path / "x")],
    ):
        done = RUN.invoke(app, ["backup", *words], env={"COLUMNS": "300"})
        assert (done.exit_code, "OMNIJOURNEY_BACKUP_DIR" in done.output) == (2, True), words


def test_a_server_of_ones_own_is_left_to_its_operators(
    backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIJOURNEY_POSTGRES_DSN", "postgresql://owner:secret@127.0.0.1:1/omnijourney")
    code, output = _run(backups, "create")
    assert (code, "docs/backup.md" in output) == (2, True)


def test_nothing_runs(backups: Path, tmp_path: Path) -> None:
    code, output = _run(backups, "create", "--data-dir", str(tmp_path / "none"))
    assert (code, "no PostgreSQL runs in" in output) == (1, True)
    assert not (tmp_path / "none").exists()


def test_a_name_that_is_none_is_refused(backups: Path) -> None:
    code, output = _run(backups, "verify", "0a1b2c3d/20200101T000000Z")
    assert (code, "has no backup" in output) == (1, True)


def test_a_restore_needs_the_key_and_a_moment_after_the_backup(backups: Path, tmp_path: Path) -> None:
    target = tmp_path / "found"
    code, output = _run(backups, "restore", NAME, "--data-dir", str(target))
    assert (code, f"the key {key_id(KEY).hex()}" in output) == (1, True)

    (tmp_path / "key").write_text(bytes(range(1, 33)).hex() + "\n")
    other = ("--secret-key-file", str(tmp_path / "key"))
    assert _run(backups, "restore", NAME, "--data-dir", str(target), *other)[0] == 1

    (tmp_path / "key").write_text("not a key")
    code, output = _run(backups, "restore", NAME, "--data-dir", str(target), *other)
    assert (code, "64 hexadecimal digits" in output) == (2, True)

    early = ("--to-time", "2026-11-30T15:01:05Z")
    code, output = _run(backups, "restore", NAME, "--data-dir", str(target), *early)
    assert (code, "take an earlier backup" in output) == (1, True)
    assert not target.exists()
