"""Where customers wait now, as journey counts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import CALL_DEADLINE_S
from omnijourney.journey.v1 import explain_pb2
from omnijourney.journey.v1 import journey_service_pb2 as journey
from omnijourney.journey.v1 import journey_service_pb2_grpc as journey_grpc

_NONE: Final = grpc.StatusCode.NOT_FOUND
"""Of a journey that is not there: nobody waits in it."""


class Waits:
    """Asks journey."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` leads to journey."""
        self._journeys = journey_grpc.JourneyServiceStub(channel)

    async def of_journey(self, team_id: UUID, journey_id: UUID) -> Sequence[explain_pb2.WaitCount]:
        """How many wait at each node for each reason, in order of the nodes' ids. Raises Unavailable."""
        request = journey.CountWaitsRequest(team_id=str(team_id), journey_id=str(journey_id))
        try:
            response: journey.CountWaitsResponse = await self._journeys.CountWaits(
                request, timeout=CALL_DEADLINE_S
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is _NONE:
                return ()
            raise Unavailable.dependency("journey") from error
        return response.waits
