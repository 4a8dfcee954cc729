"""Gives a process its PostgreSQL and Redis: the configured, the data directory owner's, or its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from libs.common.servers import Endpoints
from libs.embedded.datadir import DataDir, OwnerLock, ServerAddresses
from libs.embedded.errors import EmbeddedError, StartFailedError
from libs.embedded.keepalive import Listener, keep_alive, log_event
from libs.embedded.servers import STOP_GRACE_S, Embedded, Server, start_embedded

_OWNER_STARTS_WITHIN_S = 90.0
_POLL_S = 0.05


class Attachment:
    """Servers that this process may use until `close`."""

    def __init__(
        self,
        endpoints: Endpoints,
        embedded: Embedded | None = None,
        lock: OwnerLock | None = None,
        listener: Listener = log_event,
    ) -> None:
        self.endpoints = endpoints
        self.embedded = embedded
        """The servers that this process runs, and starts again when they die; None when others run them."""
        self._lock = lock
        self._keepers = [asyncio.create_task(keep_alive(server, listener)) for server in self._servers()]

    def _servers(self) -> list[Server]:
        return self.embedded.servers if self.embedded else []

    async def close(self, grace_s: float = STOP_GRACE_S) -> None:
        """Stops the servers if this process runs them. May be called twice."""
        for keeper in self._keepers:
            keeper.cancel()
        ended = await asyncio.gather(*self._keepers, return_exceptions=True)
        try:
            if self.embedded is not None:
                self.embedded.directory.forget()
                await self.embedded.stop(grace_s)
        finally:
            if self._lock is not None:
                self._lock.release()
        for fault in ended:
            if isinstance(fault, Exception):  # a keeper ends by cancellation only
                raise fault


async def open_attachment(
    data_dir: Path | str,
    *,
    postgres_dsn: str = "",
    redis_url: str = "",
    token: str = "",
    listener: Listener = log_event,
    backup_dir: Path | None = None,
) -> Attachment:
    """Takes what is configured as it is; for what is empty asks the owner of `data_dir`, or becomes it.

    `listener` hears of servers that died and run again; a PostgreSQL that this process starts keeps its log in
    `backup_dir`. Call it from the main thread.
    Errors: EmbeddedError and its subclasses.
    """
    if postgres_dsn and redis_url and token:
        return Attachment(Endpoints(postgres_dsn, redis_url, token, owner=False))
    directory = DataDir.open(data_dir)
    token = token or directory.secret(directory.token_file.name)
    if postgres_dsn and redis_url:
        return Attachment(Endpoints(postgres_dsn, redis_url, token, owner=False))
    lock = OwnerLock(directory)
    deadline_s = time.monotonic() + _OWNER_STARTS_WITHIN_S
    while time.monotonic() < deadline_s:
        if lock.try_acquire():
            configured = Endpoints(postgres_dsn, redis_url, token, owner=True)
            return await _become_owner(directory, lock, configured, listener, backup_dir)
        published = directory.published()
        if published is not None:
            return Attachment(_complete(Endpoints(postgres_dsn, redis_url, token, owner=False), published))
        await asyncio.sleep(_POLL_S)
    raise StartFailedError(
        f"another process holds {directory.path} and has not started its servers within "
        f"{_OWNER_STARTS_WITHIN_S:.0f} s: end it, or set OMNIJOURNEY_DATA_DIR to another directory"
    )


async def _become_owner(
    directory: DataDir,
    lock: OwnerLock,
    configured: Endpoints,
    listener: Listener,
    backup_dir: Path | None,
) -> Attachment:
    directory.forget()  # whoever published it is dead: we hold the lock
    try:
        embedded = await start_embedded(
            directory.path,
            postgres=not configured.postgres_dsn,
            valkey=not configured.redis_url,
            backup_dir=backup_dir,
        )
        addresses = ServerAddresses.of_this_process(embedded.postgres_dsn, embedded.redis_url)
        attachment = Attachment(_complete(configured, addresses), embedded, lock, listener)
    except BaseException:
        lock.release()
        raise
    try:
        directory.publish(addresses)
    except BaseException:
        await attachment.close()
        raise
    return attachment


def _complete(configured: Endpoints, published: ServerAddresses) -> Endpoints:
    endpoints = Endpoints(
        configured.postgres_dsn or published.postgres_dsn,
        configured.redis_url or published.redis_url,
        configured.token,
        configured.owner,
    )
    for address, variable in (
        (endpoints.postgres_dsn, "OMNIJOURNEY_POSTGRES_DSN"),
        (endpoints.redis_url, "OMNIJOURNEY_REDIS_URL"),
    ):
        if not address:
            raise EmbeddedError(
                f"process {published.owner_pid} uses this data directory with a server of its own "
                f"configuration: set {variable} here to the same address as there"
            )
    return endpoints


def published_dsn(data_dir: Path) -> str:
    """Address of the PostgreSQL that another process runs in `data_dir` now; empty when there is none."""
    published = DataDir(data_dir.absolute()).published()
    return published.postgres_dsn if published is not None else ""


@asynccontextmanager
async def attach(
    data_dir: Path | str, *, postgres_dsn: str = "", redis_url: str = "", token: str = ""
) -> AsyncIterator[Endpoints]:
    """`open_attachment` as a context: the servers run at least as long as it, if this process runs them."""
    attachment = await open_attachment(data_dir, postgres_dsn=postgres_dsn, redis_url=redis_url, token=token)
    try:
        yield attachment.endpoints
    finally:
        await attachment.close()
