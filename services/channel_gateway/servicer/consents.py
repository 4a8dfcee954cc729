# ruff: noqa: N802 - the generated base names the methods
"""Consents, for segment, which knows the customers."""

from __future__ import annotations

from typing import Any

from libs.common.rpc.fields import FieldCheck
from omnijourney.internal.v1 import consents_service_pb2 as pb
from omnijourney.internal.v1 import consents_service_pb2_grpc as pb_grpc
from services.channel_gateway.convert import consents as convert
from services.channel_gateway.servicer.base import Dependencies


class ConsentsServicer(pb_grpc.ConsentsServiceServicer):
    """See `protos/omnijourney/internal/v1/consents_service.proto`."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` outlive the servicer."""
        self._deps = deps

    async def RecordConsent(self, request: pb.RecordConsentRequest, context: Any) -> pb.RecordConsentResponse:
        """Records what a customer wants."""
        check = FieldCheck()
        customer = convert.read_customer(check, request.customer)
        said = convert.read_statement(check, request)
        consent, before = await self._deps.consents.record(customer, said)
        return pb.RecordConsentResponse(
            consent=convert.consent_message(consent),
            before=None if before is None else convert.consent_message(before),
        )

    async def ReadConsents(self, request: pb.ReadConsentsRequest, context: Any) -> pb.ReadConsentsResponse:
        """What a customer wants."""
        check = FieldCheck()
        customer = convert.read_customer(check, request.customer)
        check.done()
        holding = await self._deps.consents.holding(customer)
        return pb.ReadConsentsResponse(consents=[convert.consent_message(each) for each in holding])

    async def ReadConsentChanges(
        self, request: pb.ReadConsentChangesRequest, context: Any
    ) -> pb.ReadConsentChangesResponse:
        """What changed, newest first."""
        check = FieldCheck()
        customer = convert.read_customer(check, request.customer)
        after = convert.read_place(check, request)
        most = check.whole("limit", request.limit, least=1, most=convert.CHANGES_MAX)
        check.done()
        changes = await self._deps.consents.changes(customer, after, most)
        return pb.ReadConsentChangesResponse(
            changes=[convert.change_message(each) for each in changes],
            change_ids=[str(each.change_id) for each in changes],
        )
