"""How far the other services have taken the history."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S
from libs.common.rpc.followers import Taken
from omnijourney.internal.v1 import followers_service_pb2 as pb
from omnijourney.internal.v1.followers_service_pb2_grpc import FollowersServiceStub


class FollowersClient:
    """Asks all of them."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        """By service."""
        self._stubs = {service: FollowersServiceStub(channel) for service, channel in channels.items()}

    async def taken(self, team_id: UUID) -> list[Taken]:
        """How far each is. Raises Unavailable."""
        return list(await asyncio.gather(*(self._ask(service, team_id) for service in self._stubs)))

    async def _ask(self, service: str, team_id: UUID) -> Taken:
        try:
            answer = await self._stubs[service].GetTaken(
                pb.GetTakenRequest(team_id=str(team_id)), timeout=CALL_DEADLINE_S
            )
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency(service) from error
        waiting = [UUID(each) for each in answer.waiting_customer_ids]
        return Taken(dict(answer.positions), dict(answer.mail_positions), waiting)
