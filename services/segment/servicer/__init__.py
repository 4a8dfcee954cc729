"""The gRPC edge: check → command → reply. Imports and merges are not served yet and answer UNIMPLEMENTED."""

from __future__ import annotations

from omnijourney.segment.v1 import segment_service_pb2_grpc
from services.segment.servicer.attributes import AttributeCalls
from services.segment.servicer.audiences import AudienceCalls
from services.segment.servicer.base import Parts
from services.segment.servicer.history import HistoryCalls
from services.segment.servicer.identities import IdentityCalls
from services.segment.servicer.teams import TeamCalls


class SegmentServicer(
    TeamCalls,
    IdentityCalls,
    AttributeCalls,
    AudienceCalls,
    HistoryCalls,
    segment_service_pb2_grpc.SegmentServiceServicer,
):
    """See `protos/omnijourney/segment/v1/segment_service.proto`."""


__all__ = ["Parts", "SegmentServicer"]
