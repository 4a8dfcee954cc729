"""Rows of the platform that every process follows: read at the start, at each notification, on each new connection, and
every few seconds, since a connection that died without a word notifies nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg
import structlog

POLL_S: Final = 4.0
"""Real seconds between two reads: what a notification that does not arrive costs at most. A revoked token is refused
within 5 s all the same."""
_RECONNECT_S: Final = 0.5
_CONNECT_TIMEOUT_S: Final = 5.0
_COMMAND_TIMEOUT_S: Final = 5.0
_CLOSE_TIMEOUT_S: Final = 1.0

# Whatever it is, following goes on: a process without what it follows would stand still.
_FAULTS: Final = (
    OSError,
    LookupError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)

_log = structlog.get_logger(__name__)


@dataclass
class Listening:
    """Calls `read` at the start and whenever something may have changed. One use."""

    dsn: str
    name: str
    """What is followed, for logs and as the application name that the server shows."""
    channel: str
    """Of the notifications."""
    read: Callable[[asyncpg.Connection[Any]], Awaitable[None]]
    """Reads what has changed; on a connection of its own."""
    begin: Callable[[], None] = lambda: None
    """Told before the first read on each new connection: the database may be another state of itself."""
    _notified: asyncio.Event = field(default_factory=asyncio.Event)
    _connection: asyncpg.Connection[Any] | None = None

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """Follows until the block ends, having read once.

        Raises the driver's error when the first read fails; later faults are logged and tried again.
        """
        self._connection = await self._connect()
        task = asyncio.create_task(self._follow(), name=f"installation {self.name}")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            # Here and not in the task, which may be cancelled before it ran at all.
            with contextlib.suppress(*_FAULTS):
                await self._connection.close(timeout=_CLOSE_TIMEOUT_S)

    async def _connect(self) -> asyncpg.Connection[Any]:
        connection = await asyncpg.connect(
            self.dsn,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_COMMAND_TIMEOUT_S,
            server_settings={"application_name": f"omnijourney {self.name}"},
        )
        try:
            await connection.add_listener(self.channel, lambda *_: self._notified.set())
            # A lost connection notifies nobody: it is read at once, which fails, and another one is made.
            connection.add_termination_listener(lambda *_: self._notified.set())
            self.begin()
            await self.read(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _follow(self) -> None:
        assert self._connection is not None
        while True:
            try:
                await self._follow_until_lost(self._connection)
            except _FAULTS as error:
                _log.warning("connection lost", what=self.name, error=str(error) or type(error).__name__)
            self._connection.terminate()
            self._connection = await self._reconnect()

    async def _follow_until_lost(self, connection: asyncpg.Connection[Any]) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._notified.wait(), POLL_S)
            self._notified.clear()
            await self.read(connection)

    async def _reconnect(self) -> asyncpg.Connection[Any]:
        while True:
            await asyncio.sleep(_RECONNECT_S)
            with contextlib.suppress(*_FAULTS):
                return await self._connect()
