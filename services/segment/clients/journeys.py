"""Journey, as segment needs it: which journeys name a thing."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import grpc

from libs.common.clients.using_journeys import UsingJourneys
from services.segment.domain.uses import User, UserKind


class JourneyUses(Protocol):
    """Journeys by what they name, the first that are drafts or live. Raises Unavailable while that cannot be found
    out."""

    async def of_audience(self, team_id: UUID, audience_id: UUID) -> list[User]:
        """Those that name a saved audience."""
        ...

    async def of_tag(self, team_id: UUID, tag: str) -> list[User]:
        """Those that name a tag."""
        ...

    async def of_attribute(self, team_id: UUID, key: str) -> list[User]:
        """Those that name an attribute, themselves or in a bot module that they send."""
        ...


class JourneysClient:
    """Asks the journey service. See `JourneyUses`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """`channel` to journey."""
        self._journeys = UsingJourneys(channel)

    async def of_audience(self, team_id: UUID, audience_id: UUID) -> list[User]:
        """See `JourneyUses`."""
        return await self._naming(team_id, saved_audience_id=str(audience_id))

    async def of_tag(self, team_id: UUID, tag: str) -> list[User]:
        """See `JourneyUses`."""
        return await self._naming(team_id, tag=tag)

    async def of_attribute(self, team_id: UUID, key: str) -> list[User]:
        """See `JourneyUses`."""
        return await self._naming(team_id, attribute_key=key)

    async def _naming(self, team_id: UUID, **thing: str) -> list[User]:
        found = await self._journeys.of(team_id, **thing)
        return [User(UserKind.JOURNEY, each.journey_id, each.name) for each in found]
