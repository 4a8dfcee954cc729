"""The other services, as a turn needs them: hundreds of effects in, one answer each out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar
from uuid import UUID

import grpc

from libs.common.mailbox.mail import Mail, MailSource, decode_all
from libs.common.rpc.client import CALL_DEADLINE_S, retrying
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway_calls
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.common.v1 import history_pb2
from omnijourney.internal.v1 import customers_service_pb2, mail_service_pb2, sends_service_pb2
from services.journey.domain import effects as fx

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub
    from omnijourney.internal.v1.customers_service_pb2_grpc import CustomersServiceAsyncStub
    from omnijourney.internal.v1.mail_service_pb2_grpc import MailServiceAsyncStub
    from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceAsyncStub


class ServiceUnavailable(Exception):
    """A service did not answer a batch; asking again later may help, and nobody's mail is to blame."""


class Effects(Protocol):
    """What a turn asks."""

    async def answer(self, effects: Sequence[fx.Effect]) -> list[fx.Answer | Exception]:
        """One answer for each effect, in order; an exception where a call failed (`ServiceUnavailable`, or a fault)."""
        ...


class MailReader(Protocol):
    """The repair read of a source."""

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> list[Mail]:
        """The next page of a customer's mail, in order; empty at the end. Raises `ServiceUnavailable`."""
        ...

    async def of_partition(self, partition: int, after_position: int) -> list[Mail]:
        """The next page of a partition's mail; empty at the end. Raises `ServiceUnavailable`."""
        ...


class SendStopper(Protocol):
    """What stops sends that are not on the wire yet."""

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """Returns when no attempt of an epoch before `epoch` can start. Raises `ServiceUnavailable`."""
        ...


class SendProbe(Protocol):
    """What became of sends."""

    async def is_under_way(self, team_id: UUID, effect_key: UUID) -> bool:
        """Whether the send under a key is known and not settled. Raises `ServiceUnavailable`."""
        ...


class TeamZones(Protocol):
    """The zones of teams."""

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """IANA zone of each team. Raises `ServiceUnavailable`."""
        ...


class SourceMail:
    """Mail that one service numbered."""

    def __init__(self, source: MailSource, stub: MailServiceAsyncStub) -> None:
        """`stub` to the service that is `source`; it sends the token."""
        self.source = source
        self._stub = stub

    async def of_customer(self, team_id: UUID, customer_id: UUID, after_number: int) -> list[Mail]:
        """See `MailReader`."""
        cursor = mail_service_pb2.CustomerMailCursor(
            team_id=str(team_id), customer_id=str(customer_id), after_number=after_number
        )
        return await self._list(mail_service_pb2.ListMailRequest(customer=cursor))

    async def of_partition(self, partition: int, after_position: int) -> list[Mail]:
        """See `MailReader`."""
        cursor = history_pb2.HistoryCursor(partition=partition, after_position=after_position)
        return await self._list(mail_service_pb2.ListMailRequest(partition=cursor))

    async def _list(self, request: mail_service_pb2.ListMailRequest) -> list[Mail]:
        response = await _once(lambda: self._stub.ListMail(request, timeout=CALL_DEADLINE_S))
        return decode_all(response.mails)


class GatewaySends:
    """The gateway's brake, and what became of sends."""

    def __init__(self, brake: SendsServiceAsyncStub, deliveries: ChannelGatewayServiceAsyncStub) -> None:
        """Both send the token."""
        self._brake = brake
        self._deliveries = deliveries

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `SendStopper`."""
        request = sends_service_pb2.StopSendsRequest(
            team_id=str(team_id), journey_id=str(journey_id), epoch=epoch
        )
        await _retried(lambda: self._brake.StopSends(request, timeout=CALL_DEADLINE_S))

    async def is_under_way(self, team_id: UUID, effect_key: UUID) -> bool:
        """See `SendProbe`."""
        request = gateway_calls.GetDeliveryRequest(team_id=str(team_id), effect_key=str(effect_key))
        try:
            answer = await self._deliveries.GetDelivery(request, timeout=CALL_DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return False
            raise ServiceUnavailable(f"{error.code().name}: {error.details()}") from error
        return answer.delivery.state == delivery_pb2.SEND_STATE_ACCEPTED


class SegmentZones:
    """Zones from the teams' settings, kept for a few seconds."""

    KEEP_S: Final = 5.0

    def __init__(self, stub: CustomersServiceAsyncStub) -> None:
        """`stub` sends the token."""
        self._stub = stub
        self._kept: dict[UUID, tuple[float, str]] = {}

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """See `TeamZones`."""
        now = asyncio.get_running_loop().time()
        wanted = set(teams)
        old = [team for team in wanted if team not in self._kept or self._kept[team][0] < now]
        if old:
            request = customers_service_pb2.BatchGetTeamSettingsRequest(team_ids=[str(team) for team in old])
            response = await _retried(
                lambda: self._stub.BatchGetTeamSettings(request, timeout=CALL_DEADLINE_S)
            )
            for team, settings in zip(old, response.settings, strict=True):
                self._kept[team] = (now + self.KEEP_S, settings.time_zone or "UTC")
        return {team: self._kept[team][1] for team in wanted}


R = TypeVar("R")


async def _once(call: Callable[[], Awaitable[R]]) -> R:
    """For reads of the worker, which comes again by itself."""
    try:
        return await call()
    except grpc.aio.AioRpcError as error:
        raise ServiceUnavailable(f"{error.code().name}: {error.details()}") from error


async def _retried(call: Callable[[], Awaitable[R]]) -> R:
    return await _once(lambda: retrying(call))
