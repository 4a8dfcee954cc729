"""Calls between services of one machine: by frames over a unix socket, to the same guard (docs/adr/0031).

A call by gRPC costs both ends some 0.8 ms whatever it carries, one by frames a quarter of that. It keeps of one by gRPC
what `libs.common.rpc.local` keeps: bytes of the same size at most, token, deadline, cancellation, draining. Who is not
reached this way (its socket is not there, it drains, it answers with a stream, it reads slower than it is written to)
is called by gRPC. Here are the frames and the server's end, in `libs.common.rpc.frame_client` the caller's.

A frame is its length (4 bytes, the high one first) and an array in msgpack: `Asked` one way, `Answered` the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, cast

import grpc
import msgspec
import structlog

from libs.common.rpc import limits
from libs.common.rpc.local import Codec, LocalServer
from libs.common.tasks import set_within

PATH_BYTES_MAX: Final = 100
"""Of a socket's path; the system's own limit is 107."""
_FRAME_BYTES_MAX: Final = limits.MESSAGE_BYTES_MAX + 64 * 1024
"""A message, and what stands around it."""
UNSENT_BYTES_MAX: Final = 1024 * 1024
"""What may wait to be sent on a connection before calls take the other way, or none is read."""
TIMEOUT_MAX_S: Final = 86_400.0
"""Longest that a call may take; one that asks for more has so much."""
_CLOSE_S: Final = 0.5
"""How long a stopping server waits for callers to take their answers."""
_HEAD: Final = 4
OK: Final = 0
"""Code of a call that was answered."""
ELSEWHERE: Final = -1
"""Instead of a status: ask by gRPC."""
_log = structlog.get_logger(__name__)


class Asked(msgspec.Struct, array_like=True, gc=False):
    """A call, or the end of one: then `path` is empty."""

    number: int
    """The caller's; of one connection."""
    path: str = ""
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=TIMEOUT_MAX_S)] = 0.0
    metadata: list[tuple[str, Any]] = []
    body: bytes = b""


class Answered(msgspec.Struct, array_like=True, gc=False):
    """What became of a call."""

    number: int
    code: int
    """Of a `grpc.StatusCode`, or ELSEWHERE."""
    body: bytes = b""
    details: str = ""
    trailing: list[tuple[str, Any]] = []


_encode: Final = msgspec.msgpack.Encoder().encode
_asked: Final = msgspec.msgpack.Decoder(Asked).decode


class _ElsewhereError(Exception):
    """The call is not to be answered here."""


async def _elsewhere(_: Any, **__: Any) -> Any:
    raise _ElsewhereError


def socket_of(directory: Path, port: int) -> Path | None:
    """Where the server at a port has its socket; None where the path is too long for one."""
    path = directory / f"{port}.sock"
    return path if len(str(path).encode()) <= PATH_BYTES_MAX else None


def make_folder(folder: Path) -> None:
    """Makes the folder of an installation's sockets, closed to other users, without those that killed processes left.
    To be called while none of its services runs. Raises OSError."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    for left in folder.glob("*.sock"):
        left.unlink()


class Frames(asyncio.Protocol):
    """One end of a connection: frames in and out."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._rest = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._cut(data):
                self.received(frame)
        except ValueError as error:  # msgspec's, too
            _log.warning("a frame cannot be read; the connection is closed", error=str(error))
            if self.transport is not None:
                self.transport.abort()

    def _cut(self, data: bytes) -> Iterator[bytes]:
        """Whole frames; what is left is kept. Raises ValueError for one that is too large."""
        self._rest += data
        begin = 0
        while len(self._rest) - begin >= _HEAD:
            size = int.from_bytes(self._rest[begin : begin + _HEAD])
            if size > _FRAME_BYTES_MAX:
                raise ValueError(f"{size} bytes")
            end = begin + _HEAD + size
            if len(self._rest) < end:
                break
            frame = bytes(self._rest[begin + _HEAD : end])
            begin = end
            yield frame
        del self._rest[:begin]

    def received(self, frame: bytes) -> None:
        """One frame. Raises ValueError."""
        raise NotImplementedError

    def send(self, frame: Asked | Answered) -> None:
        """Writes one frame; a connection that is gone takes it and loses it."""
        if self.transport is not None:
            data = _encode(frame)
            self.transport.write(len(data).to_bytes(_HEAD) + data)


class _Served(Frames):
    """A caller's connection, at the server."""

    def __init__(self, server: FrameServer) -> None:
        super().__init__()
        self._server = server
        self._calls: dict[int, asyncio.Task[Any]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.lost(self)
        for call in self._calls.values():
            call.cancel()

    def pause_writing(self) -> None:
        # Who does not read answers asks no more.
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.transport is not None:
            self.transport.resume_reading()

    def received(self, frame: bytes) -> None:
        asked = _asked(frame)
        if not asked.path:
            if (running := self._calls.get(asked.number)) is not None:
                running.cancel()
            return
        if asked.number in self._calls:
            raise ValueError(f"call {asked.number} is under way already")
        if self._server.draining:
            self.send(Answered(asked.number, ELSEWHERE))
            return
        codec = Codec(asked.path, bytes, bytes)
        call = self._server.local.call(codec, asked.body, asked.timeout_s, asked.metadata, _elsewhere)
        self._calls[asked.number] = call
        call.add_done_callback(lambda done: self._answer(asked.number, done))

    def _answer(self, number: int, call: asyncio.Task[Any]) -> None:
        del self._calls[number]
        if call.cancelled():
            return  # nobody waits for it
        error = call.exception()
        if error is None:
            self.send(Answered(number, OK, call.result()))
        elif isinstance(error, _ElsewhereError):
            self.send(Answered(number, ELSEWHERE))
        elif isinstance(error, grpc.aio.AioRpcError):
            code, trailing = error.code().value[0], list(error.trailing_metadata())
            self.send(Answered(number, code, b"", error.details() or "", trailing))
        else:  # it may have begun: it is not made again
            _log.error("a call ended by what is no status", exc_info=error)
            self.send(Answered(number, grpc.StatusCode.UNKNOWN.value[0]))


class FrameServer:
    """A server's socket, for callers of the same machine and user."""

    def __init__(self, local: LocalServer, path: Path) -> None:
        """`local` answers. The folder of `path` is to be closed to others."""
        self.local = local
        self.draining = False
        self.connections: set[_Served] = set()
        self._all_lost = asyncio.Event()
        self._path = path
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        """Takes calls. Raises OSError."""
        self._path.unlink(missing_ok=True)  # of a process that was killed; its port is ours now
        self._server = await asyncio.get_running_loop().create_unix_server(
            lambda: _Served(self), str(self._path)
        )

    def stop_taking(self) -> None:
        """New calls are sent to gRPC, which says that the server is away; the running ones go on."""
        self.draining = True
        self._path.unlink(missing_ok=True)
        if self._server is not None:
            self._server.close()

    def lost(self, connection: _Served) -> None:
        """It is closed."""
        self.connections.discard(connection)
        if not self.connections:
            self._all_lost.set()

    async def close(self) -> None:
        """Closes what is open; the answers that were given leave before, where their callers take them."""
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.close()
        if self.connections:
            self._all_lost.clear()
            await set_within(self._all_lost, _CLOSE_S)
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()
