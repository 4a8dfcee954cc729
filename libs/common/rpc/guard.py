"""What happens around every call: authentication, deadline, metrics, errors.

One interceptor does all of it, since each further one costs a coroutine per call. Handlers just raise: domain errors
become their status by `libs.common.rpc.errors`, everything unforeseen an opaque incident.
"""

import asyncio
import contextlib
import hmac
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
from google.rpc import status_pb2

from libs.common import metrics
from libs.common.errors import Unauthenticated
from libs.common.rpc import limits
from libs.common.rpc.errors import STATUS_KEY, deadline_exceeded, not_implemented, status_of

REQUESTS = metrics.counter(
    "rpc_requests_total", "Calls answered, by status code.", ("service", "method", "code")
)
DURATION = metrics.histogram(
    "rpc_duration_seconds", "From a call's arrival to its answer.", ("service", "method")
)
IN_FLIGHT = metrics.gauge("rpc_in_flight_count", "Calls being worked on.", ("service",))

_OPEN_SERVICES: Final = frozenset(
    {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
)
_GENERATED: Final = "_pb2_grpc"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

Behavior = Callable[[Any, Any], Any]


def is_implemented(behavior: Behavior) -> bool:
    """Whether a handler is a service's own and not the generated base's, which only says "not implemented"."""
    return not getattr(behavior, "__module__", "").endswith(_GENERATED)


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every handler of a server."""

    def __init__(self, token: str) -> None:
        """`token` is asked of every call but health and reflection. Raises ValueError when it is empty."""
        if not token:
            raise ValueError("a server needs a token")
        self._authorization = f"Bearer {token}".encode()
        self._calls: dict[str, _Method] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler, guarded; calls of unknown methods pass and are refused by gRPC itself."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        rpc = str(handler_call_details.method)
        method = self._calls.get(rpc)
        if method is None:
            method = self._calls[rpc] = _Method(rpc, handler, self._authorization)
        return method.handler


class _Method:
    """One method of a server, with its metrics bound."""

    def __init__(self, rpc: str, handler: Any, authorization: bytes) -> None:
        service, _, name = rpc.removeprefix("/").rpartition("/")
        self._rpc = rpc.removeprefix("/")
        self._service = service
        self._name = name
        self._authorization = None if service in _OPEN_SERVICES else authorization
        self._duration = DURATION.labels(service, name)
        self._in_flight = IN_FLIGHT.labels(service)
        self.handler = self._wrap(handler)

    def _wrap(self, handler: Any) -> Any:
        codec = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._one(handler.unary_unary), *codec)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(self._one(handler.stream_unary), *codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._many(handler.unary_stream), *codec)
        return grpc.stream_stream_rpc_method_handler(self._many(handler.stream_stream), *codec)

    def _one(self, behavior: Behavior) -> Behavior:
        implemented = is_implemented(behavior)

        async def answer(request: Any, context: Any) -> Any:
            async with self._guard(context, implemented, limits.DEADLINE_DEFAULT_S):
                result = behavior(request, context)
                return await result if inspect.isawaitable(result) else result

        return answer

    def _many(self, behavior: Behavior) -> Behavior:
        implemented = is_implemented(behavior)

        async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._guard(context, implemented, limits.STREAM_DEADLINE_DEFAULT_S):
                async for message in behavior(request, context):
                    yield message

        return answer

    @contextlib.asynccontextmanager
    async def _guard(self, context: Any, implemented: bool, deadline_s: float) -> AsyncIterator[None]:
        began = time.perf_counter()
        self._in_flight.inc()
        code = grpc.StatusCode.CANCELLED
        try:
            self._authenticate(context)
            if not implemented:
                raise _StatusError(not_implemented(self._rpc))
            # A caller's own deadline is gRPC's business: it cancels the handler.
            limit_s = deadline_s if context.time_remaining() is None else None
            try:
                async with asyncio.timeout(limit_s) as limit:
                    yield
            except TimeoutError:
                if limit.expired():
                    raise _StatusError(deadline_exceeded(self._rpc)) from None
                raise
            code = grpc.StatusCode.OK
        except grpc.aio.AbortError:
            code = context.code() or grpc.StatusCode.UNKNOWN
            raise
        except Exception as error:  # noqa: BLE001 - the last resort: gRPC would send the exception's text
            status = error.status if isinstance(error, _StatusError) else status_of(error, self._rpc)
            code = _CODES[status.code]
            await _abort(context, status)
        finally:
            self._in_flight.dec()
            self._duration.observe(time.perf_counter() - began)
            REQUESTS.labels(self._service, self._name, code.name).inc()

    def _authenticate(self, context: Any) -> None:
        if self._authorization is None:
            return
        for key, value in context.invocation_metadata() or ():
            if key == "authorization" and hmac.compare_digest(_bytes(value), self._authorization):
                return
        raise Unauthenticated.token_invalid()


class _StatusError(Exception):
    """A status that is known already."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


async def _abort(context: Any, status: status_pb2.Status) -> None:
    await context.abort(_CODES[status.code], status.message, ((STATUS_KEY, status.SerializeToString()),))


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
