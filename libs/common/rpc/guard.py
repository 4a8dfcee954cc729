"""What happens around every call: admission, validation, deadline, metrics, errors.

Who calls is decided from the metadata, before the message is received: who is not let in costs an answer and nothing
else. Handlers are wrapped once, when their servicer is added. They just raise: domain errors
become their status by `libs.common.rpc.errors`, everything unforeseen an opaque incident.
"""

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from libs.common import metrics
from libs.common.callers import CallerDirectory, set_caller
from libs.common.errors import DomainError, InvalidArgument
from libs.common.rpc import limits, validation
from libs.common.rpc.admission import OPEN_SERVICES, Admission, Metadata
from libs.common.rpc.errors import STATUS_KEY, deadline_exceeded, not_implemented, status_of

REQUESTS = metrics.counter(
    "rpc_requests_total", "Calls answered, by status code.", ("service", "method", "code")
)
DURATION = metrics.histogram(
    "rpc_duration_seconds", "From a call's arrival to its answer.", ("service", "method")
)
IN_FLIGHT = metrics.gauge("rpc_in_flight_count", "Calls being worked on.", ("service",))

_GENERATED: Final = "_pb2_grpc"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}

Behavior = Callable[[Any, Any], Any]


def is_implemented(behavior: Behavior) -> bool:
    """Whether a handler is a service's own and not the generated base's, which only says "not implemented"."""
    return not getattr(behavior, "__module__", "").endswith(_GENERATED)


class Guarded(grpc.GenericRpcHandler):
    """The handlers of one service, each wrapped once."""

    def __init__(self, handlers: grpc.GenericRpcHandler, callers: CallerDirectory) -> None:
        self._handlers = handlers
        self._callers = callers
        self._methods: dict[str, _Method] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler for this call, guarded; None for unknown methods, which gRPC itself refuses.

        gRPC asks in the task of the call, before it receives the message: the caller is set for what runs in it.
        """
        rpc = str(handler_call_details.method)
        method = self._methods.get(rpc)
        if method is None:
            handler = self._handlers.service(handler_call_details)
            if handler is None:
                return None
            method = self._methods[rpc] = _Method(rpc, handler, self._callers)
        return method.handler_for(handler_call_details.invocation_metadata)


class Guard:
    """A server as generated code sees it when it adds a servicer: every handler is wrapped on its way.

    An interceptor would do the same for a coroutine and a search for the handler at each call.
    """

    def __init__(self, server: grpc.aio.Server, callers: CallerDirectory) -> None:
        """`callers` are let in; health and reflection are open to anybody."""
        self._server = server
        self._callers = callers

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """What generated code calls."""
        guarded = [Guarded(handlers, self._callers) for handlers in generic_rpc_handlers]
        self._server.add_generic_rpc_handlers(guarded)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """What generated code calls besides, with the same handlers: a second way to them, which nobody needs."""


class _Method:
    """One method of a server, with its metrics bound."""

    def __init__(self, rpc: str, handler: Any, callers: CallerDirectory) -> None:
        service, _, name = rpc.removeprefix("/").rpartition("/")
        self.rpc = rpc.removeprefix("/")
        self._service = service
        self._name = name
        self._admission = None if service in OPEN_SERVICES else Admission(self.rpc, callers)
        self._duration = DURATION.labels(service, name)
        self._in_flight = IN_FLIGHT.labels(service)
        self._answered: dict[grpc.StatusCode, Any] = {}
        self._check = validation.check_of(self.rpc)
        self._handler = self._wrap(handler)
        self._refusals: dict[DomainError, Any] = {}

    def handler_for(self, metadata: Metadata) -> Any:
        """The handler of a call, or what refuses it without reading its message. Sets the caller."""
        if self._admission is None:
            return self._handler
        decided = self._admission.admit(metadata)
        if isinstance(decided, DomainError):
            return self._refusals.get(decided) or self._refusing(decided)
        set_caller(decided)
        return self._handler

    def _refusing(self, error: DomainError) -> Any:
        """A handler that ends a call by `error`, one of a few. Of a handler for streams gRPC reads what it asks for:
        nothing."""
        status = status_of(error, self.rpc)

        async def refuse(_: Any, context: Any) -> None:
            call = self._begin()
            try:
                await call.fail(context, _StatusError(status))
            finally:
                call.end()

        refusing = self._refusals[error] = grpc.stream_stream_rpc_method_handler(refuse)
        return refusing

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

    def note(self, code: grpc.StatusCode, took_s: float) -> None:
        """Counts a call that has ended."""
        self._in_flight.dec()
        self._duration.observe(took_s)
        answered = self._answered.get(code)
        if answered is None:
            answered = self._answered[code] = REQUESTS.labels(self._service, self._name, code.name)
        answered.inc()


class _Undecodable(NamedTuple):
    """Bytes that are no request: told as any other fault. gRPC would say UNKNOWN."""

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
