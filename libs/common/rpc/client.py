"""Channels to other services, and how calls are repeated."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeVar

import grpc
import structlog

from libs.common import backoff
from libs.common.rpc import limits
from libs.common.rpc.errors import RemoteError, remote_error
from libs.common.rpc.frame_client import FrameClient, frame_client_at
from libs.common.rpc.local import LOOPBACK, Call, Codec, Metadata, local_servers
from libs.common.tls import Tls

T = TypeVar("T")
K = TypeVar("K")

CALL_DEADLINE_S: Final = 10.0
"""What a batch to another service may take, where nothing speaks for another figure."""
ATTEMPTS_DEFAULT: Final = 5
_BACKOFF: Final = backoff.Backoff(0.05, 2.0, spread=1.0)

CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", limits.MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", limits.KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", limits.KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    # A service that was restarted is found again within half a second, not after gRPC's default of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 300),
    # Where an address has several processes behind it, calls go to all that can be reached, not to the first.
    ("grpc.lb_policy_name", "round_robin"),
    # Repeating is decided in one place, `retrying`.
    ("grpc.enable_retries", 0),
)
_RETRYABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE})
_RETRYABLE_REASONS: Final = frozenset(
    {"WRITE_CONFLICT", "OVERLOADED", "RATE_LIMITED", "DEPENDENCY_UNAVAILABLE"}
)

_BUSY: Final = "Concurrent RPC limit exceeded"
_log = structlog.get_logger(__name__)


class DeadlineMissingError(TypeError):
    """A call was made without `timeout=`: a fault of the code that made it."""


class Nearby(Protocol):
    """A server that can be called without gRPC: `LocalServer`, or a connection to a server of this machine."""

    def call(self, codec: Codec, request: Any, timeout_s: float, metadata: Metadata, remote: Call) -> Any:
        """A call that has begun: await it, or cancel it. `remote` makes it by gRPC where that is needed. Raises
        AioRpcError when awaited."""
        ...


FindNearby = Callable[[], Nearby | None]
"""The server now; None: it is called by gRPC."""


def channel(
    target: str,
    token: str,
    tls: Tls | None = None,
    *,
    calls_dir: Path | None = None,
    bind_host: str = LOOPBACK,
) -> grpc.aio.Channel:
    """A channel to `host:port` that sends the token and refuses calls without a deadline. Connects when first used.

    `calls_dir` is where the services of this machine have their sockets, those that listen on the loopback or on
    `bind_host`; with TLS none is used. Raises OSError when the files of `tls` cannot be read.
    """
    if tls is None:
        opened = grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)
    else:
        opened = grpc.aio.secure_channel(target, tls.channel_credentials(), options=CHANNEL_OPTIONS)
    servers = local_servers()
    if servers is not None:
        return _NearChannel(opened, token, partial(servers.find, target))
    if calls_dir is not None and tls is None:
        frames = frame_client_at(target, calls_dir, bind_host)
        if frames is not None:
            return _FrameChannel(opened, token, frames)
    return _Channel(opened, token)


class _Method:
    """One method of a stub, of any kind. An interceptor would do the same for a task and several copies a call."""

    __slots__ = ("_authorization", "_call", "_metadata", "_name")

    def __init__(self, name: str, call: Any, authorization: tuple[str, str]) -> None:
        self._name = name
        self._call = call
        self._authorization = authorization
        self._metadata = grpc.aio.Metadata(authorization)

    def __call__(
        self, request: Any = None, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        if timeout is None:
            raise DeadlineMissingError(f"{self._name} was called without a timeout")
        sent = grpc.aio.Metadata(*metadata, self._authorization) if metadata else self._metadata
        return self._call(request, timeout=timeout, metadata=sent, **options)


class WrappedChannel(grpc.aio.Channel):
    """A channel over another one, whose stubs' methods are to be made otherwise."""

    def __init__(self, inner: grpc.aio.Channel) -> None:
        """Over `inner`, which is closed with it."""
        self._inner = inner

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """See `grpc.aio.Channel`."""
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """See `grpc.aio.Channel`."""
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """See `grpc.aio.Channel`."""
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """See `grpc.aio.Channel`."""
        await self._inner.channel_ready()


class _Channel(WrappedChannel):
    """A channel whose stubs' methods are `_Method`."""

    def __init__(self, inner: grpc.aio.Channel, token: str) -> None:
        super().__init__(inner)
        self._authorization = ("authorization", f"Bearer {token}")

    def unary_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Method(method, self._inner.unary_unary(method, *codec, **options), self._authorization)

    def unary_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Method(method, self._inner.unary_stream(method, *codec, **options), self._authorization)

    def stream_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Method(method, self._inner.stream_unary(method, *codec, **options), self._authorization)

    def stream_stream(self, method: str, *codec: Any, **options: Any) -> Any:
        return _Method(method, self._inner.stream_stream(method, *codec, **options), self._authorization)


