# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of enrolments and actors: what runs, what rests, what was set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.db.pool import Connection
from libs.common.db.requests import answer_once
from libs.common.ids import PARTITIONS
from libs.common.mailbox.mail import MailSource
from libs.common.paging import page_key, page_size, page_token
from libs.common.rpc.fields import FieldCheck
from omnijourney.journey.v1 import actor_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.journey.v1 import journey_service_pb2_grpc as pb_grpc
from services.journey.convert import enrolments as convert_runs
from services.journey.domain import model as d
from services.journey.domain.parked import Drop, ParkedRow
from services.journey.servicer.base import Dependencies
from services.journey.store.journeys import EnrolmentFilter
from services.journey.usecases import parked


class RunRpcs(pb_grpc.JourneyServiceServicer):
    """Enrolments, partitions, mailboxes, parked customers."""

    def __init__(self, dependencies: Dependencies) -> None:
        """What the composition root has built."""
        self._deps = dependencies

    # -- enrolments ---------------------------------------------------------------------------------------------

    async def GetEnrolment(self, request: pb.GetEnrolmentRequest, context: Any) -> pb.GetEnrolmentResponse:
        """Reads one enrolment."""
        stored = await self._deps.journeys.enrolment(*_enrolment_ids(request))
        return pb.GetEnrolmentResponse(enrolment=convert_runs.enrolment_message(stored))

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
        check.done()
        states = tuple(d.EnrolmentState(state) for state in request.states if state)
        size = page_size(request.page_size)
        arguments = ("enrolments", team_id, journey_id, customer_id, states)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        rows = await self._deps.journeys.enrolments(
            team_id, EnrolmentFilter(journey_id, customer_id, states), after, size + 1
        )
        token = ""
        if len(rows) > size:
            last = rows[size - 1].enrolment
            token = page_token((last.created_at, last.enrolment_id), *arguments)
        return pb.ListEnrolmentsResponse(
            enrolments=[convert_runs.enrolment_message(row) for row in rows[:size]], next_page_token=token
        )

    async def CountEnrolments(
        self, request: pb.CountEnrolmentsRequest, context: Any
    ) -> pb.CountEnrolmentsResponse:
        """Counts enrolments by state."""
        counts = await self._deps.journeys.count_enrolments(*_ids(request))
        state = d.EnrolmentState
        return pb.CountEnrolmentsResponse(
            live_count=counts.get(state.LIVE, 0),
            completed_count=counts.get(state.COMPLETED, 0),
            halted_count=counts.get(state.HALTED, 0),
            parked_count=counts.get(state.PARKED, 0),
        )

    async def ExplainEnrolment(
        self, request: pb.ExplainEnrolmentRequest, context: Any
    ) -> pb.ExplainEnrolmentResponse:
        """Tells what an enrolment did."""
        team_id, enrolment_id = _enrolment_ids(request)
        stored = await self._deps.journeys.enrolment(team_id, enrolment_id)
        run_segments = await self._deps.journeys.run_segments(team_id, enrolment_id)
        return pb.ExplainEnrolmentResponse(
            enrolment=convert_runs.enrolment_message(stored),
            steps=[
                convert_runs.step_message(step) for run_segment in run_segments for step in run_segment.steps
            ],
        )

    # -- operators ----------------------------------------------------------------------------------------------

    async def ListPartitions(
        self, request: pb.ListPartitionsRequest, context: Any
    ) -> pb.ListPartitionsResponse:
        """Lists partitions with owners and depths."""
        depths = await self._deps.mailbox.depths(range(PARTITIONS))
        leases = await self._deps.actors.leases()
        held = Counter(lease.owner for lease in leases.values())
        return pb.ListPartitionsResponse(
            partitions=[
                convert_runs.partition_message(partition, depths[partition], leases.get(partition))
                for partition in range(PARTITIONS)
            ],
            orphan_count=await self._deps.actors.count_orphans(),
            workers=[
                convert_runs.worker_message(worker, held[worker.worker_id])
                for worker in await self._deps.actors.workers()
            ],
        )

    async def DrainWorker(self, request: pb.DrainWorkerRequest, context: Any) -> pb.DrainWorkerResponse:
        """Has a worker hand back its partitions."""
        return pb.DrainWorkerResponse(released_partitions=await self._deps.actors.drain(_worker(request)))

    async def ResumeWorker(self, request: pb.ResumeWorkerRequest, context: Any) -> pb.ResumeWorkerResponse:
        """Lets a drained worker take partitions again."""
        await self._deps.actors.resume(_worker(request))
        return pb.ResumeWorkerResponse()

    async def PeekMailbox(self, request: pb.PeekMailboxRequest, context: Any) -> pb.PeekMailboxResponse:
        """Shows a customer's mail."""
        team_id, customer_id = _customer(request)
        entries = await self._deps.mailbox.peek(team_id, customer_id, page_size(request.page_size))
        mails = [convert_runs.mail_item(entry.mail) for entry in entries if entry.mail is not None]
        return pb.PeekMailboxResponse(mails=mails, total_count=len(entries))

    async def ListParkedCustomers(
        self, request: pb.ListParkedCustomersRequest, context: Any
    ) -> pb.ListParkedCustomersResponse:
        """Lists customers that were set aside, or shows one of them."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        check.done()
        if customer_id is not None:
            rows = await self._deps.parked.find(team_id, customer_id)
            return pb.ListParkedCustomersResponse(
                customers=await self._parked(team_id, rows, parked.SHOWN_ALONE)
            )
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "parked", team_id) or UUID(int=0)
        rows = await self._deps.parked.page(team_id, after, size + 1)
        token = page_token(rows[size - 1].customer_id, "parked", team_id) if len(rows) > size else ""
        return pb.ListParkedCustomersResponse(
            customers=await self._parked(team_id, rows[:size], parked.SHOWN_IN_LIST), next_page_token=token
        )

    async def _parked(
        self, team_id: UUID, rows: Sequence[ParkedRow], most: int
    ) -> list[actor_pb2.ParkedCustomer]:
        found = await self._deps.parked.mail_of(team_id, [row.customer_id for row in rows], most)
        return [convert_runs.parked_message(*each) for each in zip(rows, found, strict=True)]

    async def RetryParkedCustomer(
        self, request: pb.RetryParkedCustomerRequest, context: Any
    ) -> pb.RetryParkedCustomerResponse:
        """Tries a parked customer again: their mail is delivered anew from its sources."""
        team_id, customer_id = _customer(request)
        await self._deps.parked.retry(team_id, customer_id)
        self._deps.nudge()
        return pb.RetryParkedCustomerResponse()

    async def DropParkedMail(
        self, request: pb.DropParkedMailRequest, context: Any
    ) -> pb.DropParkedMailResponse:
        """Drops mail of a parked customer."""
        drop = _drop(request, context.peer())

        async def work(connection: Connection) -> pb.DropParkedMailResponse:
            waiting = await self._deps.parked.waiting_for(drop)
            dropped = await self._deps.parked.drop(connection, drop, waiting)
            return pb.DropParkedMailResponse(
                remaining_count=dropped.remaining,
                dropped_mails=map(convert_runs.mail_item, dropped.mails),
                halted_enrolment_ids=[str(run_segment.enrolment_id) for run_segment in dropped.halted],
            )

        answer = await answer_once(self._deps.pool, drop.team_id, request, pb.DropParkedMailResponse, work)
        self._deps.notifier.notify()
        return answer


def _drop(request: pb.DropParkedMailRequest, by: str) -> Drop:
    check = FieldCheck()
    source = next((s for s, name in convert_runs.SOURCE_NAMES.items() if name == request.source), None)
    if source is None:
        check.fault("source", f"must be one of {', '.join(convert_runs.SOURCE_NAMES.values())}")
    check.whole("through_number", request.through_number, least=1, most=2**62)
    team_id, customer_id = (
        check.uuid("team_id", request.team_id),
        check.uuid("customer_id", request.customer_id),
    )
    event_id = check.uuid("event_id", request.event_id)
    check.done()
    assert source is not None, "checked above"
    return Drop(team_id, customer_id, MailSource(source), request.through_number, event_id, by)


def _worker(request: Any) -> str:
    check = FieldCheck()
    if not request.worker_id:
        check.fault("worker_id", "is required")
    check.done()
    worker_id: str = request.worker_id
    return worker_id


def _enrolment_ids(request: Any) -> tuple[UUID, UUID]:
    check = FieldCheck()
    ids = check.uuid("team_id", request.team_id), check.uuid("enrolment_id", request.enrolment_id)
    check.done()
    return ids


def _ids(request: Any) -> tuple[UUID, UUID]:
    check = FieldCheck()
    ids = check.uuid("team_id", request.team_id), check.uuid("journey_id", request.journey_id)
    check.done()
    return ids


def _customer(request: Any) -> tuple[UUID, UUID]:
    check = FieldCheck()
    ids = check.uuid("team_id", request.team_id), check.uuid("customer_id", request.customer_id)
    check.done()
    return ids
