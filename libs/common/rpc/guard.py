"""What happens around every call: authentication, validation, deadline, metrics, errors.

Handlers are wrapped once, when their servicer is added. They just raise: domain errors
become their status by `libs.common.rpc.errors`, everything unforeseen an opaque incident.
"""

import asyncio
import contextlib
import hmac
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from libs.common import metrics
from libs.common.errors import InvalidArgument, Unauthenticated
from libs.common.rpc import limits, validation
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


class Guarded(grpc.GenericRpcHandler):
    """The handlers of one service, each wrapped once."""

    def __init__(self, handlers: grpc.GenericRpcHandler, authorization: bytes) -> None:
        self._handlers = handlers
        self._authorization = authorization
        self._methods: dict[str, _Method] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler, guarded; None for unknown methods, which gRPC itself refuses."""
        rpc = str(handler_call_details.method)
        method = self._methods.get(rpc)
        if method is None:
            handler = self._handlers.service(handler_call_details)
            if handler is None:
                return None
            method = self._methods[rpc] = _Method(rpc, handler, self._authorization)
        return method.handler


class Guard:
    """A server as generated code sees it when it adds a servicer: every handler is wrapped on its way.

    An interceptor would do the same for a coroutine and a search for the handler at each call.
    """

    def __init__(self, server: grpc.aio.Server, token: str) -> None:
        """`token` is asked of every call but health and reflection. Raises ValueError when it is empty."""
        if not token:
            raise ValueError("a server needs a token")
        self._server = server
        self._authorization = f"Bearer {token}".encode()

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """What generated code calls."""
        guarded = [Guarded(handlers, self._authorization) for handlers in generic_rpc_handlers]
        self._server.add_generic_rpc_handlers(guarded)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """What generated code calls besides, with the same handlers: a second way to them, which nobody needs."""


class _Method:
    """One method of a server, with its metrics bound."""

    def __init__(self, rpc: str, handler: Any, authorization: bytes) -> None:
        service, _, name = rpc.removeprefix("/").rpartition("/")
        self.rpc = rpc.removeprefix("/")
        self._service = service
        self._name = name
        self._authorization = None if service in _OPEN_SERVICES else authorization
        self._duration = DURATION.labels(service, name)
        self._in_flight = IN_FLIGHT.labels(service)
        self._answered: dict[grpc.StatusCode, Any] = {}
        self._check = validation.check_of(self.rpc)
        self.handler = self._wrap(handler)

    def _wrap(self, handler: Any) -> Any:
        codec = (_decoding(handler.request_deserializer), handler.response_serializer)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._one(handler.unary_unary), *codec)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(self._one(handler.stream_unary, self._parts), *codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._many(handler.unary_stream), *codec)
        return grpc.stream_stream_rpc_method_handler(self._many(handler.stream_stream, self._parts), *codec)

    def _whole(self, request: Any) -> Any:
        """The request, as the contract allows it. Raises InvalidArgument."""
        if isinstance(request, _Undecodable):
            raise InvalidArgument("INVALID_FIELDS", f"the request cannot be read: {request.why}")
        if self._check is not None:
            self._check(request)
        return request

    async def _parts(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The parts of a request, each as the contract allows it. Raises InvalidArgument."""
        async for request in requests:
            yield self._whole(request)

    def _one(self, behavior: Behavior, checked: Callable[[Any], Any] | None = None) -> Behavior:
        implemented, checked = is_implemented(behavior), checked or self._whole

        async def answer(request: Any, context: Any) -> Any:
            call = self._begin()
            try:
                limit_s = self._admit(context, implemented, limits.DEADLINE_DEFAULT_S)
                request = checked(request)
                if limit_s is None:
                    result = behavior(request, context)
                    return await result if inspect.isawaitable(result) else result
                async with self._limited(limit_s):
                    result = behavior(request, context)
                    return await result if inspect.isawaitable(result) else result
            except BaseException as error:
                await call.fail(context, error)
                raise
            finally:
                call.end()

        return answer

    def _many(self, behavior: Behavior, checked: Callable[[Any], Any] | None = None) -> Behavior:
        implemented, checked = is_implemented(behavior), checked or self._whole

        async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
            call = self._begin()
            try:
                limit_s = self._admit(context, implemented, limits.STREAM_DEADLINE_DEFAULT_S)
                request = checked(request)
                async with self._limited(limit_s):
                    async for message in behavior(request, context):
                        yield message
            except BaseException as error:
                await call.fail(context, error)
                raise
            finally:
                call.end()

        return answer

    def _begin(self) -> "_Call":
        self._in_flight.inc()
        return _Call(self)

    def _admit(self, context: Any, implemented: bool, deadline_s: float) -> float | None:
        """Lets a call in; returns after how many seconds it is to be ended. Raises what refuses it."""
        self._authenticate(context)
        if not implemented:
            raise _StatusError(not_implemented(self.rpc))
        # A caller's own deadline is gRPC's business: it cancels the handler.
        return deadline_s if context.time_remaining() is None else None

    @contextlib.asynccontextmanager
    async def _limited(self, limit_s: float | None) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(limit_s) as limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise _StatusError(deadline_exceeded(self.rpc)) from None
            raise

    def _authenticate(self, context: Any) -> None:
        if self._authorization is None:
            return
        for key, value in context.invocation_metadata() or ():
            if key == "authorization" and hmac.compare_digest(_bytes(value), self._authorization):
                return
        raise Unauthenticated.token_invalid()

    def note(self, code: grpc.StatusCode, took_s: float) -> None:
        """Counts a call that has ended."""
        self._in_flight.dec()
        self._duration.observe(took_s)
        answered = self._answered.get(code)
        if answered is None:
            answered = self._answered[code] = REQUESTS.labels(self._service, self._name, code.name)
        answered.inc()


class _Undecodable(NamedTuple):
    """Bytes that are no request: told as any other fault, after the caller is known. gRPC would say UNKNOWN."""

    why: str


def _decoding(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """None is gRPC's word for the bytes as they are."""
    if deserialize is None:
        return None

    def decode(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return _Undecodable(str(error))

    return decode


class _Call:
    """One call being answered."""

    __slots__ = ("_began", "_code", "_method")

    def __init__(self, method: _Method) -> None:
        self._method = method
        self._code = grpc.StatusCode.OK
        self._began = time.perf_counter()

    async def fail(self, context: Any, error: BaseException) -> None:
        """Notes how the call failed; whatever is no status yet becomes one, as which it is raised."""
        self._code = grpc.StatusCode.CANCELLED
        if isinstance(error, grpc.aio.AbortError):
            self._code = context.code() or grpc.StatusCode.UNKNOWN
        elif isinstance(error, Exception):  # the last resort: gRPC would send the exception's text
            status = error.status if isinstance(error, _StatusError) else status_of(error, self._method.rpc)
            self._code = _CODES[status.code]
            await _abort(context, status)

    def end(self) -> None:
        """Counts the call."""
        self._method.note(self._code, time.perf_counter() - self._began)


class _StatusError(Exception):
    """A status that is known already."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


async def _abort(context: Any, status: status_pb2.Status) -> None:
    await context.abort(_CODES[status.code], status.message, ((STATUS_KEY, status.SerializeToString()),))


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
