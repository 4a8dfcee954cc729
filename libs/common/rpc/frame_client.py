"""Calling a server of this machine: see `libs.common.rpc.frame_server`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import grpc
import msgspec

from libs.common.rpc.frame_server import (
    ELSEWHERE,
    OK,
    TIMEOUT_MAX_S,
    Answered,
    Asked,
    Frames,
    socket_of,
)
from libs.common.rpc.local import EVERYWHERE, LOOPBACK, Call, Codec, Metadata, held, rpc_error

CONNECT_AGAIN_S: Final = 0.5
"""A socket that was not there is looked for again after so long, real seconds."""
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_answered: Final = msgspec.msgpack.Decoder(Answered).decode


class _Calling:
    """A call that waits for its answer."""

    __slots__ = ("again", "answer", "codec", "timer")

    def __init__(
        self,
        answer: asyncio.Future[Any],
        codec: Codec,
        again: Callable[[], Any],
        timer: asyncio.TimerHandle,
    ) -> None:
        self.answer = answer
        self.codec = codec
        self.again = again
        self.timer = timer


class Connection(Frames):
    """A connection to a server of this machine, at the caller."""

    def __init__(self) -> None:
        """Takes calls once it is made."""
        super().__init__()
        self.is_open = False
        """Whether calls may go this way now."""
        self._calls: dict[int, _Calling] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It may be used."""
        super().connection_made(transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Calls under way end as gRPC's do where a server dies."""
        self.is_open = False
        self.transport = None
        calls, self._calls = self._calls, {}
        for call in calls.values():
            self._end(call, rpc_error(grpc.StatusCode.UNAVAILABLE, "the connection was lost"))

    def pause_writing(self) -> None:
        """The server does not keep up."""
        self.is_open = False

    def resume_writing(self) -> None:
        """It does again."""
        self.is_open = self.transport is not None

    def call(self, codec: Codec, request: Any, timeout_s: float, metadata: Metadata, remote: Call) -> Any:
        """A call that has begun: await it, or cancel it. `remote` makes it by gRPC where it cannot be answered here.
        Raises AioRpcError when awaited."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        try:
            body = held(codec.serialize(request))
        except grpc.aio.AioRpcError as error:
            answer.set_exception(error)
            return answer
        self._number += 1
        number = self._number
        timeout_s = min(max(0.0, timeout_s), TIMEOUT_MAX_S)
        due_s = loop.time() + timeout_s

        def again() -> Any:
            return remote(request, timeout=max(0.0, due_s - loop.time()))

        timer = loop.call_later(timeout_s, self._late, number)
        self._calls[number] = _Calling(answer, codec, again, timer)
        self.send(Asked(number, codec.path, timeout_s, list(metadata), body))
        answer.add_done_callback(lambda done: self._given_up(number) if done.cancelled() else None)
        return answer

    def received(self, frame: bytes) -> None:
        """An answer."""
        found = _answered(frame)
        call = self._calls.pop(found.number, None)
        if call is None:
            return  # it was late, or given up
        if found.code == OK:
            self._end(call, None, found.body)
        elif found.code == ELSEWHERE:
            self._ask_again(call)
        else:
            code = _CODES.get(found.code, grpc.StatusCode.UNKNOWN)
            self._end(call, rpc_error(code, found.details, found.trailing))

    def _ask_again(self, call: _Calling) -> None:
        """Makes the call by gRPC, in the time that is left of it."""
        call.timer.cancel()
        asking = asyncio.get_running_loop().create_task(self._by_grpc(call), name="call by gRPC")
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        call.answer.add_done_callback(lambda done: asking.cancel() if done.cancelled() else None)

    async def _by_grpc(self, call: _Calling) -> None:
        try:
            result = await call.again()
        except asyncio.CancelledError:
            call.answer.cancel()  # the channel was closed, or the caller gave up
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's
            self._end(call, error)
        else:
            if not call.answer.done():
                call.answer.set_result(result)

    def _late(self, number: int) -> None:
        call = self._calls.pop(number, None)
        if call is not None:  # the server ends it by itself
            self._end(call, rpc_error(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))

    def _given_up(self, number: int) -> None:
        call = self._calls.pop(number, None)
        if call is not None:
            call.timer.cancel()
            self.send(Asked(number))

    def _end(self, call: _Calling, error: Exception | None, body: bytes = b"") -> None:
        call.timer.cancel()
        if call.answer.done():
            return
        if error is not None:
            call.answer.set_exception(error)
            return
        try:
            result = call.codec.deserialize(body)
        except Exception:  # noqa: BLE001 - as gRPC says it, whatever the reader raises
            code = grpc.StatusCode.INTERNAL
            call.answer.set_exception(rpc_error(code, "Failed to deserialize the response"))
        else:
            call.answer.set_result(result)


class FrameClient:
    """The server at one target, as a channel looks for it: connected to when it is first called, and again when it is
    back."""

    def __init__(self, path: Path, elapsed_s: Callable[[], float] = time.monotonic) -> None:
        """`path` of its socket. `elapsed_s` is real time that never jumps."""
        self._path = path
        self._elapsed_s = elapsed_s
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._look_at_s = 0.0

    def find(self) -> Connection | None:
        """The connection, if there is one that takes calls. Waits for nothing: meanwhile calls go by gRPC."""
        connection = self._connection
        if connection is not None:
            if connection.is_open:
                return connection
            if connection.transport is not None:
                return None  # it is slow
            self._connection = None
        if self._connecting is None and self._elapsed_s() >= self._look_at_s:
            self._look_at_s = self._elapsed_s() + CONNECT_AGAIN_S
            self._connecting = asyncio.get_running_loop().create_task(
                self._connect(), name="connect by frames"
            )
        return None

    async def ready(self) -> None:
        """Returns once the server is reached."""
        while self.find() is None:
            await (self._connecting or asyncio.sleep(CONNECT_AGAIN_S))

    async def close(self) -> None:
        """Ends the connection; calls under way end as UNAVAILABLE."""
        self._look_at_s = float("inf")
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        if self._connection is not None and self._connection.transport is not None:
            self._connection.transport.abort()  # nobody waits for what was not sent yet
            await asyncio.sleep(0)

    async def _connect(self) -> None:
        try:
            with contextlib.suppress(OSError):  # it is not there: gRPC says so to who calls
                _, self._connection = await asyncio.get_running_loop().create_unix_connection(
                    Connection, str(self._path)
                )
        finally:
            self._connecting = None


def frame_client_at(target: str, directory: Path, bind_host: str) -> FrameClient | None:
    """The server at `host:port`, if that is where services of this machine listen."""
    host, _, port = target.rpartition(":")
    if host not in {LOOPBACK, *({bind_host} - set(EVERYWHERE))} or not port.isdecimal():
        return None
    path = socket_of(directory, int(port))
    return FrameClient(path) if path is not None else None
