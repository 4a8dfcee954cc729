"""The clients of the installation, in the memory of each process: to know a token is one look into a dictionary.

Tokens end by real time: domain time may be held, or run a thousand times as fast.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from libs.common.callers import Caller, token_digest
from libs.common.clock import Clock, SystemClock
from libs.common.db.book import BOOK
from libs.common.db.listening import Listening
from libs.common.db.reading import read_rows
from libs.common.errors import Unavailable

STALE_MAX_S: Final = 30.0
"""Real seconds without a read of the database after which nobody is let in: a token may have been revoked meanwhile.
Longer than a restart of PostgreSQL takes; without it little could be answered anyway."""
USES_WRITTEN_EVERY_S: Final = 10.0
USES_WRITTEN_MAX: Final = 500
"""Clients whose last use is written at once."""

_CHANNEL: Final = "omnijourney_clients"
_PAGE: Final = 1_000
_HOUR_S: Final = 3_600
_RETRY_S: Final = 1.0


@dataclass(slots=True)
class _Token:
    """One token of a client; it has two while a rotation overlaps."""

    caller: Caller
    expire_s: float
    """Unix time; infinity: never."""


class ClientDirectory:
    """A `CallerDirectory` that follows `platform.api_client`.

    It holds the clients that are not revoked; segment bounds their number.
    """

    def __init__(
        self, real_time: Clock | None = None, elapsed_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Knows nobody before it has read. Clocks are handed in by tests: real time, and one that never jumps."""
        self._real_time = real_time or SystemClock()
        self._elapsed_s = elapsed_s
        self._tokens: dict[bytes, _Token] = {}
        self._digests: dict[UUID, list[bytes]] = {}
        """By client, those of its tokens."""
        self._version = 0
        self._read_s = float("-inf")
        self._uses_written_s = elapsed_s()
        self._used: dict[UUID, int] = {}
        """Hours (since 1970) of uses that are not written yet."""
        self._noted: dict[UUID, int] = {}
        """Hours that were noted last."""

    @classmethod
    @contextlib.asynccontextmanager
    async def follow(cls, dsn: str) -> AsyncIterator[ClientDirectory]:
        """A directory that has read all clients and follows them until the context ends.

        `dsn` of a service's role. Raises the driver's error when the first read fails; later faults are logged and
        tried again.
        """
        directory = cls()
        async with Listening(dsn, "clients", _CHANNEL, directory.read, directory.begin).following():
            yield directory

    def find(self, token: bytes) -> Caller | None:
        """See `CallerDirectory`. Raises Unavailable when the database was not read for STALE_MAX_S."""
        if self._elapsed_s() - self._read_s > STALE_MAX_S:
            raise Unavailable.dependency("postgres", _RETRY_S)
        found = self._tokens.get(token_digest(token))
        now_s = self._real_time.now().timestamp()
        if found is None or found.expire_s <= now_s:
            return None
        client_id, hour = found.caller.client_id, int(now_s) // _HOUR_S
        if self._noted.get(client_id) != hour:
            self._noted[client_id] = self._used[client_id] = hour
        return found.caller

    def begin(self) -> None:
        """Reads everything next time, and forgets who is not there any more."""
        self._version = 0

    async def read(self, connection: asyncpg.Connection[Any]) -> None:
        """Takes over what has changed, and writes now and then who called. Raises the driver's errors."""
        # What a read of everything does not find again is gone (the database was restored from a backup).
        gone = set(self._digests) if self._version == 0 else set()
        while rows := await read_rows(
            connection, *BOOK.bind("read_clients", version=self._version, row_max=_PAGE)
        ):
            for row in rows:
                self._take(row)
                gone.discard(row["api_client_id"])
            self._version = rows[-1]["version"]
        for client_id in gone:
            self._drop(client_id)
        self._read_s = self._elapsed_s()
        if self._used and self._read_s - self._uses_written_s >= USES_WRITTEN_EVERY_S:
            await self._write_uses(connection)

    def _take(self, row: asyncpg.Record) -> None:
        client_id = row["api_client_id"]
        self._drop(client_id)
        if row["revoked"]:
            return
        caller = Caller.of(client_id, row["name"], row["team_id"], row["scopes"])
        expire_s = _unix(row["expire_at"])
        tokens = {row["token_sha256"]: expire_s}
        if row["old_token_sha256"] is not None:
            tokens[row["old_token_sha256"]] = min(expire_s, _unix(row["old_token_expire_at"]))
        self._digests[client_id] = list(tokens)
        for digest, ends_s in tokens.items():
            self._tokens[digest] = _Token(caller, ends_s)

    def _drop(self, client_id: UUID) -> None:
        for digest in self._digests.pop(client_id, ()):
            held = self._tokens.get(digest)
            if held is not None and held.caller.client_id == client_id:
                del self._tokens[digest]
        self._noted.pop(client_id, None)

    async def _write_uses(self, connection: asyncpg.Connection[Any]) -> None:
        used = dict(list(self._used.items())[:USES_WRITTEN_MAX])
        hours = [datetime.fromtimestamp(hour * _HOUR_S, UTC) for hour in used.values()]
        await connection.execute(*BOOK.bind("note_client_uses", client_ids=list(used), hours=hours))
        self._uses_written_s = self._elapsed_s()
        for client_id, hour in used.items():
            if self._used.get(client_id) == hour:
                del self._used[client_id]


def _unix(at: datetime | None) -> float:
    return float("inf") if at is None else at.timestamp()
