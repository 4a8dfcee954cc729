"""Stored webhooks are handed on again, and nothing of them counts twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.values import timestamp
from libs.testing.fixtures import Servers
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.channel_gateway.v1 import webhook_pb2
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.common.v1.operations_service_pb2_grpc import OperationsServiceStub
from tests.integration.channel_gateway.conftest import TIMEOUT_S, Gateway
from tests.integration.channel_gateway.test_webhooks import Shop, order, stored


async def _start(gateway: Gateway, **fields: Any) -> operation_pb2.Operation:
    now = gateway.clock.now()
    span = {"start_time": timestamp(now - timedelta(days=1)), "end_time": timestamp(now + timedelta(days=1))}
    request = pb.StartInboxReplayRequest(
        team_id=str(gateway.team_id), request_id=str(new_id()), **(span | fields)
    )
    return (await gateway.stub.StartInboxReplay(request, timeout=TIMEOUT_S)).operation


@pytest.fixture
async def long_work(gateway: Gateway, servers: Servers) -> AsyncIterator[Any]:
    """The gateway's operations."""
    async with servers.channel(gateway.app.port) as channel:
        yield OperationsServiceStub(channel)


async def _ended(long_work: Any, operation: operation_pb2.Operation) -> operation_pb2.Operation:
    request = operations.WaitOperationRequest(team_id=operation.team_id, operation_id=operation.operation_id)
    request.wait.FromSeconds(10)
    answer = await long_work.WaitOperation(request, timeout=20)
    ended: operation_pb2.Operation = answer.operation
    return ended


def _keys(gateway: Gateway) -> Sequence[str]:
    return [event.event_key for event in gateway.neighbours.segment.events]


@pytest.mark.rule("C-20d")
async def test_webhooks_are_handed_on_again_under_the_keys_that_they_had(
    gateway: Gateway, long_work: Any
) -> None:
    shop = Shop(gateway, await gateway.shop())
    for number in range(3):
        await shop.post(order(number))
    await gateway.settled()
    before = _keys(gateway)
    operation = await _start(gateway)
    assert operation.state == operation_pb2.OPERATION_STATE_RUNNING
    done = await _ended(long_work, operation)
    await gateway.settled()
    assert (done.state, done.done_count, done.total_count) == (operation_pb2.OPERATION_STATE_SUCCEEDED, 3, 3)
    assert _keys(gateway) == [*before, *before]
    assert {record.state for record in await stored(gateway)} == {webhook_pb2.INBOX_STATE_RECORDED}
    asked = operations.ListOperationsRequest(team_id=operation.team_id)
    assert list((await long_work.ListOperations(asked, timeout=TIMEOUT_S)).operations) == [done]
    cancel = operations.CancelOperationRequest(
        team_id=operation.team_id, request_id="c", operation_id=operation.operation_id
    )
    assert (await long_work.CancelOperation(cancel, timeout=TIMEOUT_S)).operation == done, "it has ended"


@pytest.mark.rule("C-20d")
async def test_a_replay_takes_what_it_is_asked_for_and_nothing_else(gateway: Gateway, long_work: Any) -> None:
    shop = Shop(gateway, await gateway.shop())
    gateway.neighbours.segment.refuse_keys.add("demo:order-2")
    for number in (1, 2):
        await shop.post(order(number))
    await gateway.settled()
    gateway.neighbours.segment.refuse_keys.clear()
    before = len(_keys(gateway))
    now = gateway.clock.now()
    later = timestamp(now + timedelta(hours=1))
    asked: tuple[tuple[dict[str, Any], int], ...] = (
        ({"source": webhook_pb2.INBOX_SOURCE_LINE}, 0),
        ({"start_time": later}, 0),
        ({"refused_only": True}, 1),
        ({"refused_only": True}, 0),
    )
    for fields, count in asked:
        done = await _ended(long_work, await _start(gateway, **fields))
        assert done.done_count == count
        await gateway.settled()
    assert _keys(gateway)[before:] == ["demo:order-2"]
    assert not any(record.refusals for record in await stored(gateway))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _start(gateway, start_time=later, end_time=timestamp(now))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
