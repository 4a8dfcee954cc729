"""`omnijourney backup`: one function per subcommand."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libs.cli.options import AsJson, DataDir, Limit, believed, configured, finish

if TYPE_CHECKING:
    from libs.supervisor import InstallationSettings

backup = typer.Typer(
    name="backup",
    help="Backups of the embedded PostgreSQL, and restores to any moment.",
    no_args_is_help=True,
)

BackupDir = Annotated[
    Path | None,
    typer.Option("--backup-dir", help="Where backups are kept. [default: OMNIJOURNEY_BACKUP_DIR]"),
]
Name = Annotated[str, typer.Argument(help="The backup, by its name.")]


def _settings(data_dir: Path | None, backup_dir: Path | None) -> InstallationSettings:
    from libs.supervisor import InstallationSettings

    changes: dict[str, Any] = {"data_dir": data_dir, "backup_dir": backup_dir}
    return configured(
        InstallationSettings, {name: path for name, path in changes.items() if path is not None}
    )


@backup.command(epilog="Example: omnijourney backup create --keep 7")
def create(
    *,
    keep: Annotated[
        int,
        typer.Option(
            min=0, help="Then remove all but the newest so many, and the log that they needed; 0: none."
        ),
    ] = 0,
    with_secret_key: Annotated[
        bool,
        typer.Option(
            "--with-secret-key", help="Also the key that opens channels' tokens: guard it like these."
        ),
    ] = False,
    backup_dir: BackupDir = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a backup while everything runs."""
    from libs.cli.backups import create_backup

    settings = _settings(data_dir, backup_dir)
    finish(create_backup(settings, keep=keep, with_secret_key=with_secret_key, as_json=as_json))


@backup.command("list", epilog="Example: omnijourney backup list --json")
def list_backups(
    *,
    limit: Limit = 100,
    backup_dir: BackupDir = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the backups of all data directories, newest first, and how far the log leads on from them."""
    from libs.cli.backups import show_backups

    finish(show_backups(_settings(data_dir, backup_dir), limit, as_json=as_json))


@backup.command(epilog="Example: omnijourney backup verify 1f0c2a9e/20261130T150102Z")
def verify(
    name: Name, *, backup_dir: BackupDir = None, as_json: AsJson = False, data_dir: DataDir = None
) -> None:
    """Unpack a backup beside itself, and compare files and log with its manifest. Exit code 1 if one differs."""
    from libs.cli.backups import verify_backup

    finish(verify_backup(_settings(data_dir, backup_dir), name, as_json=as_json))


@backup.command(
    epilog="Example: omnijourney backup restore 1f0c2a9e/20261130T150102Z --data-dir new "
    '--to-time "2026-11-30 16:05:00"'
)
def restore(
    name: Name,
    *,
    data_dir: Annotated[
        Path, typer.Option("--data-dir", help="The data directory to make; it has no data yet.")
    ],
    to_time: Annotated[
        datetime | None,
        typer.Option(
            callback=believed,
            formats=["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
            help="As everything was then; local time, unless it has a zone. [default: all that the log has]",
        ),
    ] = None,
    secret_key_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The file secret_key of the lost data directory. [default: the backup's, or OMNIJOURNEY_SECRET_KEYS]",
        ),
    ] = None,
    backup_dir: BackupDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a new data directory of a backup and the log behind it; `omnijourney up` goes on from there.

    docs/backup.md says what becomes of messages that left after that moment.
    """
    from libs.cli.backups import restore_backup

    settings = _settings(data_dir, backup_dir)
    finish(restore_backup(settings, name, to_time, secret_key_file, as_json=as_json))
