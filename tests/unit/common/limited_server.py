"""A server with services that count what reaches them, and the clients that it lets in."""

import asyncio
import uuid
from typing import Any, Final

import grpc

from libs.common.callers import Caller, StaticDirectory, caller
from libs.common.rpc.server import GrpcServer
from omnijourney.common.v1 import installation_service_pb2, installation_service_pb2_grpc
from omnijourney.common.v1.scope_pb2 import SCOPE_INTERNAL, SCOPE_OPERATE, SCOPE_READ, SCOPE_WRITE
from omnijourney.points.v1 import points_service_pb2, points_service_pb2_grpc
from omnijourney.segment.v1 import segment_service_pb2, segment_service_pb2_grpc

TEAM: Final = uuid.UUID(int=7)


CLIENTS: Final = {
    "team": Caller.of(uuid.UUID(int=11), "team", TEAM, [SCOPE_READ, SCOPE_WRITE]),
    "reader": Caller.of(uuid.UUID(int=12), "reader", TEAM, [SCOPE_READ]),
    "operator": Caller.of(uuid.UUID(int=13), "operator", None, [SCOPE_OPERATE, SCOPE_WRITE]),
    "service": Caller.of(
        uuid.UUID(int=14), "service", None, [SCOPE_INTERNAL, SCOPE_READ, SCOPE_WRITE, SCOPE_OPERATE]
    ),
}


class Installation(installation_service_pb2_grpc.InstallationServiceServicer):
    """Answers the clock at once, and its lag when it is told to."""

    def __init__(self) -> None:
        self.entered = 0
        self.release = asyncio.Event()

    async def GetLag(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.entered += 1
        await self.release.wait()
        return installation_service_pb2.GetLagResponse()

    async def GetClock(self, request: Any, context: Any) -> Any:  # noqa: N802
        return installation_service_pb2.GetClockResponse(version=request.ByteSize())


class Segment(segment_service_pb2_grpc.SegmentServiceServicer):
    """Notes who calls."""

    def __init__(self) -> None:
        self.callers: list[str] = []

    async def GetCustomer(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.callers.append(caller().name)
        return segment_service_pb2.GetCustomerResponse()

    async def RecordEvents(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.callers.append(f"{caller().name} {len(request.events)}")
        return segment_service_pb2.RecordEventsResponse()


class Points(points_service_pb2_grpc.PointsServiceServicer):
    """Takes files."""

    async def UploadImportFile(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802
        async for _ in request_iterator:
            pass
        return points_service_pb2.UploadImportFileResponse()


class Served:
    """A server with the three."""

    def __init__(self, client_rate: float) -> None:
        self.installation = Installation()  # type: ignore[abstract]
        self.segment = Segment()  # type: ignore[abstract]
        points = Points()  # type: ignore[abstract]
        self.server = GrpcServer(
            host="127.0.0.1", port=0, callers=StaticDirectory(CLIENTS), client_rate=client_rate
        )
        self.server.add(
            installation_service_pb2_grpc.add_InstallationServiceServicer_to_server,
            self.installation,
            installation_service_pb2.DESCRIPTOR.services_by_name["InstallationService"],
        )
        self.server.add(
            segment_service_pb2_grpc.add_SegmentServiceServicer_to_server,
            self.segment,
            segment_service_pb2.DESCRIPTOR.services_by_name["SegmentService"],
        )
        self.server.add(
            points_service_pb2_grpc.add_PointsServiceServicer_to_server,
            points,
            points_service_pb2.DESCRIPTOR.services_by_name["PointsService"],
        )

    def channel(self) -> grpc.aio.Channel:
        """A connection of its own, which refuses nothing itself."""
        options = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.server.port}", options=options)
