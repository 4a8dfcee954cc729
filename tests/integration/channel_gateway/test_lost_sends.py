"""Which sends journeys await in vain: unknown ones, and settled ones whose outcome was taken."""

from __future__ import annotations

from uuid import UUID

import grpc
import pytest

from libs.common.ids import new_id, partition_of
from omnijourney.internal.v1 import sends_service_pb2
from services.channel_gateway.domain.model import AwaitedSend as Asked
from services.channel_gateway.usecases.lost_sends import LostSends
from services.journey.clients.sends import AwaitedSend, GatewaySends
from tests.integration.channel_gateway.conftest import LINE, TIMEOUT_S, Gateway
from tests.integration.channel_gateway.test_recovery import waiting_send


def awaited(gateway: Gateway, customer: str, effect_key: str, after: int) -> AwaitedSend:
    return AwaitedSend(gateway.team_id, UUID(customer), UUID(effect_key), after)


async def lost(gateway: Gateway, *sends: AwaitedSend) -> list[int]:
    return await GatewaySends(gateway.internal.sends).find_lost(sends)


async def test_a_send_is_lost_when_nothing_will_be_heard_of_it(gateway: Gateway) -> None:
    await gateway.settled()  # it has read what was to be delivered from before
    effect_key, customer = await waiting_send(gateway, LINE)
    unknown = awaited(gateway, customer, str(new_id()), 0)
    waiting = awaited(gateway, customer, effect_key, 0)
    assert await lost(gateway, unknown, waiting, unknown) == [0, 2]
    await gateway.settled()
    (mail,) = await gateway.mail(customer)
    settled = [awaited(gateway, customer, effect_key, number) for number in (mail.number - 1, mail.number)]
    assert await lost(gateway, *settled, unknown) == [1, 2]


async def test_the_send_of_another_team_or_customer_is_not_known(gateway: Gateway) -> None:
    effect_key, customer = await waiting_send(gateway, LINE)
    await gateway.settled()
    elsewhere = AwaitedSend(new_id(), UUID(customer), UUID(effect_key), 0)
    somebody = awaited(gateway, str(new_id()), effect_key, 0)
    assert await lost(gateway, elsewhere, awaited(gateway, customer, effect_key, 0), somebody) == [0, 2]


async def test_as_many_are_asked_about_as_the_contract_allows(gateway: Gateway) -> None:
    await gateway.settled()
    unknown = awaited(gateway, str(new_id()), str(new_id()), 0)
    assert await lost(gateway, *[unknown] * 500) == list(range(500))


async def test_a_faulty_question_is_refused_with_every_fault(gateway: Gateway) -> None:
    faulty = sends_service_pb2.AwaitedSend(
        team_id=str(gateway.team_id), customer_id="nobody", after_number=-1
    )
    for sends, named in (
        ([], "sends"),
        ([sends_service_pb2.AwaitedSend()] * 501, "sends"),
        ([faulty], "sends[0].effect_key"),
    ):
        request = sends_service_pb2.FindLostSendsRequest(sends=sends)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await gateway.internal.sends.FindLostSends(request, timeout=TIMEOUT_S)
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert named in str(raised.value.trailing_metadata()) + str(raised.value.details())


class AllLost:
    """Finds everything lost."""

    async def find(self, sends: list[Asked]) -> list[int]:
        """All of them."""
        return list(range(len(sends)))


async def test_nothing_is_lost_where_outcomes_are_still_to_be_delivered() -> None:
    sends = [Asked(new_id(), new_id(), new_id(), 0) for _ in range(6)]
    behind = {partition_of(send.team_id, send.customer_id) for send in sends[::2]}
    usecase = LostSends(AllLost(), behind.__contains__)  # type: ignore[arg-type]
    places = await usecase.find(sends)
    assert places == [
        place
        for place, send in enumerate(sends)
        if partition_of(send.team_id, send.customer_id) not in behind
    ]
    assert await LostSends(AllLost(), lambda _: True).find(sends) == []  # type: ignore[arg-type]
