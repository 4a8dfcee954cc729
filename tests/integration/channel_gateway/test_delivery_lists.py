"""Deliveries are found by channel, reason and time, in pages that have each of them once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from libs.common.ids import new_id
from libs.common.rpc.errors import remote_error
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as pb
from omnijourney.common.v1 import error_reason_pb2
from tests.integration.channel_gateway.conftest import LINE, START, TIMEOUT_S, WHATSAPP, Gateway

UNBOUND, CHANNEL_REFUSED = (
    error_reason_pb2.ERROR_REASON_UNBOUND,
    error_reason_pb2.ERROR_REASON_CHANNEL_REFUSED,
)


async def asked(
    gateway: Gateway, account: str, channel: int, module: str, *, bound: int, unbound: int
) -> list[str]:
    """Sends to so many customers of an account, and to so many whom no account knows: their keys."""
    customers = [gateway.customer(account, channel) for _ in range(bound)]
    sends = [
        gateway.send(each, channel, account_id=account, bot_module_id=module)
        for each in (*customers, *(str(new_id()) for _ in range(unbound)))
    ]
    await gateway.ask(*sends)
    await gateway.settled()
    return [each.effect_key for each in sends]


async def listed(gateway: Gateway, *, page_size: int = 0, **filters: Any) -> list[str]:
    """The keys of all pages."""
    request = pb.ListDeliveriesRequest(team_id=str(gateway.team_id), page_size=page_size, **filters)
    keys: list[str] = []
    while True:
        answer = await gateway.stub.ListDeliveries(request, timeout=TIMEOUT_S)
        keys += [each.effect_key for each in answer.deliveries]
        if not answer.next_page_token:
            return keys
        request.page_token = answer.next_page_token


def within(start: datetime | None, end: datetime | None) -> dict[str, Any]:
    """The range of a listing."""
    times = {"start_time": start, "end_time": end}
    return {name: timestamp(at) for name, at in times.items() if at is not None}


def same(found: Sequence[str], expected: Sequence[str]) -> bool:
    """Each once, whatever the order."""
    return sorted(found) == sorted(expected)


async def test_deliveries_are_found_by_channel_and_by_reason(gateway: Gateway) -> None:
    module = await gateway.module()
    line, whatsapp = await gateway.account(LINE), await gateway.account(WHATSAPP, sink=True)
    await gateway.top_up(10_000_000)
    on_line = await asked(gateway, line, LINE, module, bound=2, unbound=3)
    on_whatsapp = await asked(gateway, whatsapp, WHATSAPP, module, bound=1, unbound=2)
    real = await gateway.account(WHATSAPP)
    await gateway.fault("whatsapp", kind="code", code=131009, status=400)
    refused = await asked(gateway, real, WHATSAPP, module, bound=1, unbound=0)
    assert same(await listed(gateway, channel=LINE, page_size=2), on_line)
    assert same(await listed(gateway, channel=WHATSAPP, page_size=1), on_whatsapp + refused)
    assert same(await listed(gateway, reason=UNBOUND, page_size=2), on_line[2:] + on_whatsapp[1:])
    assert same(await listed(gateway, reason=UNBOUND, channel=WHATSAPP), on_whatsapp[1:])
    assert await listed(gateway, reason=CHANNEL_REFUSED) == refused, "whatever the channel's own code was"
    assert not await listed(gateway, reason=error_reason_pb2.ERROR_REASON_BLOCKED)


async def test_deliveries_are_found_by_when_they_were_asked_for(gateway: Gateway) -> None:
    module = await gateway.module()
    account = await gateway.account(LINE)
    batches: list[list[str]] = []
    for _ in range(3):
        batches.append(await asked(gateway, account, LINE, module, bound=2, unbound=1))
        gateway.clock.advance(timedelta(hours=1))
    second, third = START + timedelta(hours=1), START + timedelta(hours=2)
    assert same(await listed(gateway, page_size=1, **within(second, None)), batches[1] + batches[2])
    assert same(await listed(gateway, page_size=1, **within(None, second)), batches[0])
    assert same(await listed(gateway, page_size=2, **within(second, third)), batches[1])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await listed(gateway, **within(third, second))
    assert [each.field for each in remote_error(refused.value).violations] == ["end_time"]


async def test_a_page_goes_on_with_the_same_filters_only(gateway: Gateway) -> None:
    module = await gateway.module()
    account = await gateway.account(LINE)
    await asked(gateway, account, LINE, module, bound=0, unbound=2)
    request = pb.ListDeliveriesRequest(team_id=str(gateway.team_id), page_size=1, reason=UNBOUND)
    token = (await gateway.stub.ListDeliveries(request, timeout=TIMEOUT_S)).next_page_token
    assert token
    for other in ({"channel": LINE}, within(START, None), {"reason": CHANNEL_REFUSED}):
        again = pb.ListDeliveriesRequest(
            team_id=str(gateway.team_id), page_token=token, **{"reason": UNBOUND, **other}
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await gateway.stub.ListDeliveries(again, timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
