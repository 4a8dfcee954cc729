"""The journeys of the teams at work, kept until their version changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from services.journey.clients import TeamZones
from services.journey.domain.model import Journey
from services.journey.domain.turn import journeys_by_id
from services.journey.turn_storage import TurnStorage


class JourneyCatalog:
    """Definitions by journey. A turn loads the versions with its state, and the catalogue what is new of them."""

    def __init__(self, store: TurnStorage, zones: TeamZones) -> None:
        """`zones` is asked for teams with do-not-disturb windows only."""
        self._store = store
        self._zones = zones
        self._journeys: dict[UUID, Journey] = {}

    async def current(
        self, teams: Iterable[UUID], versions: Mapping[UUID, int]
    ) -> dict[UUID, Mapping[UUID, Journey]]:
        """Journeys by team and id, each of the version given. Raises `ServiceUnavailable`."""
        wanted = set(teams)
        stale = [
            journey_id
            for journey_id, version in versions.items()
            if journey_id not in self._journeys or self._journeys[journey_id].version != version
        ]
        if stale:
            for journey in await self._store.journeys(wanted, stale):
                self._journeys[journey.journey_id] = journey
        journeys = await self._in_zones([self._journeys[journey_id] for journey_id in versions])
        return {team: journeys_by_id(j for j in journeys if j.team_id == team) for team in wanted}

    async def _in_zones(self, journeys: list[Journey]) -> list[Journey]:
        with_windows = {journey.team_id for journey in journeys if journey.definition.quiet}
        if not with_windows:
            return journeys
        zones = await self._zones.zones(with_windows)
        return [
            msgspec.structs.replace(journey, zone=zones[journey.team_id])
            if journey.definition.quiet
            else journey
            for journey in journeys
        ]
