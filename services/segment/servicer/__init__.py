"""The gRPC edge: check → use case → reply."""

from __future__ import annotations

from omnijourney.segment.v1 import segment_service_pb2_grpc
from services.segment.servicer.api_clients import ApiClientRpcs
from services.segment.servicer.attributes import AttributeRpcs
from services.segment.servicer.audience_changes import AudienceChangeRpcs
from services.segment.servicer.audience_uses import AudienceUseRpcs
from services.segment.servicer.audiences import AudienceRpcs
from services.segment.servicer.audit import AuditRpcs
from services.segment.servicer.base import Dependencies
from services.segment.servicer.conflicts import ConflictRpcs
from services.segment.servicer.consents import ConsentRpcs
from services.segment.servicer.contact_imports import ContactImportRpcs
from services.segment.servicer.customers import CustomerRpcs
from services.segment.servicer.erasures import ErasureRpcs
from services.segment.servicer.history import HistoryRpcs
from services.segment.servicer.identities import IdentityRpcs
from services.segment.servicer.merges import MergeRpcs
from services.segment.servicer.orders import OrderRpcs
from services.segment.servicer.retention import RetentionRpcs
from services.segment.servicer.teams import TeamRpcs


class SegmentServicer(
    TeamRpcs,
    ApiClientRpcs,
    AuditRpcs,
    ConflictRpcs,
    ConsentRpcs,
    ContactImportRpcs,
    CustomerRpcs,
    IdentityRpcs,
    MergeRpcs,
    AttributeRpcs,
    AudienceRpcs,
    AudienceChangeRpcs,
    AudienceUseRpcs,
    HistoryRpcs,
    OrderRpcs,
    RetentionRpcs,
    ErasureRpcs,
    segment_service_pb2_grpc.SegmentServiceServicer,
):
    """See `protos/omnijourney/segment/v1/segment_service.proto`."""


__all__ = ["Dependencies", "SegmentServicer"]
