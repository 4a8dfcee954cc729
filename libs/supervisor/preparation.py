"""What is done with the owner's address before any service starts: schemas, roles, clients, credentials files."""

import hashlib
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from libs.client.services import ServiceName
from libs.common import credentials
from libs.common.callers import token_digest
from libs.common.db.clients import register_client, register_first_token
from libs.common.db.migrate import TOKEN_OVERLAP, connect_owner, migrate
from libs.common.db.roles import token_of
from omnijourney.common.v1.scope_pb2 import SCOPE_INTERNAL, SCOPE_OPERATE

_TOOLS_SCOPES: Final = (SCOPE_INTERNAL, SCOPE_OPERATE)


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The installation's first token, and the name of its client."""

    token: str
    name: str

    @classmethod
    def of(cls, token: str, data_dir: Path, *, configured: bool) -> Self:
        """One that was configured counts for the whole database; one that a data directory made, for that directory:
        two of them on one database do not end each other's."""
        if configured:
            return cls(token, "installation")
        place = f"{socket.gethostname()}:{data_dir.absolute()}".encode()
        return cls(token, f"installation {hashlib.sha256(place).hexdigest()[:8]}")


async def prepare(
    owner_dsn: str,
    services: Sequence[ServiceName],
    directory: Path,
    first: FirstToken,
    rotated: ServiceName | None = None,
) -> AsyncIterator[tuple[str, Path]]:
    """Brings the database up to this release, lets `first` in, and writes a credentials file for each service and last
    for the tools into `directory`; yields holder and file as each is ready: that service may start then. `rotated` gets
    a new password and a new token.

    Safe with many at once, and with services running. Raises MigrationError, OSError, and the driver's errors.
    """
    for service in services:
        own = await migrate(owner_dsn, service, f"services.{service}", rotate=service == rotated)
        file = credentials.file_of(directory, service)
        held = {credentials.DSN_VARIABLE: own.dsn, credentials.TOKEN_VARIABLE: own.token}
        credentials.write(file, held)
        yield service, file
    if services:
        tools = token_of(owner_dsn, credentials.TOOLS)
        await _register(owner_dsn, first, tools)
        file = credentials.file_of(directory, credentials.TOOLS)
        credentials.write(file, {credentials.TOOLS_VARIABLE: tools})
        yield credentials.TOOLS, file


async def _register(owner_dsn: str, first: FirstToken, tools: str) -> None:
    connection = await connect_owner(owner_dsn)
    try:
        await register_first_token(connection, first.name, token_digest(first.token.encode()))
        digest = token_digest(tools.encode())
        await register_client(connection, credentials.TOOLS, _TOOLS_SCOPES, digest, overlap=TOKEN_OVERLAP)
    finally:
        await connection.close()
