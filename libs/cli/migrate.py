"""`omnijourney migrate`: what is done with the owner's credentials, so that no service needs them."""

from pathlib import Path

import asyncpg

from libs.cli.console import err, fail, out
from libs.client.services import SERVICES, ServiceName
from libs.common import credentials
from libs.common.config import EXIT_CONFIG
from libs.common.db.sql_files import MigrationError
from libs.common.logging import setup_logging
from libs.embedded import published_dsn
from libs.supervisor import InstallationSettings, prepare

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
        files = await prepare(dsn, SERVICES, directory or settings.data_dir / credentials.FOLDER, rotated)
    except MigrationError as error:
        return fail(error)
    except (OSError, asyncpg.PostgresError) as error:
        return fail(ConnectionError(f"{_VARIABLE}: the database does not let us in ({error})"))
    for service, file in files.items():
        remark = ", with a new password: start it again" if service == rotated else ""
        out.print(f"{service}: {file}{remark}", highlight=False, soft_wrap=True)
    return 0
