"""Sends at the gateway: which are lost, the brake for those of a journey that stops, and one that is taken back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import UUID

from libs.common.rpc.client import CALL_DEADLINE_S
from omnijourney.internal.v1 import sends_service_pb2
from services.journey.clients.calls import call_once

if TYPE_CHECKING:
    from omnijourney.internal.v1.sends_service_pb2_grpc import SendsServiceAsyncStub


class SendStopper(Protocol):
    """What stops sends that are not on the wire yet."""

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """Returns when no attempt of an epoch before `epoch` can start. Raises `ServiceUnavailable`."""
        ...

    async def recall_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """Returns when each send of an epoch before `epoch` is put off, has left, or has begun to. Raises
        `ServiceUnavailable`."""
        ...


class SendCanceller(Protocol):
    """What takes one send back."""

    async def cancel_send(self, team_id: UUID, effect_key: UUID) -> None:
        """Returns when no attempt of the send can start. Raises `ServiceUnavailable`."""
        ...


class AwaitedSend(NamedTuple):
    """A send whose outcome an enrolment awaits."""

    team_id: UUID
    customer_id: UUID
    effect_key: UUID
    after_number: int
    """The customer has taken the gateway's mail up to this number."""


class SendProbe(Protocol):
    """What became of sends."""

    async def find_lost(self, sends: Sequence[AwaitedSend]) -> list[int]:
        """Of 1 to 500 sends, the places of those of which nothing will be heard any more.

        Raises `ServiceUnavailable`.
        """
        ...


class GatewaySends:
    """The gateway's brake, and what became of sends."""

    def __init__(self, stub: SendsServiceAsyncStub) -> None:
        """It sends the token."""
        self._stub = stub

    async def stop_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `SendStopper`."""
        request = sends_service_pb2.StopSendsRequest(
            team_id=str(team_id), journey_id=str(journey_id), epoch=epoch
        )
        await call_once(lambda: self._stub.StopSends(request, timeout=CALL_DEADLINE_S))

    async def recall_sends(self, team_id: UUID, journey_id: UUID, epoch: int) -> None:
        """See `SendStopper`."""
        request = sends_service_pb2.RecallSendsRequest(
            team_id=str(team_id), journey_id=str(journey_id), epoch=epoch
        )
        await call_once(lambda: self._stub.RecallSends(request, timeout=CALL_DEADLINE_S))

    async def cancel_send(self, team_id: UUID, effect_key: UUID) -> None:
        """See `SendCanceller`."""
        request = sends_service_pb2.CancelSendRequest(team_id=str(team_id), effect_key=str(effect_key))
        await call_once(lambda: self._stub.CancelSend(request, timeout=CALL_DEADLINE_S))

    async def find_lost(self, sends: Sequence[AwaitedSend]) -> list[int]:
        """See `SendProbe`."""
        request = sends_service_pb2.FindLostSendsRequest(
            sends=[
                sends_service_pb2.AwaitedSend(
                    team_id=str(send.team_id),
                    customer_id=str(send.customer_id),
                    effect_key=str(send.effect_key),
                    after_number=send.after_number,
                )
                for send in sends
            ]
        )
        answer = await call_once(lambda: self._stub.FindLostSends(request, timeout=CALL_DEADLINE_S))
        return list(answer.places)
