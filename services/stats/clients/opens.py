"""How many people opened messages, asked of the gateway."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from omnijourney.internal.v1 import opens_service_pb2 as pb
from omnijourney.internal.v1 import opens_service_pb2_grpc
from services.stats.domain.opens import OpensKey, days_of

QUESTIONS_MAX: Final = 10
"""Of one call."""
DEADLINE_S: Final = 60.0
"""The gateway asks for 45 seconds at most, and answers then."""


class Opens(Protocol):
    """Who asks the channels."""

    async def ask(self, team_id: UUID, keys: Sequence[OpensKey], now: datetime) -> Sequence[pb.OpensAnswer]:
        """What the channel says of nodes of one team, up to QUESTIONS_MAX, in order. Raises Unavailable."""
        ...


class GatewayOpens:
    """See `Opens`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` leads to the gateway."""
        self._stub = opens_service_pb2_grpc.OpensServiceStub(channel)

    async def ask(self, team_id: UUID, keys: Sequence[OpensKey], now: datetime) -> Sequence[pb.OpensAnswer]:
        """See `Opens`."""
        request = pb.ReadOpensRequest(team_id=str(team_id))
        for key in keys:
            first, count = days_of(key.window_start, now)
            request.questions.add(
                journey_id=str(key.journey_id), node_id=key.node_id, first_day=first, day_count=count
            )
        try:
            response: pb.ReadOpensResponse = await self._stub.ReadOpens(request, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("channel_gateway") from error
        return response.answers
