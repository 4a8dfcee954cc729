"""The gRPC edge: one file a noun, put together as one servicer."""

from __future__ import annotations

from omnijourney.stats.v1 import stats_service_pb2_grpc
from services.stats.servicer.base import Dependencies
from services.stats.servicer.exports import ExportRpcs
from services.stats.servicer.orders import OrderRpcs
from services.stats.servicer.projections import ProjectionRpcs
from services.stats.servicer.rebuilds import RebuildOperations, RebuildRpcs


class StatsServicer(
    ExportRpcs,
    OrderRpcs,
    ProjectionRpcs,
    RebuildRpcs,
    stats_service_pb2_grpc.StatsServiceServicer,
):
    """See `protos/omnijourney/stats/v1/stats_service.proto`."""


__all__ = ["Dependencies", "RebuildOperations", "StatsServicer"]
