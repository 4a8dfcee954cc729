"""Channels to other services, and how calls are repeated."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import grpc
import structlog
import tenacity

from libs.common.rpc import limits
from libs.common.rpc.errors import remote_error

T = TypeVar("T")

CALL_DEADLINE_S: Final = 10.0
"""What a batch to another service may take, where nothing speaks for another figure."""
ATTEMPTS_DEFAULT: Final = 5
_WAIT_FIRST_S: Final = 0.05
_WAIT_MAX_S: Final = 2.0

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", limits.MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", limits.MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", limits.KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", limits.KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    # A service that was restarted is found again within a second, not after gRPC's default of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Repeating is decided in one place, `retrying`.
    ("grpc.enable_retries", 0),
)
_RETRYABLE: Final = frozenset({grpc.StatusCode.UNAVAILABLE})
_RETRYABLE_REASONS: Final = frozenset({"WRITE_CONFLICT", "OVERLOADED", "DEPENDENCY_UNAVAILABLE"})

_log = structlog.get_logger(__name__)


class DeadlineMissingError(TypeError):
    """A call was made without `timeout=`: a fault of the code that made it."""


def channel(target: str, token: str) -> grpc.aio.Channel:
    """A channel to `host:port` that sends the token and refuses calls without a deadline. Connects when first used."""
    details = _CallDetails(token)
    return grpc.aio.insecure_channel(
        target,
        options=_OPTIONS,
        interceptors=[
            _UnaryUnary(details),
            _UnaryStream(details),
            _StreamUnary(details),
            _StreamStream(details),
        ],
    )


class _CallDetails:
    def __init__(self, token: str) -> None:
        self._authorization = ("authorization", f"Bearer {token}")

    def complete(self, given: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        if given.timeout is None:
            raise DeadlineMissingError(f"{given.method!r} was called without a timeout")
        metadata = grpc.aio.Metadata(*(given.metadata or ()), self._authorization)
        return grpc.aio.ClientCallDetails(
            given.method, given.timeout, metadata, given.credentials, given.wait_for_ready
        )


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, details: _CallDetails) -> None:
        self._details = details

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self._details.complete(client_call_details), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, details: _CallDetails) -> None:
        self._details = details

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(self._details.complete(client_call_details), request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, details: _CallDetails) -> None:
        self._details = details

    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await continuation(self._details.complete(client_call_details), request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, details: _CallDetails) -> None:
        self._details = details

    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await continuation(self._details.complete(client_call_details), request_iterator)


async def retrying(call: Callable[[], Awaitable[T]], *, attempts: int | None = ATTEMPTS_DEFAULT) -> T:
    """Makes an idempotent call, again with growing, jittered waits while it fails for a passing reason.

    Passing are UNAVAILABLE and the reasons WRITE_CONFLICT, OVERLOADED and DEPENDENCY_UNAVAILABLE; a deadline is not,
    since its batch may be too large. `attempts` None repeats until it succeeds or is cancelled. Use it around a batch,
    on one layer only. Raises the last `grpc.aio.AioRpcError`.
    """
    policy = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception(is_passing),
        stop=tenacity.stop_never if attempts is None else tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_random_exponential(multiplier=_WAIT_FIRST_S, max=_WAIT_MAX_S),
        before_sleep=_tell,
        reraise=True,
    )

    async def once() -> T:
        # gRPC's calls are awaitable without being coroutines, which the policy would hand back as they are.
        return await call()

    return await policy(once)


def is_passing(error: BaseException) -> bool:
    """Whether a call that failed so may succeed when it is made again."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return False
    return error.code() in _RETRYABLE or remote_error(error).reason in _RETRYABLE_REASONS


def _tell(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if state.attempt_number > 1 and isinstance(error, grpc.aio.AioRpcError):
        _log.warning(
            "call is repeated", attempt=state.attempt_number, code=error.code().name, error=error.details()
        )
