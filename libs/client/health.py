"""Asks a service whether it serves."""

from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from libs.common.rpc.client import channel
from libs.common.tls import Tls

PROBE_TIMEOUT_S = 1.0


async def is_serving(target: str, timeout_s: float = PROBE_TIMEOUT_S, tls: Tls | None = None) -> bool:
    """Whether the server at `host:port` reports SERVING for itself as a whole. No token is needed."""
    async with channel(target, "", tls) as opened:
        stub: Any = health_pb2_grpc.HealthStub(opened)  # its methods are not in the types of the package
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=timeout_s)
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
