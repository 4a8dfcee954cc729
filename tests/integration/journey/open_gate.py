"""Segment as the gate asks it, where all that is named is there; to other calls it does not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from omnijourney.internal.v1 import customers_service_pb2, reference_pb2
from omnijourney.segment.v1 import attribute_pb2, team_pb2

_MODULES = [team_pb2.MODULE_JOURNEYS, team_pb2.MODULE_POINTS, team_pb2.MODULE_SOCIAL_CDP]


async def _traits(request: customers_service_pb2.CheckTraitsRequest, _: Any) -> Any:
    active, text = attribute_pb2.ATTRIBUTE_STATE_ACTIVE, attribute_pb2.ATTRIBUTE_TYPE_TEXT
    return customers_service_pb2.CheckTraitsResponse(
        settings=team_pb2.TeamSettings(team_id=request.team_id, modules=_MODULES),
        attributes=[
            attribute_pb2.Attribute(key=key, state=active, type=text) for key in request.attribute_keys
        ],
        audiences=[reference_pb2.AudienceFindings() for _ in request.audiences],
    )


async def _away(_: Any, context: Any) -> Any:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "away")


class _Handlers(grpc.GenericRpcHandler):
    """By the last part of a call's name."""

    def service(self, details: Any) -> Any:
        handler = grpc.unary_unary_rpc_method_handler
        if not details.method.endswith("/CheckTraits"):
            return handler(_away)
        asked, answer = customers_service_pb2.CheckTraitsRequest, customers_service_pb2.CheckTraitsResponse
        return handler(_traits, asked.FromString, answer.SerializeToString)


@asynccontextmanager
async def open_gate() -> AsyncIterator[str]:
    """Its address."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_Handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)
