"""The journeys of the teams at work, kept until their version changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

import msgspec

from services.journey.clients.zones import TeamZones
from services.journey.domain.model import Journey
from services.journey.domain.turn import journeys_by_id
from services.journey.store.turns_protocol import TurnStorage

KEPT_MAX: Final = 10_000
"""Definitions kept; when there are more all are forgotten, and read again as they are needed."""


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
        known = {
            journey_id: journey
            for journey_id, version in versions.items()
            if (journey := self._journeys.get(journey_id)) is not None and journey.version == version
        }
        stale = [journey_id for journey_id in versions if journey_id not in known]
        if stale:
            fresh = {journey.journey_id: journey for journey in await self._store.journeys(wanted, stale)}
            if len(self._journeys) >= KEPT_MAX:
                self._journeys.clear()
            self._journeys |= fresh
            known |= fresh
        journeys = await self._in_zones([known[journey_id] for journey_id in versions])
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
