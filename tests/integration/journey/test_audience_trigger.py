"""A saved audience enrols, on its whole path: segment finds the customers, the gateway sends to each of them once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import RemoteError, remote_error
from libs.common.rpc.values import duration
from libs.testing.fixtures import Servers
from omnijourney.common.v1 import error_reason_pb2, operation_pb2, operations_service_pb2
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from omnijourney.journey.v1 import (
    audience_trigger_pb2,
    explain_pb2,
    journey_service_pb2,
    node_pb2,
    trigger_pb2,
)
from omnijourney.segment.v1 import audience_pb2, customer_pb2, segment_service_pb2
from omnijourney.segment.v1.segment_service_pb2_grpc import SegmentServiceStub
from services.journey.domain.audience_trigger import IN_FLIGHT_MAX
from tests.integration.journey.house import LINE, WAIT_S, House, delay, message, until

FAST: Final = 2_000
SUCCEEDED: Final = operation_pb2.OPERATION_STATE_SUCCEEDED
PAUSED: Final = operation_pb2.OPERATION_STATE_PAUSED
RUNNING: Final = operation_pb2.OPERATION_STATE_RUNNING
CANCELLED: Final = operation_pb2.OPERATION_STATE_CANCELLED
FAILED: Final = operation_pb2.OPERATION_STATE_FAILED
ENROLLED: Final = explain_pb2.ENTRY_RESULT_ENROLLED
REFUSED: Final = explain_pb2.ENTRY_RESULT_REFUSED


class Shop:
    """A team with customers and what it does with them."""

    def __init__(self, house: House, servers: Servers) -> None:
        self.house = house
        self._servers = servers

    async def people(self, count: int, *tags: str, account_id: str = "") -> list[str]:
        """New customers, on the account where one is given."""
        made: list[str] = []
        while len(made) < count:
            customers = []
            for _ in range(min(500, count - len(made))):
                customer = customer_pb2.Customer(name="Mei", tags=tags)
                if account_id:
                    external_id = f"U{new_id().hex}"
                    customer.identities.add().key.CopyFrom(
                        customer_pb2.IdentityKey(channel=LINE, account_id=account_id, external_id=external_id)
                    )
                customers.append(customer)
            answer = await self.house.call("segment", "BatchCreateCustomers", customers=customers)
            made += [result.customer_id for result in answer.results]
        return made

    async def audience(self, tag: str = "vip") -> str:
        """A saved audience of who has a tag."""
        given = audience_pb2.SavedAudience(name=str(new_id()))
        given.audience.tags.operator = audience_pb2.TAG_OPERATOR_ANY_OF
        given.audience.tags.tags.append(tag)
        made = await self.house.call("segment", "CreateSavedAudience", saved_audience=given)
        return str(made.saved_audience.saved_audience_id)

    async def start(self, journey_id: str, audience_id: str, rate: int = FAST, **fields: Any) -> str:
        """An audience trigger; its id."""
        given = {"journey_id": journey_id, "audience_id": audience_id, "customers_per_second": rate, **fields}
        answer = await self.house.call("journey", "TriggerAudience", **given)
        return str(answer.operation.operation_id)

    async def seen(self, operation_id: str) -> audience_trigger_pb2.AudienceTrigger:
        """How far one is."""
        answer = await self.house.call("journey", "GetAudienceTrigger", operation_id=operation_id)
        found: audience_trigger_pb2.AudienceTrigger = answer.audience_trigger
        return found

    async def change(self, verb: str, operation_id: str) -> int:
        """Pauses, resumes or cancels one; its state afterwards."""
        form = getattr(operations_service_pb2, f"{verb}OperationRequest")
        request = form(team_id=self.house.team_id, request_id=str(new_id()), operation_id=operation_id)
        async with self._servers.channel(int(self.house.target("journey").rpartition(":")[2])) as channel:
            answer = await getattr(OperationsServiceStub(channel), f"{verb}Operation")(
                request, timeout=WAIT_S
            )
        return int(answer.operation.state)

    async def ended(self, operation_id: str) -> audience_trigger_pb2.AudienceTrigger:
        """One that has ended, with all outcomes known."""

        async def is_over() -> bool:
            found = await self.seen(operation_id)
            return (
                found.operation.HasField("end_time") and found.operation.done_count == found.triggered_count
            )

        await until(is_over)
        return await self.seen(operation_id)

    async def sent(self, journey_id: str) -> list[str]:
        """Customers of all sends of a journey that left, by node and customer."""
        found: list[str] = []
        token = ""
        while True:
            page = await self.house.call(
                "gateway", "ListDeliveries", journey_id=journey_id, page_size=500, page_token=token
            )
            found += [each.customer_id for each in page.deliveries]
            token = page.next_page_token
            if not token:
                return found


@pytest.fixture
async def shop(house: House, servers: Servers) -> Shop:
    return Shop(house, servers)


def counts(found: audience_trigger_pb2.AudienceTrigger) -> dict[tuple[int, int], int]:
    return {(each.result, each.reason): each.customer_count for each in found.counts}


def untag(tag: str) -> node_pb2.Node:
    node = node_pb2.Node(node_id="untag")
    node.tags.remove.append(tag)
    return node


async def refusal(call: Awaitable[Any]) -> RemoteError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return remote_error(caught.value)


@pytest.mark.rule("J-24b")
async def test_everybody_in_the_audience_enters_once_and_nobody_else_does(shop: Shop) -> None:
    account_id = await shop.house.account()
    target = {"channel": LINE, "account_id": account_id}
    journey_id = await shop.house.publish(
        message("hello", bot_module_id=await shop.house.module()), untag("vip"), targets=[target]
    )
    # Whoever has entered is in the audience no more, and later ones are found while the first have entered.
    inside = await shop.people(1_203, "vip", account_id=account_id)
    await shop.people(40, "other", account_id=account_id)
    operation_id = await shop.start(journey_id, await shop.audience())
    found = await shop.ended(operation_id)
    assert (found.operation.state, found.found_count, found.triggered_count) == (SUCCEEDED, 1_203, 1_203)
    assert (found.operation.done_count, found.operation.total_count, found.operation.refused_count) == (
        1_203,
        1_203,
        0,
    )
    assert counts(found) == {(ENROLLED, 0): 1_203}
    sent = await shop.sent(journey_id)
    assert Counter(sent) == Counter(inside), "a message each, and none for others"


async def test_who_joins_the_audience_while_it_enrols_is_not_triggered(shop: Shop) -> None:
    journey_id = await shop.house.publish(delay())
    await shop.people(30, "vip")
    operation_id = await shop.start(journey_id, await shop.audience(), rate=10)

    async def some_are_inside() -> bool:
        return (await shop.seen(operation_id)).triggered_count > 0

    await until(some_are_inside)
    await shop.people(5, "vip")
    assert (await shop.ended(operation_id)).operation.total_count == 30


async def test_what_became_of_each_is_counted_by_its_reason(shop: Shop) -> None:
    journey_id = await shop.house.publish(delay(), enrolments_per_customer_max=1)
    people = await shop.people(20, "vip")
    audience_id = await shop.audience()
    items = [
        journey_service_pb2.SystemTriggerItem(
            journey_id=journey_id, customer_id=each, request_id=str(new_id())
        )
        for each in people[:7]
    ]
    await shop.house.call("journey", "TriggerJourneys", items=items)
    found = await shop.ended(await shop.start(journey_id, audience_id))
    assert counts(found) == {(ENROLLED, 0): 13, (REFUSED, error_reason_pb2.ERROR_REASON_CUSTOMER_LIMIT): 7}
    assert found.operation.refused_count == 7
    outcomes = await shop.house.call(
        "journey",
        "BatchGetTriggerOutcomes",
        journey_id=journey_id,
        event_keys=[*(item.request_id for item in items), str(new_id()), "no id"],
    )
    enrolments = await shop.house.call("journey", "ListEnrolments", journey_id=journey_id, page_size=500)
    by_event = {each.trigger_event_id: each.enrolment_id for each in enrolments.enrolments}
    assert [each.enrolment_id for each in outcomes.outcomes] == [by_event[i.request_id] for i in items] + [
        "",
        "",
    ]
    unknown = explain_pb2.ENTRY_RESULT_UNKNOWN_SUBJECT
    assert [each.result for each in outcomes.outcomes] == [ENROLLED] * 7 + [unknown] * 2


async def test_a_paused_one_triggers_nobody_until_it_is_resumed_and_then_nobody_twice(shop: Shop) -> None:
    journey_id = await shop.house.publish(delay())
    await shop.people(40, "vip")
    operation_id = await shop.start(journey_id, await shop.audience(), rate=20)

    async def some_are_inside() -> bool:
        return (await shop.seen(operation_id)).triggered_count > 0

    await until(some_are_inside)
    assert await shop.change("Pause", operation_id) == PAUSED
    held = await shop.seen(operation_id)
    assert held.triggered_count < 40

    async def all_known() -> bool:
        found = await shop.seen(operation_id)
        return bool(found.operation.done_count == held.triggered_count)

    await until(all_known)
    await asyncio.sleep(0.6)
    assert (await shop.seen(operation_id)).triggered_count == held.triggered_count
    assert await shop.change("Pause", operation_id) == PAUSED
    assert await shop.change("Resume", operation_id) == RUNNING
    found = await shop.ended(operation_id)
    assert (found.operation.state, counts(found)) == (SUCCEEDED, {(ENROLLED, 0): 40})
    assert await shop.change("Pause", operation_id) == SUCCEEDED, "one that has ended stays"
    inside = await shop.house.call("journey", "CountEnrolments", journey_id=journey_id)
    assert inside.live_count == 40


async def test_a_cancelled_one_triggers_nobody_else_and_counts_whom_it_triggered(shop: Shop) -> None:
    journey_id = await shop.house.publish(delay())
    await shop.people(40, "vip")
    operation_id = await shop.start(journey_id, await shop.audience(), rate=10)

    async def some_are_inside() -> bool:
        return (await shop.seen(operation_id)).triggered_count > 0

    await until(some_are_inside)
    assert await shop.change("Cancel", operation_id) == CANCELLED
    found = await shop.ended(operation_id)
    assert found.operation.state == CANCELLED
    assert 0 < found.triggered_count < 40
    await asyncio.sleep(0.5)
    inside = await shop.house.call("journey", "CountEnrolments", journey_id=journey_id)
    assert inside.live_count == found.triggered_count == counts(found)[ENROLLED, 0]


async def test_one_whose_journey_closes_fails_with_the_reason_and_who_entered_stays(shop: Shop) -> None:
    journey_id = await shop.house.publish(delay())
    await shop.people(40, "vip")
    operation_id = await shop.start(journey_id, await shop.audience(), rate=10)

    async def some_are_inside() -> bool:
        return (await shop.seen(operation_id)).operation.done_count > 0

    await until(some_are_inside)
    await shop.house.call("journey", "CloseTrigger", journey_id=journey_id)
    found = await shop.ended(operation_id)
    assert found.operation.state == FAILED
    assert found.operation.error.reason == error_reason_pb2.ERROR_REASON_STATUS_FORBIDS_ACTION
    inside = await shop.house.call("journey", "CountEnrolments", journey_id=journey_id)
    assert inside.live_count == counts(found)[ENROLLED, 0] < 40


async def test_the_plan_ends_one_and_who_had_no_place_is_counted_as_such(
    houses: Callable[..., Awaitable[House]], servers: Servers
) -> None:
    shop = Shop(await houses(monthly_enrolments_max=12), servers)
    journey_id = await shop.house.publish(delay())
    await shop.people(30, "vip")
    found = await shop.ended(await shop.start(journey_id, await shop.audience()))
    assert counts(found)[ENROLLED, 0] == 12
    assert (
        found.operation.refused_count
        == found.triggered_count - 12
        == sum(each.customer_count for each in found.counts if each.result == REFUSED)
    )


async def test_an_audience_of_nobody_ends_at_once(shop: Shop) -> None:
    journey_id = await shop.house.publish(delay())
    found = await shop.ended(await shop.start(journey_id, await shop.audience()))
    assert (found.operation.state, found.found_all, found.found_count) == (SUCCEEDED, True, 0)


async def test_what_cannot_be_triggered_is_refused_with_the_reason(shop: Shop) -> None:
    audience_id = await shop.audience()
    draft = await shop.house.draft(delay())
    told = await refusal(shop.start(draft, audience_id))
    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STATUS_FORBIDS_ACTION")
    live = await shop.house.publish(delay())
    told = await refusal(shop.start(live, str(new_id())))
    assert (told.code, told.metadata["resource"]) == (grpc.StatusCode.NOT_FOUND, "audience")
    told = await refusal(shop.start(str(new_id()), audience_id))
    assert (told.code, told.metadata["resource"]) == (grpc.StatusCode.NOT_FOUND, "journey")
    by_order = trigger_pb2.Trigger(checkout_completed=trigger_pb2.CheckoutCompleted())
    told = await refusal(shop.start(await shop.house.publish(delay(), trigger=by_order), audience_id))
    assert [(fault.field, fault.reason) for fault in told.violations] == [("journey_id", "TRIGGER_MISMATCH")]
    told = await refusal(shop.start(live, audience_id, rate=2_001))
    assert [fault.field for fault in told.violations] == ["customers_per_second"]
    told = await refusal(shop.seen(str(new_id())))
    assert told.code is grpc.StatusCode.NOT_FOUND


async def test_a_repeated_request_starts_one_only(shop: Shop) -> None:
    journey_id, audience_id = await shop.house.publish(delay()), await shop.audience()
    first = await shop.start(journey_id, audience_id, request_id="monday")
    await shop.house.call("segment", "DeleteSavedAudience", saved_audience_id=audience_id)
    assert await shop.start(journey_id, audience_id, request_id="monday") == first


async def test_a_team_has_no_more_in_flight_than_a_batch_while_nobody_works(shop: Shop) -> None:
    """Whoever else has mail waits behind no more than those."""
    journey_id = await shop.house.publish(delay())
    await shop.people(IN_FLIGHT_MAX + 300, "vip")
    workers = (await shop.house.call("journey", "ListPartitions")).workers
    for worker in workers:
        await shop.house.call("journey", "DrainWorker", worker_id=worker.worker_id)
    audience_id = await shop.audience()
    ids = [await shop.start(journey_id, audience_id) for _ in range(2)]

    async def in_flight() -> int:
        return sum([(await shop.seen(each)).triggered_count for each in ids])

    async def full() -> bool:
        return await in_flight() >= IN_FLIGHT_MAX

    await until(full)
    await asyncio.sleep(1.0)
    assert await in_flight() == IN_FLIGHT_MAX
    for worker in workers:
        await shop.house.call("journey", "ResumeWorker", worker_id=worker.worker_id)
    for each in ids:
        assert counts(await shop.ended(each)) == {(ENROLLED, 0): IN_FLIGHT_MAX + 300}


async def test_operations_of_both_kinds_are_listed_by_time_and_only_some_can_be_paused(
    shop: Shop, servers: Servers
) -> None:
    journey_id, audience_id = await shop.house.publish(delay()), await shop.audience()
    made = [await shop.start(journey_id, audience_id)]
    by_order = trigger_pb2.Trigger(checkout_completed=trigger_pb2.CheckoutCompleted())
    simulated = await shop.house.publish(delay(), trigger=by_order)
    span: dict[str, Any] = {"journey_id": simulated}
    request = journey_service_pb2.StartSimulationRequest(**span)
    request.start_time.FromSeconds(1_700_000_000)
    request.end_time.FromSeconds(1_700_086_400)
    fields = {"journey_id": simulated, "start_time": request.start_time, "end_time": request.end_time}
    simulation = await shop.house.call("journey", "StartSimulation", **fields)
    made += [simulation.operation.operation_id, await shop.start(journey_id, audience_id)]
    async with servers.channel(int(shop.house.target("journey").rpartition(":")[2])) as channel:
        stub: Any = OperationsServiceStub(channel)
        listed: list[str] = []
        token = ""
        while True:
            page = await stub.ListOperations(
                operations_service_pb2.ListOperationsRequest(
                    team_id=shop.house.team_id, page_size=1, page_token=token
                ),
                timeout=WAIT_S,
            )
            listed += [each.operation_id for each in page.operations]
            token = page.next_page_token
            if not token:
                break
        wait = operations_service_pb2.WaitOperationRequest(
            team_id=shop.house.team_id, operation_id=made[0], wait=duration(timedelta(seconds=10))
        )
        assert (await stub.WaitOperation(wait, timeout=WAIT_S)).operation.state == SUCCEEDED
    assert listed == made[::-1]
    told = await refusal(shop.change("Pause", made[1]))
    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "OPERATION_NOT_PAUSABLE")
    assert told.metadata == {"kind": "SIMULATION"}


async def test_a_stream_of_an_audience_goes_on_after_the_customer_up_to_whom_all_are_judged(
    shop: Shop, servers: Servers
) -> None:
    people = sorted(await shop.people(1_100, "vip"))
    async with servers.channel(int(shop.house.target("segment").rpartition(":")[2])) as channel:
        stub: Any = SegmentServiceStub(channel)
        request = segment_service_pb2.StreamAudienceCustomersRequest(
            team_id=shop.house.team_id, saved_audience_id=await shop.audience()
        )
        parts = [part async for part in stub.StreamAudienceCustomers(request, timeout=WAIT_S)]
        assert [each for part in parts for each in part.customer_ids] == people
        request.after_customer_id = parts[0].through_customer_id
        rest = [part async for part in stub.StreamAudienceCustomers(request, timeout=WAIT_S)]
        assert [each for part in rest for each in part.customer_ids] == people[len(parts[0].customer_ids) :]
