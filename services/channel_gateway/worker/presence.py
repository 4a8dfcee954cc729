"""Which processes of the gateway are alive, and which one forwards webhooks.

Each process holds an advisory lock of its own on a connection of its own: when the process dies, the server sees the
connection close and frees the lock at once. A second lock makes one process the forwarder of webhooks, so that they
leave in order. The same connection listens for the word that webhooks were stored.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import asyncpg
import structlog

from libs.common.db.faults import PASSING
from services.channel_gateway.store.inbox import INBOX_CHANNEL

_FORWARDER_KEY: Final = 0x6F6A_6777_696E_6278
"""Any constant: the lock of the forwarder."""
CHECK_INTERVAL_S: Final = 1.0
_CONNECT_TIMEOUT_S: Final = 5.0
_COMMAND_TIMEOUT_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Presence:
    """This process among the gateway's; made by `Presence.hold`."""

    def __init__(self, dsn: str, sender_id: UUID) -> None:
        """`dsn` of the service's own role."""
        self._dsn = dsn
        self._key = lock_key(sender_id)
        self._connection: asyncpg.Connection[Any] | None = None
        self._use = asyncio.Lock()
        self.is_forwarder = False
        """Whether this process forwards webhooks at the moment."""
        self.inbox_woken = asyncio.Event()
        """Set when webhooks may wait: on a notice, and when this process became the forwarder."""

    @classmethod
    @contextlib.asynccontextmanager
    async def hold(cls, dsn: str, sender_id: UUID) -> "AsyncIterator[Presence]":
        """Present while the context lasts. Raises the driver's error when the first connection fails."""
        presence = cls(dsn, sender_id)
        await presence._connect()
        task = asyncio.create_task(presence._keep(), name="gateway presence")
        try:
            yield presence
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            if presence._connection is not None:
                presence._connection.terminate()

    async def is_gone(self, sender: UUID) -> bool:
        """Whether another process has ended: its lock can be had. Raises the driver's errors, which decide nothing."""
        async with self._use:
            connection = self._connection
            if connection is None:
                return False
            key = lock_key(sender)
            gone: bool = await connection.fetchval("SELECT pg_try_advisory_lock($1)", key)
            if gone:
                await connection.execute("SELECT pg_advisory_unlock($1)", key)
            return gone

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            try:
                await self._refresh()
            except PASSING as error:
                _log.warning("presence connection lost", error=str(error) or type(error).__name__)
                self._drop()

    async def _refresh(self) -> None:
        if self._connection is None or self._connection.is_closed():
            self._drop()
            await self._connect()
            return
        async with self._use:
            if self.is_forwarder:
                await self._connection.execute("SELECT 1")
            else:
                await self._try_to_forward(self._connection)

    def _drop(self) -> None:
        self.is_forwarder = False
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connect(self) -> None:
        connection = await asyncpg.connect(
            self._dsn,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=_COMMAND_TIMEOUT_S,
            server_settings={"application_name": "omnijourney channel_gateway presence"},
        )
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", self._key)
            await connection.add_listener(INBOX_CHANNEL, lambda *_: self.inbox_woken.set())
            await self._try_to_forward(connection)
        except BaseException:
            connection.terminate()
            raise
        self._connection = connection

    async def _try_to_forward(self, connection: "asyncpg.Connection[Any]") -> None:
        if await connection.fetchval("SELECT pg_try_advisory_lock($1)", _FORWARDER_KEY):
            self.is_forwarder = True
            self.inbox_woken.set()


def lock_key(sender: UUID) -> int:
    """The advisory lock of a process: a signed 64-bit integer of its id's random part."""
    return int.from_bytes(sender.bytes[8:], "big", signed=True)
