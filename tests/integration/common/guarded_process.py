"""A server as a process of its own, whose memory can be looked at: `python -m <this module>`.

It answers RecordEvents of segment, prints its port and ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Any

import uvloop

import services  # noqa: F401 - as services are: gRPC prints nothing of its own
from libs.common.callers import ALL_BUT_INTERNAL, Caller, StaticDirectory
from libs.common.process import GC_THRESHOLD
from libs.common.rpc.server import GrpcServer
from omnijourney.segment.v1 import segment_service_pb2, segment_service_pb2_grpc

TOKEN = "a-client"


class Segment(segment_service_pb2_grpc.SegmentServiceServicer):
    """Takes events and forgets them."""

    async def RecordEvents(self, request: Any, context: Any) -> Any:  # noqa: N802
        return segment_service_pb2.RecordEventsResponse()


async def _serve() -> None:
    client = Caller.of(uuid.UUID(int=1), "client", None, ALL_BUT_INTERNAL)
    server = GrpcServer(host="127.0.0.1", port=0, callers=StaticDirectory({TOKEN: client}))
    server.add(
        segment_service_pb2_grpc.add_SegmentServiceServicer_to_server,
        Segment(),  # type: ignore[abstract]  # a part of the service is enough
        segment_service_pb2.DESCRIPTOR.services_by_name["SegmentService"],
    )
    async with server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    import gc

    # As services do: what only the collector finds stays for long.
    gc.set_threshold(GC_THRESHOLD, 10, 10)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve())
