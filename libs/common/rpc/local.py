"""Calls between services of one process: without a socket, by the same guard (docs/adr/0028).

What a unary call keeps of a call by gRPC: the message goes over as bytes, of the same size at most; who calls is
admitted by the token; a deadline and a cancellation end the handler; a server that drains takes no new call. Streams go
by gRPC.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar, copy_context
from typing import Any, Final, NamedTuple, NoReturn, Protocol

import grpc
import structlog

from libs.common.rpc import limits

Metadata = Sequence[tuple[str, str | bytes]]
Call = Callable[..., Any]
"""A method of a stub: takes a request and `timeout`."""

LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = ("0.0.0.0", "::", "")  # noqa: S104  # nosec B104 - compared with, not bound to
_log = structlog.get_logger(__name__)


class Handlers(Protocol):
    """Finds the handler of a call, as gRPC's servers do; refuses nothing itself."""

    def find(self, details: grpc.HandlerCallDetails) -> Any:
        """The handler for the caller that the metadata show, which it sets for the running task; None: no such
        method."""
        ...


class Details(grpc.HandlerCallDetails):
    """What is known of a call before its message."""

    __slots__ = ("invocation_metadata", "method")

    def __init__(self, method: str, invocation_metadata: Metadata) -> None:
        """`method` with its leading slash."""
        self.method = method
        self.invocation_metadata = invocation_metadata  # type: ignore[assignment]  # a sequence of pairs to gRPC, too


class LocalServer:
    """One service's server as the others in its process see it."""

    def __init__(self, handlers: Handlers) -> None:
        """Calls run in the context in which this is made: the service's."""
        self._handlers = handlers
        self._context = copy_context()
        self._calls: set[asyncio.Task[Any]] = set()
        self._cut = False

    def call(self, codec: Codec, request: Any, timeout_s: float, metadata: Metadata, remote: Call) -> Any:
        """A call that has begun: await it, or cancel it. `remote` makes it by gRPC where it is not a plain one. Raises
        AioRpcError."""
        answering = self._answer(codec, request, timeout_s, metadata, remote)
        task = asyncio.get_running_loop().create_task(answering, context=self._context.copy())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

    async def drain(self, grace_s: float) -> None:
        """Lets the running calls end within `grace_s`, and cancels the rest."""
        if self._calls:
            await asyncio.wait(self._calls, timeout=grace_s)
        self._cut = True
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _answer(
        self, codec: Codec, request: Any, timeout_s: float, metadata: Metadata, remote: Call
    ) -> Any:
        context = LocalContext(asyncio.get_running_loop().time() + timeout_s, metadata)
        try:
            async with asyncio.timeout(timeout_s) as limit:
                handler = self._handlers.find(Details(codec.path, metadata))
                if handler is None:
                    refuse(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
                if handler.unary_unary is None:
                    return await remote(request, timeout=timeout_s)
                return codec.deserialize(await _handled(handler, held(codec.serialize(request)), context))
        except TimeoutError:
            if limit.expired():
                refuse(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")
            raise
        except asyncio.CancelledError:
            if self._cut:
                refuse(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
            raise
        finally:
            context.end()


async def _handled(handler: Any, request: bytes, context: LocalContext) -> bytes:
    """What a handler answers. Raises AioRpcError, for what is no status as well: gRPC's server says it as UNKNOWN."""
    try:
        answer = await handler.unary_unary(handler.request_deserializer(request), context)
        return held(handler.response_serializer(answer))
    except grpc.aio.AbortError:
        raise context.error() from None
    except grpc.aio.AioRpcError:
        raise
    except Exception:  # noqa: BLE001 - whatever it is, the caller gets a status
        _log.exception("a call ended by what is no status")
        refuse(grpc.StatusCode.UNKNOWN, "the call ended by what is no status")


class Codec(NamedTuple):
    """One method, and how its messages become bytes."""

    path: str
    serialize: Callable[[Any], bytes]
    deserialize: Callable[[bytes], Any]


class LocalContext:
    """What handlers use of gRPC's `ServicerContext`."""

    def __init__(self, due_s: float, metadata: Metadata) -> None:
        """`due_s`: by the loop's time."""
        self._due_s = due_s
        self._metadata = metadata
        self._aborted: grpc.aio.AioRpcError | None = None
        self._ended: list[Callable[[Any], None]] = []

    def time_remaining(self) -> float:
        """Seconds."""
        return max(0.0, self._due_s - asyncio.get_running_loop().time())

    def invocation_metadata(self) -> Metadata:
        """Of the call."""
        return self._metadata

    def peer(self) -> str:
        """Where the caller is."""
        return "in-process"

    def code(self) -> grpc.StatusCode | None:
        """Of a call that was aborted."""
        return None if self._aborted is None else self._aborted.code()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Calls it when the call has ended."""
        self._ended.append(callback)

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Metadata = ()
    ) -> NoReturn:
        """Ends the call."""
        self._aborted = rpc_error(code, details, trailing_metadata)
        raise grpc.aio.AbortError

    def error(self) -> grpc.aio.AioRpcError:
        """What the caller gets of a call that was aborted."""
        assert self._aborted is not None, "nothing else raises AbortError"
        return self._aborted

    def end(self) -> None:
        """The call has ended."""
        for callback in self._ended:
            callback(self)


class LocalServers:
    """The servers of this process, by the addresses at which they also serve by gRPC."""

    def __init__(self, metrics_of: str) -> None:
        """`metrics_of`: the service that serves the one page of metrics that a process has."""
        self.metrics_of = metrics_of
        self._servers: dict[str, LocalServer] = {}

    def offer(self, host: str, port: int, server: LocalServer) -> None:
        """From now on calls to this address come here."""
        for named in {host, *((LOOPBACK,) if host in EVERYWHERE else ())}:
            self._servers[f"{named}:{port}"] = server

    def withdraw(self, server: LocalServer) -> None:
        """It takes no new calls: gRPC says that it is away."""
        self._servers = {target: each for target, each in self._servers.items() if each is not server}

    def find(self, target: str) -> LocalServer | None:
        """The server at `host:port`, if it is of this process and serves."""
        return self._servers.get(target)


_SERVERS: ContextVar[LocalServers | None] = ContextVar("local_servers", default=None)


def local_servers() -> LocalServers | None:
    """Those of the services that run together with this one; None: each runs alone."""
    return _SERVERS.get()


@contextlib.contextmanager
def together(metrics_of: str) -> Iterator[LocalServers]:
    """Services that are started in the block call each other without a socket."""
    servers = LocalServers(metrics_of)
    token = _SERVERS.set(servers)
    try:
        yield servers
    finally:
        _SERVERS.reset(token)


def refuse(code: grpc.StatusCode, details: str) -> NoReturn:
    """Ends a call as gRPC would."""
    raise rpc_error(code, details)


def held(data: bytes) -> bytes:
    """Bytes that fit into a message. Raises RESOURCE_EXHAUSTED, as gRPC does."""
    if len(data) > limits.MESSAGE_BYTES_MAX:
        refuse(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"message larger than max ({len(data)} vs. {limits.MESSAGE_BYTES_MAX})",
        )
    return data


def rpc_error(code: grpc.StatusCode, details: str, trailing: Metadata = ()) -> grpc.aio.AioRpcError:
    """How a call ended, as gRPC says it."""
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), details)
