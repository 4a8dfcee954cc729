"""Sends at the gateway: whether one is under way, and the brake for those of a journey that stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from uuid import UUID

import grpc

from libs.common.rpc.client import CALL_DEADLINE_S
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2 as gateway_calls
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import sends_service_pb2
from services.journey.clients.calls import ServiceUnavailable, call_retrying

if TYPE_CHECKING:
    from omnijourney.channel_gateway.v1.channel_gateway_service_pb2_grpc import ChannelGatewayServiceAsyncStub
    from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceAsyncStub


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
        await call_retrying(lambda: self._brake.StopSends(request, timeout=CALL_DEADLINE_S))

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