class _NearMethod:
    """One unary method of a stub, whose server may be near."""

    __slots__ = ("_authorization", "_codec", "_find", "_remote")

    def __init__(
        self, codec: Codec, remote: _Method, authorization: tuple[str, str], find: FindNearby
    ) -> None:
        self._codec = codec
        self._remote = remote
        self._authorization = authorization
        self._find = find

    def __call__(
        self, request: Any = None, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        server = self._find()
        if server is None or timeout is None:
            return self._remote(request, timeout, metadata, **options)
        sent = (*(metadata or ()), self._authorization)
        return server.call(self._codec, request, timeout, sent, self._remote)


def _as_it_is(data: bytes) -> bytes:
    """What gRPC does for None."""
    return data


class _NearChannel(_Channel):
    """A channel that looks at each call whether its server is near."""

    def __init__(self, inner: grpc.aio.Channel, token: str, find: FindNearby) -> None:
        super().__init__(inner, token)
        self._find = find

    def unary_unary(self, method: str, *codec: Any, **options: Any) -> Any:
        remote = super().unary_unary(method, *codec, **options)
        named = dict(zip(("request_serializer", "response_deserializer"), codec, strict=False)) | options
        coded = Codec(
            method,
            named.get("request_serializer") or _as_it_is,
            named.get("response_deserializer") or _as_it_is,
        )
        return _NearMethod(coded, remote, self._authorization, self._find)


class _FrameChannel(_NearChannel):
    """One to a server of this machine, with its connection."""

    def __init__(self, inner: grpc.aio.Channel, token: str, frames: FrameClient) -> None:
        super().__init__(inner, token, frames.find)
        self._frames = frames

    async def channel_ready(self) -> None:
        """Both ways."""
        await super().channel_ready()
        await self._frames.ready()

    async def close(self, grace: float | None = None) -> None:
        await self._frames.close()
        await super().close(grace)


async def retrying(call: Callable[[], Awaitable[T]], *, attempts: int | None = ATTEMPTS_DEFAULT) -> T:
    """Makes an idempotent call, again with growing, jittered waits while it fails for a passing reason.

    Passing are UNAVAILABLE and the reasons WRITE_CONFLICT, OVERLOADED, RATE_LIMITED and DEPENDENCY_UNAVAILABLE; a
    deadline is not, since its batch may be too large. `attempts` None repeats until it succeeds or is cancelled. Use it
    around a batch, on one layer only. Raises the last `grpc.aio.AioRpcError`.
    """
    return await backoff.retrying(
        call, backoff=_BACKOFF, passing=is_passing, attempts=attempts, failed=_note_repetition
    )


def is_passing(error: BaseException) -> bool:
    """Whether a call that failed so may succeed when it is made again."""
    return isinstance(error, grpc.aio.AioRpcError) and passes(remote_error(error))


def passes(error: RemoteError) -> bool:
    """Whether a call that was answered so may succeed when it is made again."""
    return error.code in _RETRYABLE or error.reason in _RETRYABLE_REASONS


def _note_repetition(attempt: int, error: Exception) -> None:
    if attempt > 1 and isinstance(error, grpc.aio.AioRpcError):
        code = error.code().name
        _log.warning("call is repeated", attempt=attempt + 1, code=code, error=error.details())


async def fitting_page(read: Callable[[int], Awaitable[T]], rows_max: int) -> T:
    """What `read` answers when asked for at most `rows_max` rows, or for fewer where these are too large for a message.

    Rows may be of any size, so a page that is bounded in rows may not fit. gRPC says so with a RESOURCE_EXHAUSTED
    that has no reason of ours; it is answered by asking for half as many, down to one. Raises what `read` raises.
    """
    while True:
        try:
            return await read(rows_max)
        except grpc.aio.AioRpcError as error:
            if not is_too_large(error) or rows_max == 1:
                raise
            rows_max = max(1, rows_max // 2)


async def fitting_calls(
    ask: Callable[[Sequence[K]], Awaitable[Sequence[T]]], items: Sequence[K], items_max: int
) -> list[T]:
    """What `ask` answers to `items`, one each and in order, in calls of at most `items_max`.

    Where what is said of them does not fit into a message, fewer are asked about, down to one, and no more from then
    on. Raises what `ask` raises otherwise.
    """
    answers: list[T] = []
    while len(answers) < len(items):
        part = items[len(answers) : len(answers) + items_max]
        try:
            found = await ask(part)
        except grpc.aio.AioRpcError as error:
            if not is_too_large(error) or len(part) == 1:
                raise
            items_max = len(part) // 2
        else:
            if len(found) != len(part):
                raise ValueError(f"{len(found)} answers about {len(part)} items")
            answers += found
    return answers


def is_too_large(error: grpc.aio.AioRpcError) -> bool:
    """Whether a request or its answer does not fit into a message: gRPC says so, without a reason of ours."""
    exhausted = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    return exhausted and not remote_error(error).reason and not is_busy(error)


def is_busy(error: grpc.aio.AioRpcError) -> bool:
    """Whether gRPC refuses a call since the server, one of the release before, works on as many as it may."""
    return (error.details() or "").startswith(_BUSY)
