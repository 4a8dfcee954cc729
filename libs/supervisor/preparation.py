"""What is done with the owner's address before any service starts: schemas, roles, and each service's credentials."""

from collections.abc import Sequence
from pathlib import Path

from libs.client.services import ServiceName
from libs.common import credentials
from libs.common.db.migrate import migrate


async def prepare(
    owner_dsn: str, services: Sequence[ServiceName], directory: Path, rotated: ServiceName | None = None
) -> dict[ServiceName, Path]:
    """Brings the database up to this release and writes a credentials file for each service into `directory`; returns
    the files. The role of `rotated` gets a new password.

    Safe with many at once, and with services running. Raises MigrationError, OSError, and the driver's errors.
    """
    files: dict[ServiceName, Path] = {}
    for service in services:
        dsn = await migrate(owner_dsn, service, f"services.{service}", rotate=service == rotated)
        files[service] = credentials.file_of(directory, service)
        credentials.write(files[service], {"OMNIJOURNEY_POSTGRES_DSN": dsn})
    return files
