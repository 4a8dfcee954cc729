"""The journeys of the teams at work, kept until their version changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.journey.clients.zones import TeamZones
from services.journey.domain.matching import TeamJourneys
from services.journey.domain.model import Journey
from services.journey.domain.turn import journeys_by_id
from services.journey.store.turns_protocol import TurnStorage

KEPT_MAX: Final = 10_000
"""Definitions kept; when there are more all are forgotten, and read again as they are needed."""

ByTeam = Mapping[UUID, TeamJourneys]


class _Found(NamedTuple):
    """The journeys of a batch, without zones. The next batch is mostly of the same teams, in which nothing changed."""

    teams: frozenset[UUID]
    versions: Mapping[UUID, int]
    by_team: ByTeam
    with_windows: frozenset[UUID]
    """Teams that have journeys with do-not-disturb windows."""


class _InZones(NamedTuple):
    found: _Found
    zones: Mapping[UUID, str]
    by_team: ByTeam


class JourneyCatalog:
    """Definitions by journey. A turn loads the versions with its state, and the catalogue what is new of them."""

    def __init__(self, store: TurnStorage, zones: TeamZones) -> None:
        """`zones` is asked for teams with do-not-disturb windows only."""
        self._store = store
        self._zones = zones
        self._journeys: dict[UUID, Journey] = {}
        self._found = _Found(frozenset(), {}, {}, frozenset())
        self._in_zones = _InZones(self._found, {}, {})

    async def current(self, teams: Iterable[UUID], versions: Mapping[UUID, int]) -> ByTeam:
        """Journeys by team, each of the version given. Raises `ServiceUnavailable`."""
        wanted, found = frozenset(teams), self._found
        if (found.teams, found.versions) != (wanted, versions):
            found = self._found = await self._find(wanted, versions)
        if not found.with_windows:
            return found.by_team
        zones = await self._zones.zones(found.with_windows)
        if self._in_zones.found is not found or self._in_zones.zones != zones:
            self._in_zones = _InZones(found, zones, _in_zones(found, zones))
        return self._in_zones.by_team

    async def _find(self, teams: frozenset[UUID], versions: Mapping[UUID, int]) -> _Found:
        known = {
            journey_id: journey
            for journey_id, version in versions.items()
            if (journey := self._journeys.get(journey_id)) is not None and journey.version == version
        }
        stale = [journey_id for journey_id in versions if journey_id not in known]
        if stale:
            fresh = {journey.journey_id: journey for journey in await self._store.journeys(teams, stale)}
            if len(self._journeys) >= KEPT_MAX:
                self._journeys.clear()
            self._journeys |= fresh
            known |= fresh
        by_team: dict[UUID, list[Journey]] = {team: [] for team in teams}
        for journey_id in versions:
            journey = known[journey_id]
            by_team.get(journey.team_id, []).append(journey)
        with_windows = {
            team
            for team, journeys in by_team.items()
            if any(journey.definition.quiet for journey in journeys)
        }
        ordered = {team: journeys_by_id(journeys) for team, journeys in by_team.items()}
        return _Found(teams, dict(versions), ordered, frozenset(with_windows))


def _in_zones(found: _Found, zones: Mapping[UUID, str]) -> ByTeam:
    return {
        team: TeamJourneys(
            (id_, msgspec.structs.replace(each, zone=zones[team]) if each.definition.quiet else each)
            for id_, each in journeys.items()
        )
        if team in found.with_windows
        else journeys
        for team, journeys in found.by_team.items()
    }
