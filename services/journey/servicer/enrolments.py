# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of enrolments: where customers are, and what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.paging import page_key, page_of, page_size, page_token
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.servicing import ids_of
from omnijourney.journey.v1 import journey_service_pb2 as pb
from services.journey.convert import enrolments as convert
from services.journey.convert.explain import explanation_message
from services.journey.convert.faults import fault_messages
from services.journey.domain.enrolment import EnrolmentState, WaitReason
from services.journey.domain.views import EnrolmentFilter, StoredEnrolment
from services.journey.servicer.base import BaseRpcs
from services.journey.usecases.write import Call


class EnrolmentRpcs(BaseRpcs):
    """Enrolments."""

    async def GetEnrolment(self, request: pb.GetEnrolmentRequest, context: Any) -> pb.GetEnrolmentResponse:
        """Reads one enrolment."""
        stored = await self._deps.enrolments.get(
            *ids_of(request.team_id, "enrolment_id", request.enrolment_id)
        )
        return pb.GetEnrolmentResponse(enrolment=convert.enrolment_message(stored))

    async def ListEnrolments(
        self, request: pb.ListEnrolmentsRequest, context: Any
    ) -> pb.ListEnrolmentsResponse:
        """Lists enrolments of a journey, a customer or both."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.optional_uuid("journey_id", request.journey_id)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        if journey_id is None and customer_id is None:
            check.fault("journey_id", "is required, or customer_id")
        others = customer_id or request.node_id or request.wait_reason
        if request.visited_node_id and (journey_id is None or others):
            check.fault("visited_node_id", "goes with journey_id and states alone")
        check.done()
        if request.visited_node_id:
            assert journey_id is not None
            return await self._visitors(request, team_id, journey_id)
        wanted = EnrolmentFilter(
            journey_id,
            customer_id,
            tuple(EnrolmentState(state) for state in request.states if state),
            request.node_id,
            WaitReason(request.wait_reason),
        )
        size = page_size(request.page_size)
        arguments = ("enrolments", team_id, *wanted)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        rows = await self._deps.enrolments.page(team_id, wanted, after, size + 1)
        page = page_of(
            rows, size, lambda row: (row.enrolment.created_at, row.enrolment.enrolment_id), *arguments
        )
        return pb.ListEnrolmentsResponse(
            enrolments=map(convert.enrolment_message, page.rows), next_page_token=page.next_token
        )

    async def _visitors(
        self, request: pb.ListEnrolmentsRequest, team_id: UUID, journey_id: UUID
    ) -> pb.ListEnrolmentsResponse:
        """Those that were at a node."""
        states = tuple(EnrolmentState(state) for state in request.states if state)
        arguments = ("visitors", team_id, journey_id, request.visited_node_id, states)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        page = await self._deps.visits.page(
            team_id,
            journey_id,
            request.visited_node_id,
            states,
            after=after,
            size=page_size(request.page_size),
        )
        return pb.ListEnrolmentsResponse(
            enrolments=map(convert.visitor_message, page.visitors),
            next_page_token=page_token(page.after, *arguments) if page.after else "",
        )

    async def CountEnrolments(
        self, request: pb.CountEnrolmentsRequest, context: Any
    ) -> pb.CountEnrolmentsResponse:
        """Counts enrolments by state."""
        counts = await self._deps.enrolments.count(*ids_of(request.team_id, "journey_id", request.journey_id))
        state = EnrolmentState
        return pb.CountEnrolmentsResponse(
            live_count=counts.get(state.LIVE, 0),
            completed_count=counts.get(state.COMPLETED, 0),
            halted_count=counts.get(state.HALTED, 0),
            parked_count=counts.get(state.PARKED, 0),
            converted_count=counts.get(state.CONVERTED, 0),
        )

    async def CountWaits(self, request: pb.CountWaitsRequest, context: Any) -> pb.CountWaitsResponse:
        """Counts live enrolments by node and by what they wait for."""
        team_id, journey_id = ids_of(request.team_id, "journey_id", request.journey_id)
        await self._deps.journeys.get_deleted_too(team_id, journey_id)
        waits = await self._deps.standing.waits(team_id, journey_id)
        return pb.CountWaitsResponse(waits=map(convert.wait_message, waits))

    async def EndEnrolment(self, request: pb.EndEnrolmentRequest, context: Any) -> pb.EndEnrolmentResponse:
        """Ends one enrolment where it stands."""
        team_id, enrolment_id = ids_of(request.team_id, "enrolment_id", request.enrolment_id)
        call = Call(team_id, request, pb.EndEnrolmentResponse, _ended_message)
        return await self._deps.ended_enrolments.end(call, enrolment_id, request.note)

    async def ExplainEnrolment(
        self, request: pb.ExplainEnrolmentRequest, context: Any
    ) -> pb.ExplainEnrolmentResponse:
        """Shows what an enrolment did, step by step."""
        team_id, enrolment_id = ids_of(request.team_id, "enrolment_id", request.enrolment_id)
        stored = await self._deps.enrolments.get(team_id, enrolment_id)
        steps = await self._deps.enrolments.steps(stored)
        faults = await self._deps.explanations.message_faults(team_id, stored.enrolment.journey_id, steps)
        return pb.ExplainEnrolmentResponse(
            enrolment=convert.enrolment_message(stored),
            steps=map(convert.step_message, steps),
            trigger_data=await self._deps.mail.data_of(stored.enrolment),
            message_faults=fault_messages(faults),
        )

    async def ExplainCustomer(
        self, request: pb.ExplainCustomerRequest, context: Any
    ) -> pb.ExplainCustomerResponse:
        """Tells what events of a customer led to at a journey, newest first, or what one event did."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.uuid("journey_id", request.journey_id)
        customer_id = check.uuid("customer_id", request.customer_id)
        event_id = check.optional_uuid("event_id", request.event_id)
        check.done()
        size = page_size(request.page_size)
        arguments = ("explanations", team_id, journey_id, customer_id, event_id)
        before = page_key(request.page_token, int, *arguments) or 0
        if event_id is not None:
            found = await self._deps.explanations.event(team_id, journey_id, customer_id, event_id)
            return pb.ExplainCustomerResponse(entries=map(explanation_message, found))
        page = await self._deps.explanations.page(team_id, journey_id, customer_id, before=before, size=size)
        return pb.ExplainCustomerResponse(
            entries=map(explanation_message, page.explained),
            next_page_token=page_token(page.before, *arguments) if page.before else "",
        )


def _ended_message(stored: StoredEnrolment) -> pb.EndEnrolmentResponse:
    return pb.EndEnrolmentResponse(enrolment=convert.enrolment_message(stored))
