# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of parked customers: shown with their mail, tried again, mail dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from libs.common.mailbox.mail import MailSource
from libs.common.paging import page_key, page_of, page_size
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of
from omnijourney.journey.v1 import actor_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert import actors as convert
from services.journey.domain.parked import Drop, Dropped, ParkedRow
from services.journey.servicer.base import BaseRpcs
from services.journey.usecases import parked
from services.journey.usecases.write import Call


class ParkedRpcs(BaseRpcs):
    """Customers that were set aside after repeated faults."""

    async def ListParkedCustomers(
        self, request: pb.ListParkedCustomersRequest, context: Any
    ) -> pb.ListParkedCustomersResponse:
        """Lists customers that were set aside, or shows one of them."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        check.done()
        after = page_key(request.page_token, UUID, "parked", team_id, customer_id) or UUID(int=0)
        if customer_id is not None:
            rows = await self._deps.parked.find(team_id, customer_id)
            return pb.ListParkedCustomersResponse(
                customers=await self._parked(team_id, rows, parked.SHOWN_ALONE)
            )
        size = page_size(request.page_size)
        rows = await self._deps.parked.page(team_id, after, size + 1)
        page = page_of(rows, size, lambda row: row.customer_id, "parked", team_id, customer_id)
        return pb.ListParkedCustomersResponse(
            customers=await self._parked(team_id, page.rows, parked.SHOWN_IN_LIST),
            next_page_token=page.next_token,
        )

    async def _parked(
        self, team_id: UUID, rows: Sequence[ParkedRow], most: int
    ) -> list[actor_pb2.ParkedCustomer]:
        found = await self._deps.parked.mail_of(team_id, [row.customer_id for row in rows], most)
        return [convert.parked_message(*each) for each in zip(rows, found, strict=True)]

    async def RetryParkedCustomer(
        self, request: pb.RetryParkedCustomerRequest, context: Any
    ) -> pb.RetryParkedCustomerResponse:
        """Tries a parked customer again: their mail is delivered once more from its sources."""
        team_id, customer_id = ids_of(request.team_id, "customer_id", request.customer_id)
        form = pb.RetryParkedCustomerResponse
        call: Call[None, pb.RetryParkedCustomerResponse] = Call(team_id, request, form, lambda _: form())
        return await self._deps.parked.retry(call, customer_id)

    async def DropParkedMail(
        self, request: pb.DropParkedMailRequest, context: Any
    ) -> pb.DropParkedMailResponse:
        """Drops mail of a parked customer."""
        drop = _drop(request, context.peer())
        call = Call(drop.team_id, request, pb.DropParkedMailResponse, _dropped_message)
        return await self._deps.parked.drop(call, drop)


def _drop(request: pb.DropParkedMailRequest, by: str) -> Drop:
    check = FieldCheck()
    if not request.source:
        check.fault("source", "is required")
    check.whole("through_number", request.through_number, least=1, most=2**62)
    team_id, customer_id = (
        check.uuid("team_id", request.team_id),
        check.uuid("customer_id", request.customer_id),
    )
    event_id = check.uuid("event_id", request.event_id)
    check.done()
    return Drop(team_id, customer_id, MailSource(request.source), request.through_number, event_id, by)


def _dropped_message(dropped: Dropped) -> pb.DropParkedMailResponse:
    return pb.DropParkedMailResponse(
        remaining_count=dropped.remaining,
        dropped_mails=map(convert.mail_item, dropped.mails),
        halted_enrolment_ids=[str(segment.enrolment_id) for segment in dropped.halted],
    )
