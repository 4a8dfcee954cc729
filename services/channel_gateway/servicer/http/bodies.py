"""Bodies of requests, read within bounds of bytes and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, ParamSpec, TypeVar

from aiohttp import HttpVersion11, hdrs, web

from services.channel_gateway.servicer.http import answers
from services.channel_gateway.servicer.http.connections import BODY_S, Connection, Phase
from services.channel_gateway.servicer.http.head import HOOK_BYTES_MAX

APART_BYTES: Final = 64 * 1024
"""Bodies from this size on are checked and taken apart in a thread beside."""
ROOM_WAIT_S: Final = 5.0
"""A body waits so long for room to be read into; then it is told to come later."""

P = ParamSpec("P")
Result = TypeVar("Result")


class ReadingRoom:
    """Bytes of bodies that are being read and worked: reserved before the first is read."""

    def __init__(self, bytes_max: int, of_one_max: int) -> None:
        """`bytes_max` in all, `of_one_max` for one client; one body fits into either."""
        self._bytes_max = max(bytes_max, HOOK_BYTES_MAX)
        self._of_one_max = max(of_one_max, HOOK_BYTES_MAX)
        self._taken = 0
        self._of: dict[str, int] = {}
        self._freed = asyncio.Condition()

    @asynccontextmanager
    async def hold(self, connection: Connection, size: int) -> AsyncIterator[None]:
        """Room for `size` bytes, for as long as the block. Raises RefusedError where there is none in time."""
        peer = connection.peer
        connection.enter(Phase.BODY)
        try:
            async with asyncio.timeout(ROOM_WAIT_S), self._freed:
                await self._freed.wait_for(lambda: self._fits(peer, size))
                self._add(peer, size)
        except TimeoutError:
            message = "more bytes are being read than the edge has room for"
            raise answers.RefusedError(answers.closing(answers.busy(message, ROOM_WAIT_S))) from None
        try:
            yield
        finally:
            async with self._freed:
                self._add(peer, -size)
                self._freed.notify_all()

    def _fits(self, peer: str, size: int) -> bool:
        own = self._of.get(peer, 0)
        return self._taken + size <= self._bytes_max and own + size <= self._of_one_max

    def _add(self, peer: str, size: int) -> None:
        self._taken += size
        left = self._of.get(peer, 0) + size
        if left:
            self._of[peer] = left
        else:
            self._of.pop(peer, None)


async def read(request: web.BaseRequest, connection: Connection, bytes_max: int) -> bytes:
    """The bytes as they came. Raises RefusedError for too many or too late, aiohttp's errors for a sender that left."""
    parts: list[bytes] = []
    size = 0
    with connection.reading():
        try:
            async with asyncio.timeout(BODY_S):
                await _invite(request)
                while part := await request.content.readany():
                    size += len(part)
                    if size > bytes_max:
                        raise answers.RefusedError(answers.too_large(bytes_max))
                    parts.append(part)
        except TimeoutError:
            raise answers.RefusedError(answers.too_slow(BODY_S)) from None
    return b"".join(parts)


async def apart(body: bytes, work: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """What `work` makes of a body; of a large one in a thread beside, so that nobody else waits for it."""
    if len(body) >= APART_BYTES:
        return await asyncio.to_thread(work, *args, **kwargs)
    return work(*args, **kwargs)


async def _invite(request: web.BaseRequest) -> None:
    """Tells a sender that waits for it that the body is wanted."""
    if request.version == HttpVersion11 and request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
