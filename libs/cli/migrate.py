"""`omnijourney migrate`: what is done with the owner's credentials, so that no service needs them."""

from pathlib import Path

import asyncpg

from libs.cli.console import err, fail, out
from libs.client.services import SERVICES, ServiceName
from libs.common import credentials
from libs.common.config import EXIT_CONFIG
from libs.common.db.sql_files import MigrationError
from libs.common.logging import setup_logging
from libs.embedded import EmbeddedError, published_dsn
from libs.embedded.datadir import DataDir
from libs.supervisor import FirstToken, InstallationSettings, prepare

_VARIABLE = "OMNIJOURNEY_POSTGRES_DSN"


async def run_migrate(
    settings: InstallationSettings, directory: Path | None, rotated: ServiceName | None
) -> int:
    """Prepares the database and the credentials of all services; returns the exit code."""
    setup_logging("migrate", "warning")
    dsn = settings.postgres_dsn.get_secret_value() or published_dsn(settings.data_dir)
    if not dsn:
        err.print(f"{_VARIABLE}: must be the owner's address; nothing runs in {settings.data_dir} either")
        return EXIT_CONFIG
    try:
        first = _first_token(settings)
        folder = directory or settings.data_dir / credentials.FOLDER
        async for holder, file in prepare(dsn, SERVICES, folder, first, rotated):
            remark = ", with a new password and token: start it again" if holder == rotated else ""
            out.print(f"{holder}: {file}{remark}", highlight=False, soft_wrap=True)
    except (MigrationError, EmbeddedError) as error:
        return fail(error)
    except (OSError, asyncpg.PostgresError) as error:
        return fail(ConnectionError(f"{_VARIABLE}: the database does not let us in ({error})"))
    return 0


def _first_token(settings: InstallationSettings) -> FirstToken:
    configured = settings.token.get_secret_value()
    if configured:
        return FirstToken.of(configured, settings.data_dir, configured=True)
    directory = DataDir.open(settings.data_dir)
    token = directory.secret(directory.token_file.name)
    out.print(f"first token: {directory.token_file}", highlight=False, soft_wrap=True)
    return FirstToken.of(token, settings.data_dir, configured=False)
