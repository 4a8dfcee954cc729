"""What stands before every call of a server.

Who calls is decided from the metadata, before the message is received: who is not let in costs an answer and nothing
else. Handlers are wrapped once, when their servicer is added. They just raise: domain errors become their status by
`libs.common.rpc.errors`, everything unforeseen an opaque incident.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from libs.common.callers import CallerDirectory
from libs.common.rpc import limits
from libs.common.rpc.admission import OPEN_SERVICES, Admission
from libs.common.rpc.audited import NoteWrite
from libs.common.rpc.method import Method
from libs.common.rpc.open_services import OpenMethod
from libs.common.rpc.room import Uses
from libs.common.rpc.teams import Teams


class Guard:
    """A server as generated code sees it when it adds a servicer: every handler is wrapped on its way.

    An interceptor would do the same for a coroutine and a search for the handler at each call.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        callers: CallerDirectory,
        teams: Teams | None = None,
        client_rate: float = limits.CLIENT_RATE_DEFAULT,
        *,
        audit: NoteWrite | None = None,
    ) -> None:
        """`callers` are let in, clients among them to `teams` that are there and `client_rate` times a second; health
        and reflection are open to anybody. `audit` writes down what clients change."""
        self._audit = audit
        self._server = server
        self._callers = callers
        self._teams = teams
        self._uses = Uses(client_rate)
        self._guarded: list[_Guarded] = []

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """What generated code calls."""
        guarded = [_Guarded(handlers, self) for handlers in generic_rpc_handlers]
        self._guarded += guarded
        self._server.add_generic_rpc_handlers(guarded)

    def find(self, details: grpc.HandlerCallDetails) -> Any:
        """The handler of a call that comes from within the process (`libs.common.rpc.local.Handlers`)."""
        for handlers in self._guarded:
            handler = handlers.service(details)
            if handler is not None:
                return handler
        return None

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """What generated code calls besides, with the same handlers: a second way to them, which nobody needs."""

    def method(self, rpc: str, handler: Any) -> Method | OpenMethod:
        """An RPC, guarded."""
        if rpc.rpartition("/")[0] in OPEN_SERVICES:
            return OpenMethod(rpc, handler)
        admission = Admission(rpc, self._callers)
        return Method(rpc, handler, admission, self._uses, teams=self._teams, audit=self._audit)


class _Guarded(grpc.GenericRpcHandler):
    """The handlers of one service, each wrapped once."""

    def __init__(self, handlers: grpc.GenericRpcHandler, guard: Guard) -> None:
        self._handlers = handlers
        self._guard = guard
        self._methods: dict[str, Method | OpenMethod] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """The handler for this call; None for unknown methods, which gRPC itself refuses.

        gRPC asks in the task of the call, before it receives the message: the caller is set for what runs in it.
        """
        path = str(handler_call_details.method)
        method = self._methods.get(path)
        if method is None:
            handler = self._handlers.service(handler_call_details)
            if handler is None:
                return None
            method = self._methods[path] = self._guard.method(path.removeprefix("/"), handler)
        return method.handler_for(handler_call_details.invocation_metadata)
