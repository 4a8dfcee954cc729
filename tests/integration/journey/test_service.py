"""The journey service over gRPC: what people do to journeys."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid5

import grpc
import pytest

from libs.common.clock import SteppedClock
from libs.common.db.pool import open_pool
from libs.common.ids import partition_of
from libs.common.mailbox.mail import MailSource
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Databases, Servers
from libs.testing.mails import TEAM
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.journey.v1 import (
    journey_pb2,
    journey_service_pb2,
    node_pb2,
    trigger_pb2,
)
from services.journey.domain.model import ActorKey
from services.journey.store.turns import TurnStore

if TYPE_CHECKING:
    pass
from tests.integration.journey.desk import (
    START,
    WAIT_S,
    Desk,
    desk_on,
    mail_of,
    refusal,
    schedule_of,
    serving_desk,
)


@pytest.fixture
async def desk(servers: Servers, databases: Databases, redis: object) -> AsyncIterator[Desk]:
    """The service on a database of its own; its neighbours find no fault with what is named, and are away else."""
    async with serving_desk(servers, databases) as desk:
        yield desk


@pytest.mark.rule("J-01b")
@pytest.mark.parametrize(
    ("action", "end"),
    [
        (journey_pb2.EXPIRY_ACTION_CLOSE_TRIGGER, journey_pb2.JOURNEY_STATUS_TRIGGER_CLOSED),
        (journey_pb2.EXPIRY_ACTION_STOP, journey_pb2.JOURNEY_STATUS_STOPPED),
    ],
)
async def test_a_scheduled_journey_starts_and_ends_by_itself(desk: Desk, action: int, end: int) -> None:
    schedule = schedule_of(START + timedelta(hours=1), START + timedelta(hours=2), action)
    draft = await desk.create(schedule=schedule)
    assert draft.status == journey_pb2.JOURNEY_STATUS_DRAFT
    assert (await desk.publish(draft)).status == journey_pb2.JOURNEY_STATUS_SCHEDULED
    desk.clock.advance(timedelta(hours=1))
    await desk.until_status(draft, journey_pb2.JOURNEY_STATUS_ACTIVE)
    desk.clock.advance(timedelta(hours=1))
    await desk.until_status(draft, end)


async def test_each_accepted_edit_is_a_revision_with_author_and_time(desk: Desk) -> None:
    draft = await desk.create()
    await desk.publish(draft)
    desk.clock.advance(timedelta(minutes=5))
    edited = journey_pb2.Definition(name="Welcome back")
    answer = await desk.call(
        "UpdateJourney", journey_id=draft.journey_id, definition=edited, update_mask={"paths": ["name"]}
    )
    assert (answer.journey.definition.name, answer.journey.revision) == ("Welcome back", 2)
    assert answer.journey.definition.nodes == draft.definition.nodes
    listed = (await desk.call("ListRevisions", journey_id=draft.journey_id)).revisions
    assert [(r.revision, r.definition.name) for r in listed] == [(2, "Welcome back"), (1, "Welcome")]
    assert listed[0].create_time.ToDatetime(tzinfo=UTC) == START + timedelta(minutes=5)
    assert {revision.actor for revision in listed} == {"installation"}, (
        "the name of the caller, not of the request"
    )
    told = await refusal(
        desk.call(
            "UpdateJourney",
            journey_id=draft.journey_id,
            definition=journey_pb2.Definition(
                trigger=trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
            ),
            update_mask={"paths": ["trigger"]},
        )
    )
    assert told.reason == "EDIT_FORBIDDEN"


@pytest.mark.rule("J-01c")
@pytest.mark.parametrize(
    ("action", "end"),
    [
        pytest.param(
            journey_pb2.EXPIRY_ACTION_CLOSE_TRIGGER,
            journey_pb2.JOURNEY_STATUS_TRIGGER_CLOSED,
            marks=pytest.mark.rule("J-04a"),
        ),
        pytest.param(
            journey_pb2.EXPIRY_ACTION_STOP,
            journey_pb2.JOURNEY_STATUS_STOPPED,
            marks=pytest.mark.rule("J-04b"),
        ),
    ],
)
async def test_a_start_and_an_end_that_nothing_ran_at_are_made_up_for(
    servers: Servers, databases: Databases, redis: object, action: int, end: int
) -> None:
    clock = SteppedClock(START)
    async with databases.fresh({"journey": "services.journey"}) as database:
        async with desk_on(servers, database, clock) as desk:
            schedule = schedule_of(START + timedelta(hours=1), START + timedelta(hours=9), action)
            journey = await desk.publish(await desk.create(schedule=schedule))
        clock.advance(timedelta(hours=2))
        async with desk_on(servers, database, clock) as desk:
            await desk.until_status(journey, journey_pb2.JOURNEY_STATUS_ACTIVE)
        clock.advance(timedelta(hours=8))
        async with desk_on(servers, database, clock) as desk:
            await desk.until_status(journey, end)


async def test_an_edit_without_a_mask_changes_what_is_set_and_clears_nothing(desk: Desk) -> None:
    draft = await desk.create(enrolments_per_customer_max=3)
    edited = journey_pb2.Definition(name="Welcome back")
    answer = await desk.call("UpdateJourney", journey_id=draft.journey_id, definition=edited)
    draft.definition.name = "Welcome back"
    assert answer.journey.definition == draft.definition
    cleared = await desk.call(
        "UpdateJourney", journey_id=draft.journey_id, update_mask={"paths": ["enrolments_per_customer_max"]}
    )
    assert not cleared.journey.definition.HasField("enrolments_per_customer_max")
    assert cleared.journey.definition.name == "Welcome back"


@pytest.mark.parametrize("change", ["add", "deduct"])
async def test_points_of_a_node_have_no_sign(desk: Desk, change: str) -> None:
    for number in (-1, -(2**63)):
        node = node_pb2.Node(node_id="points", points=node_pb2.PointsNode(**{change: number}))
        assert (await refusal(desk.create(nodes=[node]))).reason == "INVALID_FIELDS"


async def test_a_stop_is_answered_once_also_after_a_delete(desk: Desk) -> None:
    journey = await desk.publish(await desk.create())
    stop = {"journey_id": journey.journey_id, "request_id": "stop"}
    desk.gateway.away = True
    told = await refusal(desk.call("StopJourney", **stop))
    assert (told.reason, told.metadata["status"]) == ("DEPENDENCY_UNAVAILABLE", "STOPPING")
    desk.gateway.away = False
    await desk.until_status(journey, journey_pb2.JOURNEY_STATUS_STOPPED)
    await desk.call("DeleteJourney", journey_id=journey.journey_id)
    again = await desk.call("StopJourney", **stop)
    assert again.journey.status == journey_pb2.JOURNEY_STATUS_STOPPING


@pytest.mark.rule("J-03c")
async def test_a_stopped_journey_stays_so_and_its_copy_runs(desk: Desk) -> None:
    journey = await desk.publish(await desk.create())
    await desk.call("StopJourney", journey_id=journey.journey_id)
    await desk.until_status(journey, journey_pb2.JOURNEY_STATUS_STOPPED)
    told = await refusal(desk.publish(journey))
    assert (told.reason, told.metadata["status"]) == ("STATUS_FORBIDS_ACTION", "STOPPED")
    copy = (await desk.call("CopyJourney", journey_id=journey.journey_id)).journey
    assert (await desk.publish(copy)).status == journey_pb2.JOURNEY_STATUS_ACTIVE
    assert await desk.status(journey) == journey_pb2.JOURNEY_STATUS_STOPPED


async def test_an_edit_of_an_old_state_is_refused(desk: Desk) -> None:
    draft = await desk.create()
    await desk.publish(draft)
    told = await refusal(desk.call("CloseTrigger", journey_id=draft.journey_id, etag=draft.etag))
    assert told.reason == "ETAG_MISMATCH"


async def test_a_repeated_request_gets_its_first_answer(desk: Desk) -> None:
    request_id = str(uuid5(TEAM, "once"))
    definition = journey_pb2.Definition(name="Once")
    first = await desk.call("CreateJourney", definition=definition, request_id=request_id)
    assert await desk.call("CreateJourney", definition=definition, request_id=request_id) == first
    other = desk.call("CreateJourney", definition=journey_pb2.Definition(name="Twice"), request_id=request_id)
    assert (await refusal(other)).reason == "REQUEST_ID_REUSED"


@pytest.mark.rule("J-01a")
async def test_publishing_reports_every_fault_of_the_definition(desk: Desk) -> None:
    draft = await desk.create(targets=[], nodes=[node_pb2.Node(node_id="a", next_node_id="b")])
    assert draft.status == journey_pb2.JOURNEY_STATUS_DRAFT
    told = await refusal(desk.publish(draft))
    assert {fault.field for fault in told.violations} >= {"targets", "nodes[0]", "nodes[0].next_node_id"}


@pytest.mark.rule("J-01a")
async def test_a_draft_is_saved_with_gaps_and_shown_as_it_was_sent(desk: Desk) -> None:
    nodes = [
        node_pb2.Node(node_id="m", message=node_pb2.MessageNode(), next_node_id="c"),
        node_pb2.Node(node_id="c", condition=node_pb2.ConditionNode()),
    ]
    schedule = journey_pb2.Schedule(start_time=timestamp(START))
    draft = await desk.create(nodes=nodes, schedule=schedule, targets=[journey_pb2.Target()])
    assert list(draft.definition.nodes) == nodes
    definition = journey_pb2.Definition(name="Later")
    again = await desk.call("UpdateJourney", journey_id=draft.journey_id, definition=definition)
    assert (again.journey.definition.name, again.journey.definition.schedule) == ("Later", schedule)
    copy = (await desk.call("CopyJourney", journey_id=draft.journey_id, name="Copy")).journey
    assert (copy.definition.name, list(copy.definition.nodes)) == ("Copy", nodes)
    told = await refusal(desk.publish(draft))
    assert {fault.field for fault in told.violations} == {
        *("nodes[0].message.channel", "nodes[1].condition.yes", "nodes[1].condition.no"),
        *("schedule.end_time", "schedule.expiry_action", "targets[0].channel"),
    }


@pytest.mark.rule("J-01b", "J-08b")
async def test_lists_filter_and_page_copies_are_drafts_and_deleted_journeys_are_gone(desk: Desk) -> None:
    journeys = []
    for name in ("Ａlpha one", "beta", "alpha two"):
        journeys.append(await desk.create(name=name))
        desk.clock.advance(timedelta(minutes=1))
    await desk.publish(journeys[1])
    first = await desk.call("ListJourneys", page_size=2)
    assert [j.definition.name for j in first.journeys] == ["alpha two", "beta"]
    second = await desk.call("ListJourneys", page_size=2, page_token=first.next_page_token)
    assert [j.definition.name for j in second.journeys] == ["Ａlpha one"]
    named = await desk.call("ListJourneys", name_contains=" ALPHA\u200b")
    assert len(named.journeys) == 2
    active = await desk.call("ListJourneys", statuses=[journey_pb2.JOURNEY_STATUS_ACTIVE])
    assert [j.journey_id for j in active.journeys] == [journeys[1].journey_id]
    assert len((await desk.call("ListJourneys", trigger_type="CONTACT_ADDED")).journeys) == 3
    assert not (await desk.call("ListJourneys", trigger_type="SYSTEM")).journeys

    copy = (await desk.call("CopyJourney", journey_id=journeys[1].journey_id, name="beta again")).journey
    assert copy.status == journey_pb2.JOURNEY_STATUS_DRAFT
    assert copy.journey_id != journeys[1].journey_id
    assert copy.definition.nodes == journeys[1].definition.nodes
    await desk.call("DeleteJourney", journey_id=copy.journey_id)
    assert len((await desk.call("ListJourneys")).journeys) == 3
    told = await refusal(desk.call("DeleteJourney", journey_id=journeys[1].journey_id))
    assert (told.reason, told.metadata["status"]) == ("STATUS_FORBIDS_ACTION", "ACTIVE")


async def test_a_system_trigger_says_why_it_is_not_taken(desk: Desk) -> None:
    system = trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
    open_one = await desk.publish(await desk.create(trigger=system))
    draft = await desk.create(trigger=system)
    other = await desk.publish(await desk.create())
    customer = str(uuid5(TEAM, "customer"))
    items = [
        journey_service_pb2.SystemTriggerItem(
            request_id=str(uuid5(TEAM, f"trigger {n}")), journey_id=journey_id, customer_id=customer
        )
        for n, journey_id in enumerate([open_one.journey_id, draft.journey_id, other.journey_id, str(TEAM)])
    ]
    answer = await desk.call("TriggerJourneys", items=items)
    assert [(r.accepted, r.reason) for r in answer.results] == [
        (True, error_reason_pb2.ERROR_REASON_UNSPECIFIED),
        (False, error_reason_pb2.ERROR_REASON_STATUS_FORBIDS_ACTION),
        (False, error_reason_pb2.ERROR_REASON_TRIGGER_MISMATCH),
        (False, error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND),
    ]
    mails = (await desk.internal.mail.ListMail(mail_of(customer), timeout=10)).mails
    await desk.call("TriggerJourneys", items=items[:1])
    again = await desk.internal.mail.ListMail(mail_of(customer), timeout=10)
    assert len(mails) == len(again.mails) == 1
    # A faulty item is refused by itself.
    sound: dict[str, Any] = {"journey_id": open_one.journey_id, "customer_id": customer}
    third = journey_service_pb2.SystemTriggerItem(**sound, request_id=str(uuid5(TEAM, "third")))
    faulty = journey_service_pb2.SystemTriggerItem(**sound, request_id="\0")
    answer = await desk.call("TriggerJourneys", items=[faulty, third])
    assert [(r.accepted, r.reason) for r in answer.results] == [
        (False, error_reason_pb2.ERROR_REASON_INVALID_FIELDS),
        (True, error_reason_pb2.ERROR_REASON_UNSPECIFIED),
    ]
    assert len((await desk.internal.mail.ListMail(mail_of(customer), timeout=10)).mails) == 2


@pytest.mark.parametrize("published", [False, True])
async def test_a_journey_that_was_deleted_is_triggered_no_more(desk: Desk, published: bool) -> None:
    journey = await desk.create(trigger=trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered()))
    item = journey_service_pb2.SystemTriggerItem(
        request_id=str(uuid5(TEAM, "one")),
        journey_id=journey.journey_id,
        customer_id=str(uuid5(TEAM, "customer")),
    )
    if published:
        await desk.publish(journey)
        await desk.call("StopJourney", journey_id=journey.journey_id)
        await desk.until_status(journey, journey_pb2.JOURNEY_STATUS_STOPPED)
    (before,) = (await desk.call("TriggerJourneys", items=[item])).results
    assert before.reason == error_reason_pb2.ERROR_REASON_STATUS_FORBIDS_ACTION
    await desk.call("DeleteJourney", journey_id=journey.journey_id)
    (after,) = (await desk.call("TriggerJourneys", items=[item])).results
    assert (after.accepted, after.reason) == (False, error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND)


async def test_system_triggers_are_refused_while_too_many_wait(
    servers: Servers, databases: Databases, redis: object
) -> None:
    async with serving_desk(servers, databases, mailbox_mails_max=64, mail_backlog_max=10) as desk:
        system = trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
        journey = await desk.publish(await desk.create(trigger=system))

        async def trigger(number: int) -> Any:
            item = journey_service_pb2.SystemTriggerItem(
                request_id=str(uuid5(TEAM, f"trigger {number}")),
                journey_id=journey.journey_id,
                customer_id=str(uuid5(TEAM, "customer")),
            )
            return await desk.call("TriggerJourneys", items=[item])

        async def trigger_all() -> int:
            for number in itertools.count():
                try:
                    await trigger(number)
                except grpc.aio.AioRpcError:
                    return number
            raise AssertionError("unreachable")

        # Its neighbours are away, so nobody's turn ends, and one mail fills the partition's mailbox.
        async with asyncio.timeout(WAIT_S):
            number = await trigger_all()
        assert 10 <= number <= 20
        told = await refusal(trigger(number))
        assert (told.reason, told.metadata["limit"]) == ("OVERLOADED", "OMNIJOURNEY_MAIL_BACKLOG_MAX")
        assert told.retry_after_s
        request = mail_of(str(uuid5(TEAM, "customer")))
        assert len((await desk.internal.mail.ListMail(request, timeout=10)).mails) == number


async def test_partitions_show_their_owner(desk: Desk) -> None:
    async def owned() -> bool:
        answer = await desk.stub.ListPartitions(journey_service_pb2.ListPartitionsRequest(), timeout=10)
        assert len(answer.partitions) == 64
        return all(partition.worker_id and partition.epoch > 0 for partition in answer.partitions)

    await _until(owned)


async def test_a_parked_customer_is_shown_and_their_mail_is_dropped(desk: Desk) -> None:
    system = trigger_pb2.Trigger(system=trigger_pb2.SystemTriggered())
    journey = await desk.publish(await desk.create(trigger=system))
    customer = uuid5(TEAM, "customer")
    key = ActorKey(partition_of(TEAM, customer), TEAM, customer)
    pool = await open_pool(desk.dsn, name="test", size_max=2)
    try:
        leases = "SELECT partition, epoch FROM partition_lease WHERE partition = $1"
        await TurnStore(pool).park(key, "poison", 8, dict(await pool.fetch(leases, key.partition)))
    finally:
        pool.terminate()
    items = [
        journey_service_pb2.SystemTriggerItem(
            request_id=str(uuid5(TEAM, f"trigger {n}")),
            journey_id=journey.journey_id,
            customer_id=str(customer),
        )
        for n in range(2)
    ]
    await desk.call("TriggerJourneys", items=items)
    [shown] = (await desk.call("ListParkedCustomers", customer_id=str(customer))).customers
    assert (shown.error_message, [mail.number for mail in shown.mails]) == ("poison", [1, 2])
    assert sorted(shown.silent_sources) == [MailSource.SEGMENT, MailSource.GATEWAY]
    assert (await desk.call("ListParkedCustomers")).customers == [shown]
    other = desk.call("ListParkedCustomers", customer_id=str(customer), page_token="of another list")
    assert (await refusal(other)).reason == "PAGE_TOKEN_INVALID"
    first = {
        "customer_id": str(customer),
        "source": MailSource.JOURNEY,
        "through_number": 1,
        "event_id": shown.mails[0].event_id,
        "request_id": str(uuid5(TEAM, "drop")),
    }
    assert (await refusal(desk.call("DropParkedMail", **first | {"source": 0}))).reason == "INVALID_FIELDS"
    told = await refusal(desk.call("DropParkedMail", **first | {"source": MailSource.SEGMENT}))
    assert (told.reason, told.metadata["dependency"]) == ("DEPENDENCY_UNAVAILABLE", "segment")
    dropped = await desk.call("DropParkedMail", **first)
    assert list(dropped.dropped_mails) == [shown.mails[0]]
    assert dropped.remaining_count == 1
    assert await desk.call("DropParkedMail", **first) == dropped
    [shown] = (await desk.call("ListParkedCustomers", customer_id=str(customer))).customers
    assert [mail.number for mail in shown.mails] == [2]


async def test_a_worker_is_drained_and_resumed(desk: Desk) -> None:
    async def workers() -> Any:
        return (await desk.call("ListPartitions")).workers

    async def owns(count: int) -> bool:
        return [worker.partition_count for worker in await workers()] == [count]

    await _until(lambda: owns(64))
    [worker] = await workers()
    assert (await desk.call("DrainWorker", worker_id=worker.worker_id)).released_partition_count == 64
    [drained] = await workers()
    assert (drained.draining, drained.partition_count) == (True, 0)
    await desk.call("ResumeWorker", worker_id=worker.worker_id)
    await _until(lambda: owns(64))
    assert (await refusal(desk.call("DrainWorker", worker_id="nobody"))).reason == "RESOURCE_NOT_FOUND"


async def _until(done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await done():
            await asyncio.sleep(0.02)
