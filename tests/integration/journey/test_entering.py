"""Who enters, with the services as they are: several tags of one call, and customers that there are not."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from libs.common.callers import ALL_BUT_INTERNAL
from libs.common.ids import new_id
from libs.common.rpc.client import channel
from libs.common.rpc.errors import remote_error
from libs.testing.clients import make_client
from omnijourney.common.v1 import error_reason_pb2
from omnijourney.journey.v1 import (
    journey_service_pb2,
    journey_service_pb2_grpc,
    node_pb2,
    trigger_pb2,
)
from omnijourney.segment.v1 import customer_pb2
from tests.integration.journey.house import WAIT_S, House

SLEEP = node_pb2.Node(node_id="sleep", delay=node_pb2.DelayNode(delay=Duration(seconds=3_600)))
NOT_FOUND = error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND
NONE = error_reason_pb2.ERROR_REASON_UNSPECIFIED


async def customer(house: House, **fields: Any) -> str:
    made = await house.call("segment", "CreateCustomer", customer=customer_pb2.Customer(**fields))
    return str(made.customer.customer_id)


async def entered(house: House, journey_id: str, wanted: int) -> int:
    """Enrolments, once there are as many as are wanted, and a moment later."""

    async def count() -> int:
        listed = await house.call("journey", "ListEnrolments", journey_id=journey_id, page_size=100)
        return len(listed.enrolments)

    async with asyncio.timeout(WAIT_S):
        while await count() < wanted:
            await asyncio.sleep(0.02)
    return await count()


async def tag(house: House, customer_id: str, *tags: str) -> None:
    await house.call("segment", "ChangeCustomerTags", customer_id=customer_id, add=tags)


@pytest.mark.rule("J-22c")
async def test_several_tags_of_one_call_enrol_once_those_of_two_calls_twice(house: House) -> None:
    def by(*tags: str) -> trigger_pb2.Trigger:
        return trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=tags))

    journey_id = await house.publish(SLEEP, trigger=by("regular", "VIP"))
    last = await house.publish(SLEEP, trigger=by("last"))
    one, two = await customer(house), await customer(house)
    await tag(house, one, "new", "Regular", "vip")
    for each in ("regular", "vip"):
        await tag(house, two, each)
    for each in (one, two):
        await tag(house, each, "last")
    # Mail is taken in its order: who has entered by the last tag has taken the others.
    assert await entered(house, last, 2) == 2
    listed = await house.call("journey", "ListEnrolments", journey_id=journey_id, page_size=100)
    assert Counter(each.customer_id for each in listed.enrolments) == {one: 1, two: 2}


@pytest.mark.rule("J-26c")
@pytest.mark.parametrize("name", ["CreateCustomer", "UpsertCustomer"])
async def test_who_is_made_with_tags_enters_where_that_was_asked_for(house: House, name: str) -> None:
    def by(*tags: str) -> trigger_pb2.Trigger:
        return trigger_pb2.Trigger(tag_applied=trigger_pb2.TagApplied(tags=tags))

    journey_id = await house.publish(SLEEP, trigger=by("VIP"))
    last = await house.publish(SLEEP, trigger=by("last"))
    made = []
    for number, asked in enumerate(({}, {"triggers": True}, {"triggers": False})):
        brought = customer_pb2.Customer(member_id=str(number), tags=["VIP"])
        answer = await house.call("segment", name, customer=brought, **asked)
        made.append(str(answer.customer.customer_id))
        await tag(house, made[-1], "last")
    assert await entered(house, last, 3) == 3
    listed = await house.call("journey", "ListEnrolments", journey_id=journey_id, page_size=100)
    assert [each.customer_id for each in listed.enrolments] == [made[1]]


@pytest.mark.rule("J-24c")
async def test_a_customer_that_there_is_not_is_told_and_enters_nothing(house: House) -> None:
    journey_id = await house.publish(SLEEP)
    known, stranger = await customer(house), str(new_id())
    token = await make_client(house.database, *ALL_BUT_INTERNAL)

    def request(items: Mapping[str, str]) -> journey_service_pb2.TriggerJourneysRequest:
        asked = journey_service_pb2.TriggerJourneysRequest(team_id=house.team_id)
        for customer_id, named in items.items():
            asked.items.add(request_id=str(new_id()), journey_id=named, customer_id=customer_id)
        return asked

    async with channel(house.target("journey"), token) as opened:
        stub = journey_service_pb2_grpc.JourneyServiceStub(opened)
        both = request({known: journey_id, stranger: journey_id, str(new_id()): str(new_id())})
        answer = await stub.TriggerJourneys(both, timeout=WAIT_S)
        told = [(result.accepted, result.reason, result.field) for result in answer.results]
        assert told == [(True, NONE, ""), (False, NOT_FOUND, "customer_id"), (False, NOT_FOUND, "journey_id")]
        assert all(result.message for result in answer.results if not result.accepted)
        await house.stop("segment")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.TriggerJourneys(request({known: journey_id}), timeout=WAIT_S)
        assert remote_error(caught.value).code is grpc.StatusCode.UNAVAILABLE
        await house.start("segment")
    assert await entered(house, journey_id, 1) == 1
