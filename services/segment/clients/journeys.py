"""Journey, as segment needs it: which journeys name a thing."""

from __future__ import annotations

from typing import Final, Protocol
from uuid import UUID

import grpc

from libs.common.errors import Unavailable
from libs.common.rpc.client import retrying
from omnijourney.journey.v1 import journey_service_pb2, journey_service_pb2_grpc
from services.segment.domain.uses import USERS_SHOWN, User, UserKind

DEADLINE_S: Final = 3.0
ATTEMPTS_MAX: Final = 2
"""A connection to the database is held meanwhile."""


class JourneyUses(Protocol):
    """Journeys by what they name. Raises Unavailable while that cannot be found out."""

    async def of_audience(self, team_id: UUID, audience_id: UUID) -> list[User]:
        """The first that are drafts or live and name a saved audience."""
        ...

    async def of_tag(self, team_id: UUID, tag: str) -> list[User]:
        """The first that name a tag."""
        ...


class JourneysClient:
    """Asks the journey service. See `JourneyUses`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to journey."""
        self._stub = journey_service_pb2_grpc.JourneyServiceStub(channel)

    async def of_audience(self, team_id: UUID, audience_id: UUID) -> list[User]:
        """See `JourneyUses`."""
        return await self._naming(team_id, saved_audience_id=str(audience_id))

    async def of_tag(self, team_id: UUID, tag: str) -> list[User]:
        """See `JourneyUses`."""
        return await self._naming(team_id, tag=tag)

    async def _naming(self, team_id: UUID, **thing: str) -> list[User]:
        request = journey_service_pb2.ListReferringJourneysRequest(
            team_id=str(team_id), page_size=USERS_SHOWN, **thing
        )
        try:
            found = await retrying(
                lambda: self._stub.ListReferringJourneys(request, timeout=DEADLINE_S), attempts=ATTEMPTS_MAX
            )
        except grpc.aio.AioRpcError as error:
            raise Unavailable.dependency("journey") from error
        return [User(UserKind.JOURNEY, UUID(each.journey_id), each.name) for each in found.journeys]
