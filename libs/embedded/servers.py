"""Both embedded servers together."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from libs.embedded.backup_home import BackupHome
from libs.embedded.datadir import DataDir
from libs.embedded.ports import free_port
from libs.embedded.postgres import PostgresServer
from libs.embedded.valkey import ValkeyServer

STOP_GRACE_S = 10.0  # a fast shutdown writes out what is dirty in memory: some hundred MB at most
Server = PostgresServer | ValkeyServer


@dataclass(slots=True)
class Embedded:
    """Servers that run. Bound to no event loop."""

    directory: DataDir
    postgres: PostgresServer | None
    valkey: ValkeyServer | None

    @property
    def postgres_dsn(self) -> str:
        """Administrator's DSN; empty when no PostgreSQL was asked for."""
        return self.postgres.address if self.postgres else ""

    @property
    def redis_url(self) -> str:
        """URL with password; empty when no Valkey was asked for."""
        return self.valkey.address if self.valkey else ""

    @property
    def token(self) -> str:
        """The generated API token."""
        return self.directory.secret(self.directory.token_file.name)

    @property
    def servers(self) -> list[Server]:
        """Those that were asked for."""
        return [server for server in (self.postgres, self.valkey) if server is not None]

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stops both at once; after `grace_s` less gently, yet without loss. May be called twice."""
        await asyncio.gather(*(server.stop(grace_s) for server in self.servers))


async def start_embedded(
    data_dir: Path | str,
    *,
    postgres: bool = True,
    valkey: bool = True,
    postgres_settings: Mapping[str, str] | None = None,
    postgres_major: int | None = None,
    backup_dir: Path | None = None,
) -> Embedded:
    """Starts servers on free ports of loopback, without asking who else uses `data_dir` (`attach` does).

    `postgres_settings` are added to ours (a test that needs no durability sets `fsync=off`). `postgres_major`: the
    version that makes the data; None: the best there is. With `backup_dir` PostgreSQL keeps its log there. Call it from
    the main thread.
    Errors: EmbeddedError and its subclasses; nothing runs then.
    """
    directory = DataDir.open(data_dir)
    archive = BackupHome.of(backup_dir, directory) if backup_dir is not None else None
    embedded = Embedded(
        directory,
        PostgresServer(directory, free_port(), postgres_settings or {}, postgres_major, archive=archive)
        if postgres
        else None,
        ValkeyServer(directory, free_port()) if valkey else None,
    )
    try:
        await asyncio.gather(*(server.start() for server in embedded.servers))
    except BaseException:
        await embedded.stop()
        raise
    return embedded
