"""The gateway as far as stops and the gate are concerned, over gRPC: it acknowledges, is away, or does not answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from omnijourney.internal.v1 import reference_pb2
from omnijourney.internal.v1 import sends_service_pb2 as pb
from omnijourney.internal.v1 import sends_service_pb2_grpc as pb_grpc


class BrakeServer(pb_grpc.SendsServiceServicer):
    """Notes who was to be stopped, and what was acknowledged."""

    def __init__(self) -> None:
        self.away = False
        self.hanging: set[str] = set()
        self.asked: list[tuple[str, int]] = []
        self.acknowledged: list[tuple[str, int]] = []
        self.port = 0

    async def StopSends(self, request: pb.StopSendsRequest, context: Any) -> pb.StopSendsResponse:  # noqa: N802
        """See the contract."""
        stop = (request.journey_id, request.epoch)
        self.asked.append(stop)
        if request.journey_id in self.hanging:
            await asyncio.Event().wait()
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.acknowledged.append(stop)
        return pb.StopSendsResponse()

    async def CheckMessages(  # noqa: N802
        self, request: pb.CheckMessagesRequest, context: Any
    ) -> pb.CheckMessagesResponse:
        """See the contract. Everything is there."""
        return pb.CheckMessagesResponse(
            accounts=[reference_pb2.AccountFindings() for _ in request.accounts],
            messages=[reference_pb2.MessageFindings() for _ in request.messages],
        )


@contextlib.asynccontextmanager
async def brake_server() -> AsyncIterator[BrakeServer]:
    """Serving, at a port of its own."""
    gateway = BrakeServer()  # type: ignore[abstract]  # what is missing answers UNIMPLEMENTED
    server = grpc.aio.server()
    pb_grpc.add_SendsServiceServicer_to_server(gateway, server)
    gateway.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield gateway
    finally:
        await server.stop(None)
