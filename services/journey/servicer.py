# ruff: noqa: N802 - the generated base names the methods
"""The gRPC edge of the journey service: check, command, reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from libs.common.clock import Clock
from libs.common.db.history import HistoryBell, long_poll
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.ids import PARTITIONS
from libs.common.mailbox.api import Mailbox
from libs.common.mailbox.mail import encode
from libs.common.mailbox.relay import MailRelay
from libs.common.paging import page_key, page_size, page_token
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.values import seconds_of, timestamp
from omnijourney.common.v1 import history_pb2
from omnijourney.journey.v1 import actor_pb2, journey_pb2
from omnijourney.journey.v1 import journey_service_pb2 as pb
from omnijourney.journey.v1 import journey_service_pb2_grpc as pb_grpc
from services.journey import convert, convert_runs
from services.journey.actors import ActorStore
from services.journey.domain import model as d
from services.journey.lifecycle import Call, Lifecycle
from services.journey.mail_store import JourneyMailStore, SystemTriggerRow
from services.journey.store import TRIGGER_TYPES, EnrolmentFilter, JourneyFilter, JourneyStore

TRIGGERS_MAX: Final = 500
MAIL_PAGE_MAX: Final = 5_000
REVISION_AFTER_ALL: Final = 2**62

Reply = TypeVar("Reply", bound=Message)
Keyset = tuple[datetime, UUID]


class JourneyServicer(pb_grpc.JourneyServiceServicer):
    """See `protos/omnijourney/journey/v1/journey_service.proto`."""

    def __init__(
        self,
        *,
        lifecycle: Lifecycle,
        journeys: JourneyStore,
        actors: ActorStore,
        mail: JourneyMailStore,
        relay: MailRelay,
        mailbox: Mailbox,
        clock: Clock,
        bell: HistoryBell,
        draining: asyncio.Event,
        nudge: Callable[[], None],
    ) -> None:
        """`bell` rings when history was written; `draining` ends waiting reads; `nudge` wakes the worker."""
        self._lifecycle = lifecycle
        self._journeys = journeys
        self._actors = actors
        self._mail = mail
        self._relay = relay
        self._mailbox = mailbox
        self._clock = clock
        self._bell = bell
        self._draining = draining
        self._nudge = nudge

    # -- journeys -----------------------------------------------------------------------------------------------

    async def CreateJourney(self, request: pb.CreateJourneyRequest, context: Any) -> pb.CreateJourneyResponse:
        """Saves a draft."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        definition = convert.definition_from(request.definition, check)
        check.done()
        return await self._lifecycle.create(_call(team_id, request, pb.CreateJourneyResponse), definition)

    async def GetJourney(self, request: pb.GetJourneyRequest, context: Any) -> pb.GetJourneyResponse:
        """Reads one journey."""
        team_id, journey_id = _ids(request)
        journey = await self._journeys.get(team_id, journey_id)
        return pb.GetJourneyResponse(journey=convert.journey_message(journey, request.language_code))

    async def ListJourneys(self, request: pb.ListJourneysRequest, context: Any) -> pb.ListJourneysResponse:
        """Lists journeys, newest first."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        if request.trigger_type and request.trigger_type not in TRIGGER_TYPES.values():
            check.fault("trigger_type", f"must be one of {', '.join(TRIGGER_TYPES.values())}, or empty")
        check.done()
        wanted = JourneyFilter(
            tuple(d.JourneyStatus(status) for status in request.statuses if status),
            request.trigger_type,
            request.name_contains,
        )
        size = page_size(request.page_size)
        arguments = ("journeys", team_id, *wanted)
        after = page_key(request.page_token, tuple[datetime, UUID], *arguments)
        rows = await self._journeys.list_journeys(team_id, wanted, after, size + 1)
        token = ""
        if len(rows) > size:
            token = page_token((rows[size - 1].created_at, rows[size - 1].journey_id), *arguments)
        return pb.ListJourneysResponse(
            journeys=[convert.journey_message(journey, request.language_code) for journey in rows[:size]],
            next_page_token=token,
        )

    async def UpdateJourney(self, request: pb.UpdateJourneyRequest, context: Any) -> pb.UpdateJourneyResponse:
        """Edits as far as the status allows."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        journey_id = check.uuid("journey_id", request.journey_id)
        for path in request.update_mask.paths:
            if path not in journey_pb2.Definition.DESCRIPTOR.fields_by_name:
                check.fault("update_mask", f"{path!r} is no field of a definition")
        check.done()

        def edit(present: d.Definition) -> d.Definition:
            return _edited(present, request)

        call = _call(team_id, request, pb.UpdateJourneyResponse)
        return await self._lifecycle.update(call, journey_id, request.etag, edit)

    async def PublishJourney(
        self, request: pb.PublishJourneyRequest, context: Any
    ) -> pb.PublishJourneyResponse:
        """Makes a draft live."""
        team_id, journey_id = _ids(request)
        call = _call(team_id, request, pb.PublishJourneyResponse)
        return await self._lifecycle.publish(call, journey_id, request.etag)

    async def CloseTrigger(self, request: pb.CloseTriggerRequest, context: Any) -> pb.CloseTriggerResponse:
        """Lets nobody enter any more."""
        team_id, journey_id = _ids(request)
        call = _call(team_id, request, pb.CloseTriggerResponse)
        return await self._lifecycle.close_trigger(call, journey_id, request.etag)

    async def StopJourney(self, request: pb.StopJourneyRequest, context: Any) -> pb.StopJourneyResponse:
        """Stops a journey."""
        team_id, journey_id = _ids(request)
        call = _call(team_id, request, pb.StopJourneyResponse)
        return await self._lifecycle.stop(call, journey_id, request.etag)

    async def CopyJourney(self, request: pb.CopyJourneyRequest, context: Any) -> pb.CopyJourneyResponse:
        """Makes a draft with the same tree."""
        team_id, journey_id = _ids(request)
        call = _call(team_id, request, pb.CopyJourneyResponse)
        return await self._lifecycle.copy(call, journey_id, request.name)

    async def DeleteJourney(self, request: pb.DeleteJourneyRequest, context: Any) -> pb.DeleteJourneyResponse:
        """Removes a journey from lists."""
        team_id, journey_id = _ids(request)
        form = pb.DeleteJourneyResponse
        call = Call(team_id, request, form, lambda _: form())
        return await self._lifecycle.delete(call, journey_id, request.etag)

    async def ListRevisions(self, request: pb.ListRevisionsRequest, context: Any) -> pb.ListRevisionsResponse:
        """Lists revisions, newest first."""
        team_id, journey_id = _ids(request)
        await self._journeys.get(team_id, journey_id)
        size = page_size(request.page_size)
        arguments = ("revisions", team_id, journey_id)
        before = page_key(request.page_token, int, *arguments) or REVISION_AFTER_ALL
        rows = await self._journeys.revisions(team_id, journey_id, before, size + 1)
        return pb.ListRevisionsResponse(
            revisions=[
                journey_pb2.Revision(
                    revision=number,
                    definition=convert.definition_message(definition),
                    actor=actor,
                    create_time=timestamp(at),
                )
                for number, definition, actor, at in rows[:size]
            ],
            next_page_token=page_token(rows[size - 1][0], *arguments) if len(rows) > size else "",
        )

    # -- triggers -----------------------------------------------------------------------------------------------

    async def TriggerJourneys(
        self, request: pb.TriggerJourneysRequest, context: Any
    ) -> pb.TriggerJourneysResponse:
        """Mails system triggers to the customers' actors."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.count("items", request.items, least=1, most=TRIGGERS_MAX)
        triggers = [
            SystemTriggerRow(
                check.uuid(f"items[{i}].customer_id", item.customer_id),
                check.uuid(f"items[{i}].journey_id", item.journey_id),
                check.uuid(f"items[{i}].request_id", item.request_id),
            )
            for i, item in enumerate(request.items)
        ]
        check.done()
        now = self._clock.now()
        reasons = await self._actors.trigger_faults(
            team_id, {trigger.journey_id for trigger in triggers}, now
        )
        accepted = [trigger for trigger in triggers if not reasons[trigger.journey_id]]
        if accepted:
            self._relay.submit(await self._mail.append(team_id, accepted, now))
        return pb.TriggerJourneysResponse(
            results=[
                pb.SystemTriggerResult(
                    accepted=not reasons[trigger.journey_id], reason=reasons[trigger.journey_id]
                )
                for trigger in triggers
            ]
        )

    # -- enrolments ---------------------------------------------------------------------------------------------

    async def GetEnrolment(self, request: pb.GetEnrolmentRequest, context: Any) -> pb.GetEnrolmentResponse:
        """Reads one enrolment."""
        stored = await self._journeys.enrolment(*_enrolment_ids(request))
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
        rows = await self._journeys.enrolments(
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
        counts = await self._journeys.count_enrolments(*_ids(request))
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
        stored = await self._journeys.enrolment(team_id, enrolment_id)
        bursts = await self._journeys.bursts(team_id, enrolment_id)
        return pb.ExplainEnrolmentResponse(
            enrolment=convert_runs.enrolment_message(stored),
            steps=[convert_runs.step_message(step) for burst in bursts for step in burst.steps],
        )

    # -- operators ----------------------------------------------------------------------------------------------

    async def ListPartitions(
        self, request: pb.ListPartitionsRequest, context: Any
    ) -> pb.ListPartitionsResponse:
        """Lists partitions with owners and depths."""
        depths = await self._mailbox.depths(range(PARTITIONS))
        leases = await self._actors.leases()
        partitions = []
        for partition in range(PARTITIONS):
            message = actor_pb2.Partition(
                partition=partition,
                ready_customers=depths[partition].ready,
                taken_customers=depths[partition].taken,
            )
            lease = leases.get(partition)
            if lease is not None:
                message.worker_id = lease.owner
                message.epoch = lease.epoch
                message.lease_expire_time.CopyFrom(timestamp(lease.expires_at))
            partitions.append(message)
        return pb.ListPartitionsResponse(
            partitions=partitions, orphan_count=await self._actors.count_orphans()
        )

    async def PeekMailbox(self, request: pb.PeekMailboxRequest, context: Any) -> pb.PeekMailboxResponse:
        """Shows a customer's mail."""
        team_id, customer_id = _customer(request)
        entries = await self._mailbox.peek(team_id, customer_id, page_size(request.page_size))
        mails = [convert_runs.mail_item(entry.mail) for entry in entries if entry.mail is not None]
        return pb.PeekMailboxResponse(mails=mails, total_count=len(entries))

    async def ListParkedCustomers(
        self, request: pb.ListParkedCustomersRequest, context: Any
    ) -> pb.ListParkedCustomersResponse:
        """Lists customers that were set aside."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id)
        check.done()
        size = page_size(request.page_size)
        after = page_key(request.page_token, UUID, "parked", team_id) or UUID(int=0)
        rows = await self._actors.parked(team_id, after, size + 1)
        return pb.ListParkedCustomersResponse(
            customers=[
                actor_pb2.ParkedCustomer(
                    customer_id=str(row.customer_id),
                    error=row.error,
                    attempts=row.attempts,
                    park_time=timestamp(row.parked_at),
                )
                for row in rows[:size]
            ],
            next_page_token=page_token(rows[size - 1].customer_id, "parked", team_id)
            if len(rows) > size
            else "",
        )

    async def RetryParkedCustomer(
        self, request: pb.RetryParkedCustomerRequest, context: Any
    ) -> pb.RetryParkedCustomerResponse:
        """Tries a parked customer again: their mail is delivered anew from its sources."""
        team_id, customer_id = _customer(request)
        await self._actors.unpark(team_id, customer_id)
        self._nudge()
        return pb.RetryParkedCustomerResponse()

    # -- feeds --------------------------------------------------------------------------------------------------

    async def ListMail(self, request: pb.ListMailRequest, context: Any) -> pb.ListMailResponse:
        """Repair read of system triggers."""
        check = FieldCheck()
        customer_id = check.optional_uuid("customer_id", request.customer_id)
        team_id = check.uuid("team_id", request.team_id) if customer_id else None
        check.whole("partition", request.partition, least=0, most=PARTITIONS - 1)
        check.done()
        size = page_size(request.page_size, default=500, most=MAIL_PAGE_MAX)
        if customer_id is not None and team_id is not None:
            mails = await self._mail.of_customer(team_id, customer_id, request.after_number, size + 1)
        else:
            mails = await self._mail.of_partition(request.partition, request.after_position, size + 1)
        return pb.ListMailResponse(mails=[encode(mail) for mail in mails[:size]], more=len(mails) > size)

    async def ListHistory(self, request: pb.ListHistoryRequest, context: Any) -> pb.ListHistoryResponse:
        """The history after a set of cursors; waits for news."""
        cursors = dict.fromkeys(range(PARTITIONS), 0)
        for cursor in request.cursors:
            if cursor.partition not in cursors or cursor.after_position < 0:
                raise InvalidArgument.of(
                    FieldViolation("cursors", "name partitions 0 to 63 and positions from 0")
                )
            cursors[cursor.partition] = cursor.after_position
        size = page_size(request.page_size, default=1_000, most=MAIL_PAGE_MAX)
        rows, following = await long_poll(
            lambda: self._journeys.history(cursors, size),
            self._bell,
            seconds_of(request.wait),
            self._draining,
        )
        return pb.ListHistoryResponse(
            facts=[convert_runs.fact_message(row) for row in rows],
            next_cursors=[
                history_pb2.HistoryCursor(partition=partition, after_position=position)
                for partition, position in following.items()
            ],
        )


def _call(team_id: UUID, request: Any, form: Any) -> Call[Any]:
    """A write whose answer shows the journey after it."""
    return Call(team_id, request, form, lambda journey: form(journey=convert.journey_message(journey)))


def _ids(request: Any) -> tuple[UUID, UUID]:
    check = FieldCheck()
    ids = check.uuid("team_id", request.team_id), check.uuid("journey_id", request.journey_id)
    check.done()
    return ids


def _enrolment_ids(request: Any) -> tuple[UUID, UUID]:
    check = FieldCheck()
    ids = check.uuid("team_id", request.team_id), check.uuid("enrolment_id", request.enrolment_id)
    check.done()
    return ids


def _customer(request: Any) -> tuple[UUID, UUID]:
    check = FieldCheck()
    ids = check.uuid("team_id", request.team_id), check.uuid("customer_id", request.customer_id)
    check.done()
    return ids


def _edited(present: d.Definition, request: pb.UpdateJourneyRequest) -> d.Definition:
    """The definition with the masked fields taken over; without a mask all of them."""
    sent = request.definition
    if request.update_mask.paths:
        masked = journey_pb2.Definition.FromString(sent.SerializeToString())
        sent = convert.definition_message(present)
        for field in journey_pb2.Definition.DESCRIPTOR.fields:
            (sent if field.name in request.update_mask.paths else masked).ClearField(field.name)  # type: ignore[arg-type]
        sent.MergeFrom(masked)
    check = FieldCheck()
    definition = convert.definition_from(sent, check)
    check.done()
    return definition
