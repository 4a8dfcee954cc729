# ruff: noqa: N802 - the generated base names the methods
"""The services that anybody may call: few at once, small messages, and not for long. Health always answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2

from libs.common.errors import InvalidArgument
from libs.common.rpc import limits
from libs.common.rpc.admission import Metadata
from libs.common.rpc.calls import Tally
from libs.common.rpc.errors import StatusError, deadline_exceeded
from libs.common.rpc.reading import Form, Incoming, Undecodable
from libs.common.rpc.room import Places

_CHECK: Final = "grpc.health.v1.Health/Check"
_WATCH: Final = "grpc.health.v1.Health/Watch"
_State: Final = health_pb2.HealthCheckResponse
_PLACES: Final[dict[str, tuple[int, float]]] = {_CHECK: (4, 0.05), _WATCH: (64, 1.0)}
"""How many calls of an RPC there may be, and how many seconds each has for certain once others wait."""
_PLACES_DEFAULT: Final = (16, 1.0)


class OpenMethod:
    """One RPC of a service that is open to anybody: a stream to gRPC, as are those of clients."""

    def __init__(self, rpc: str, handler: Any) -> None:
        """`rpc` is `package.Service/Method`, `handler` what generated code made for it."""
        self._rpc = rpc
        self._tally = Tally(rpc)
        self._form = Form(rpc, handler.request_deserializer)
        size, patience_s = _PLACES.get(rpc, _PLACES_DEFAULT)
        self._places = Places(f"calls of {rpc}", size, patience_s)
        self._deadline_s = limits.STREAM_DEADLINE_DEFAULT_S if rpc == _WATCH else limits.OPEN_DEADLINE_S
        self._handler = self._wrapped(handler)

    def handler_for(self, _: Metadata) -> Any:
        """The handler, for everybody."""
        return self._handler

    def _wrapped(self, handler: Any) -> Any:
        whole = not handler.request_streaming
        if handler.response_streaming:
            answer = self._many(handler.unary_stream or handler.stream_stream, whole=whole)
            return grpc.stream_stream_rpc_method_handler(answer, None, handler.response_serializer)
        answer = self._one(handler.unary_unary or handler.stream_unary, whole=whole)
        return grpc.stream_unary_rpc_method_handler(answer, None, handler.response_serializer)

    def _one(self, behavior: Callable[..., Any], *, whole: bool) -> Callable[..., Any]:
        async def answer(_: Any, context: Any) -> Any:
            call = self._tally.begin()
            try:
                async with self._placed():
                    return await behavior(await self._request(context, whole=whole), context)
            except BaseException as error:
                await call.fail(context, error)
                raise
            finally:
                call.end()

        return answer

    def _many(self, behavior: Callable[..., Any], *, whole: bool) -> Callable[..., Any]:
        async def answer(_: Any, context: Any) -> AsyncIterator[Any]:
            call = self._tally.begin()
            try:
                async with self._placed():
                    async for message in behavior(await self._request(context, whole=whole), context):
                        yield message
            except BaseException as error:
                await call.fail(context, error)
                raise
            finally:
                call.end()

        return answer

    @contextlib.asynccontextmanager
    async def _placed(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._deadline_s) as limit, self._places.place():
                yield
        except TimeoutError:
            if limit.expired():
                raise StatusError(deadline_exceeded(self._rpc)) from None
            raise

    async def _request(self, context: Any, *, whole: bool) -> Any:
        incoming = Incoming(self._form, self._rpc, context)
        return _readable(await incoming.one()) if whole else self._parts(incoming)

    async def _parts(self, incoming: Incoming) -> AsyncIterator[Any]:
        async for request in incoming.parts():
            yield _readable(request)


def _readable(request: Any) -> Any:
    if isinstance(request, Undecodable):
        raise InvalidArgument("INVALID_FIELDS", f"the request cannot be read: {request.why}")
    return request


class Health(health.aio.HealthServicer):
    """As the library's, but for Watch: there one watcher that does not read what it is sent holds up all others and the
    end of the service."""

    def __init__(self) -> None:
        """The process serves; its services are unknown."""
        super().__init__()
        self._states: dict[str, Any] = {"": _State.SERVING}
        self._changed = asyncio.Event()

    async def Watch(  # type: ignore[override]  # the library's writes to the context
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The state of a service, and each other state as soon as it has it."""
        sent: Any = None
        while True:
            changed = self._changed
            state = self._states.get(request.service, _State.SERVICE_UNKNOWN)
            if state != sent:
                sent = state
                yield health_pb2.HealthCheckResponse(status=state)
            await changed.wait()

    async def set(self, service: str, status: Any) -> None:
        """Sets the state of a service."""
        await super().set(service, status)
        self._states[service] = status
        self._wake()

    async def enter_graceful_shutdown(self) -> None:
        """Nothing serves from now on."""
        await super().enter_graceful_shutdown()
        self._states = dict.fromkeys(self._states, _State.NOT_SERVING)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
