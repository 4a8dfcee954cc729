"""One RPC of a server: its handler as gRPC gets it, for each kind of caller.

Our own services' calls are handled as gRPC does it, with nothing between. Calls of clients are streams to gRPC,
whatever they are to the client: of a stream it receives what the handler asks for, when the handler asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc

from libs.common.callers import Caller, caller, set_caller
from libs.common.errors import DomainError, InvalidArgument, ResourceExhausted
from libs.common.rpc import counts, limits, validation
from libs.common.rpc.admission import Admission, Metadata
from libs.common.rpc.audited import NoteWrite, audited
from libs.common.rpc.calls import Tally
from libs.common.rpc.errors import StatusError, deadline_exceeded, not_implemented, status_of
from libs.common.rpc.reading import ClientIncoming, Form, Undecodable
from libs.common.rpc.room import Uses
from libs.common.rpc.teams import TeamCheck, Teams

Behavior = Callable[[Any, Any], Any]

_GENERATED: Final = "_pb2_grpc"


def is_implemented(behavior: Behavior) -> bool:
    """Whether a handler is a service's own and not the generated base's, which only says "not implemented"."""
    return not getattr(behavior, "__module__", "").endswith(_GENERATED)


class Method:
    """One RPC for those who are let in."""

    def __init__(
        self,
        rpc: str,
        handler: Any,
        admission: Admission,
        uses: Uses,
        *,
        teams: Teams | None,
        audit: NoteWrite | None,
    ) -> None:
        """`rpc` is `package.Service/Method`, `handler` what generated code made for it."""
        self._audit = audit
        self._rpc = rpc
        self._admission = admission
        self._uses = uses
        self._tally = Tally(rpc)
        self._form = Form(rpc, handler.request_deserializer)
        self._check = validation.check_of(rpc)
        self._count = counts.counting(rpc)
        self._teams = TeamCheck(rpc, teams)
        self._full = ResourceExhausted.overloaded("calls under way", 0.5)
        self._too_fast = ResourceExhausted.rate_limited(uses.client_rate)
        self._refusals: dict[DomainError, Any] = {}
        self._handler = self._for_services(handler)
        self._client_handler = self._for_clients(handler)

    def handler_for(self, metadata: Metadata) -> Any:
        """The handler of a call, or what refuses it without receiving its message. Sets the caller."""
        try:
            decided = self._admission.admit(metadata)
        except DomainError as error:
            return self._refusing(error)
        if isinstance(decided, Caller):
            set_caller(decided)
            if decided.is_internal:
                if self._uses.own_calls < limits.CALLS_MAX:
                    return self._handler
                decided = self._full
            else:
                refused = self._too_much(decided)
                if refused is None:
                    return self._client_handler
                decided = refused
        refusing = self._refusals.get(decided)
        if refusing is None:
            refusing = self._refusals[decided] = self._refusing(decided)
        return refusing

    def _too_much(self, client: Caller) -> DomainError | None:
        use = self._uses.of(client.client_id)
        if not use.bucket.take(time.monotonic()):
            return self._too_fast
        if use.calls >= limits.CLIENT_CALLS_MAX or self._uses.calls >= limits.CALLS_MAX:
            return self._full
        return None

    def _refusing(self, error: DomainError) -> Any:
        """A handler that ends a call by `error`. Of a stream gRPC receives what the handler asks for: nothing."""
        status = status_of(error, self._rpc)

        async def refuse(_: Any, context: Any) -> None:
            call = self._tally.begin()
            try:
                await call.refuse(context, status)
            finally:
                call.end()

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _for_services(self, handler: Any) -> Any:
        codec = (
            None if handler.request_deserializer is None else self._form.decode,
            handler.response_serializer,
        )
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(self._one(handler.unary_unary, self._whole), *codec)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(self._one(handler.stream_unary, self._parts), *codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(self._many(handler.unary_stream, self._whole), *codec)
        return grpc.stream_stream_rpc_method_handler(self._many(handler.stream_stream, self._parts), *codec)

    def _for_clients(self, handler: Any) -> Any:
        behavior = (
            handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream
        )
        if handler.response_streaming:
            answer = self._many_for_client(behavior, whole=not handler.request_streaming)
            return grpc.stream_stream_rpc_method_handler(answer, None, handler.response_serializer)
        answer = self._one_for_client(behavior, whole=not handler.request_streaming)
        return grpc.stream_unary_rpc_method_handler(answer, None, handler.response_serializer)

    def _whole(self, request: Any) -> Any:
        """The request, as the contract allows it. Raises InvalidArgument."""
        if isinstance(request, Undecodable):
            raise InvalidArgument("INVALID_FIELDS", f"the request cannot be read: {request.why}")
        if self._check is not None:
            self._check(request)
        return request

    async def _parts(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The parts of a request, each as the contract allows it. Raises InvalidArgument."""
        async for request in requests:
            yield self._whole(request)

    async def _whole_of_client(self, request: Any) -> Any:
        if self._count is not None and not isinstance(request, Undecodable):
            self._count(request)
        self._whole(request)
        if self._teams.is_needed:
            await self._teams.hold(request, caller())
        return request

    async def _parts_of_client(self, incoming: ClientIncoming) -> AsyncIterator[Any]:
        async for request in incoming.parts():
            yield await self._whole_of_client(request)

    def _one(self, behavior: Behavior, checked: Callable[[Any], Any]) -> Behavior:
        implemented, uses = is_implemented(behavior), self._uses
        behavior = audited(self._rpc, _awaited(behavior), self._audit)

        async def answer(request: Any, context: Any) -> Any:
            call = self._tally.begin()
            uses.own_calls += 1
            try:
                limit_s = self._limit_s(context, implemented, limits.DEADLINE_DEFAULT_S)
                request = checked(request)
                if limit_s is None:
                    return await behavior(request, context)
                async with self._limited(limit_s):
                    return await behavior(request, context)
            except BaseException as error:
                await call.fail(context, error)
                raise
            finally:
                request = None  # an error's frames would keep it
                uses.own_calls -= 1
                call.end()

        return answer

    def _many(self, behavior: Behavior, checked: Callable[[Any], Any]) -> Behavior:
        implemented, uses = is_implemented(behavior), self._uses

        async def answer(request: Any, context: Any) -> AsyncIterator[Any]:
            call = self._tally.begin()
            uses.own_calls += 1
            try:
                limit_s = self._limit_s(context, implemented, limits.STREAM_DEADLINE_DEFAULT_S)
                request = checked(request)
                async with self._limited(limit_s):
                    async for message in behavior(request, context):
                        yield message
            except BaseException as error:
                await call.fail(context, error)
                raise
            finally:
                request = None  # an error's frames would keep it
                uses.own_calls -= 1
                call.end()

        return answer

    def _one_for_client(self, behavior: Behavior, *, whole: bool) -> Behavior:
        implemented = is_implemented(behavior)
        behavior = audited(self._rpc, _awaited(behavior), self._audit)

        async def answer(_: Any, context: Any) -> Any:
            call = self._tally.begin()
            try:
                limit_s = self._limit_s(context, implemented, limits.DEADLINE_DEFAULT_S)
                with self._coming(context) as incoming:
                    if limit_s is None:
                        return await behavior(await self._request(incoming, whole=whole), context)
                    async with self._limited(limit_s):
                        return await behavior(await self._request(incoming, whole=whole), context)
            except BaseException as error:
                await call.fail(context, error)
                raise
            finally:
                call.end()

        return answer

    def _many_for_client(self, behavior: Behavior, *, whole: bool) -> Behavior:
        implemented = is_implemented(behavior)

        async def answer(_: Any, context: Any) -> AsyncIterator[Any]:
            call = self._tally.begin()
            try:
                limit_s = self._limit_s(context, implemented, limits.STREAM_DEADLINE_DEFAULT_S)
                with self._coming(context) as incoming:
                    async with self._limited(limit_s):
                        async for message in behavior(await self._request(incoming, whole=whole), context):
                            yield message
            except BaseException as error:
                await call.fail(context, error)
                raise
            finally:
                call.end()

        return answer

    async def _request(self, incoming: ClientIncoming, *, whole: bool) -> Any:
        if not whole:
            return self._parts_of_client(incoming)
        return await self._whole_of_client(await incoming.one())

    def _coming(self, context: Any) -> ClientIncoming:
        use = self._uses.of(caller().client_id)
        use.calls += 1
        self._uses.calls += 1

        def ended(_: Any) -> None:
            use.calls -= 1
            self._uses.calls -= 1

        # Not when the handler ends: the answer is held until the client has taken it.
        context.add_done_callback(ended)
        return ClientIncoming(self._form, self._rpc, self._uses, use, context)

    def _limit_s(self, context: Any, implemented: bool, deadline_s: float) -> float | None:
        """After how many seconds the call is to be ended. Raises what refuses a call that nothing answers."""
        if not implemented:
            raise StatusError(not_implemented(self._rpc))
        # A caller's own deadline is gRPC's business: it cancels the handler.
        return deadline_s if context.time_remaining() is None else None

    @contextlib.asynccontextmanager
    async def _limited(self, limit_s: float | None) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(limit_s) as limit:
                yield
        except TimeoutError:
            if limit.expired():
                raise StatusError(deadline_exceeded(self._rpc)) from None
            raise


def _awaited(behavior: Behavior) -> Behavior:
    """A handler as a coroutine function, which most are."""
    if inspect.iscoroutinefunction(behavior):
        return behavior

    async def answer(request: Any, context: Any) -> Any:
        result = behavior(request, context)
        return await result if inspect.isawaitable(result) else result

    return answer
