"""Unary calls as services of one machine make them (`libs.common.rpc.frame_server`), by a load that costs little.

It makes a closed loop of calls of one method over one connection, as `bench.raw_calls` does by gRPC: frames are packed
before the first call is made, and of answers only code and number are looked at.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from bench.raw_calls import RawCallError
from libs.common.rpc.frame_server import OK, Answered, Asked, Frames

_TIMEOUT_S: Final = 60.0
_answered: Final = msgspec.msgpack.Decoder(Answered).decode


class _Connection(Frames):
    """One connection; calls are under way `at_once`, and each answer sends the next."""

    def __init__(self, calls: Sequence[Asked]) -> None:
        super().__init__()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.took_s: list[float] = []
        self._calls: Iterator[Asked] = iter(calls)
        self._sent_at: dict[int, float] = {}

    def start(self, at_once: int) -> None:
        """Sends the first calls."""
        for _ in range(at_once):
            self._next()

    def _next(self) -> None:
        call = next(self._calls, None)
        if call is not None:
            self._sent_at[call.number] = time.perf_counter()
            self.send(call)
        elif not self._sent_at and not self.done.done():
            self.done.set_result(None)

    def received(self, frame: bytes) -> None:
        found = _answered(frame)
        if found.code != OK:
            self._fail(f"a call was answered by {found.code}: {found.details}")
            return
        self.took_s.append(time.perf_counter() - self._sent_at.pop(found.number))
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection ended: {exc}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RawCallError(why))


async def call_all(
    socket: Path, path: str, token: str, messages: Sequence[bytes], at_once: int
) -> list[float]:
    """Calls the method `/package.Service/Method` of the server at a socket once with each message, `at_once` under way;
    seconds that each took. Raises RawCallError when a call fails, and OSError."""
    metadata = [("authorization", f"Bearer {token}")]
    calls = [Asked(number, path, _TIMEOUT_S, metadata, body) for number, body in enumerate(messages, 1)]
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_unix_connection(lambda: _Connection(calls), str(socket))
    try:
        connection.start(at_once)
        await connection.done
    finally:
        transport.close()
    return connection.took_s
