"""The journeys of the teams at work, kept until their version changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.journey.clients.plans import NoPlans, TeamPlans
from services.journey.clients.zones import TeamZones
from services.journey.domain.matching import TeamJourneys, journeys_by_id
from services.journey.domain.model import Journey
from services.journey.store.codec import definition_text
from services.journey.store.turns_protocol import TurnStorage

KEPT_MAX: Final = 10_000
"""Definitions kept; when there are more all are forgotten, and read again as they are needed."""
BYTES_MAX: Final = 64 << 20
"""Of their texts as they are stored, but for those of one batch: a team may draw journeys of half a MiB."""

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


class Recalled(NamedTuple):
    """Journeys by team as they were found last, and their versions, which nothing has compared since."""

    by_team: ByTeam
    versions: Mapping[UUID, int]


class JourneyCatalog:
    """Definitions by journey. A turn loads the versions with its state, and the catalogue what is new of them."""

    def __init__(
        self,
        store: TurnStorage,
        zones: TeamZones,
        plans: TeamPlans | None = None,
        *,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        """`zones` is asked for teams with do-not-disturb windows only, `plans` for those with open journeys."""
        self._store = store
        self._zones = zones
        self._plans = plans or NoPlans()
        self._bytes_max = bytes_max
        self._journeys: dict[UUID, Journey] = {}
        self._sizes: dict[UUID, int] = {}
        self._teams: dict[UUID, TeamJourneys] = {}
        """As found last, without zones."""
        self._found = _Found(frozenset(), {}, {}, frozenset())
        self._in_zones = _InZones(self._found, {}, {})

    async def current(self, teams: Iterable[UUID], versions: Mapping[UUID, int]) -> ByTeam:
        """Journeys by team, each of the version given. Raises `ServiceUnavailable`."""
        wanted, found = frozenset(teams), self._found
        if (found.teams, found.versions) != (wanted, versions):
            found = self._found = await self._find(wanted, versions)
        self._teams.update(found.by_team)
        return await self._planned(found)

    async def recall(self, teams: Iterable[UUID]) -> Recalled | None:
        """Journeys of these teams as they were found last; None if any is not remembered. Raises
        `ServiceUnavailable`."""
        wanted = frozenset(teams)
        if self._found.teams != wanted:
            if not wanted <= self._teams.keys():
                return None
            self._found = _found(wanted, {team: self._teams[team] for team in wanted})
        found = self._found
        return Recalled(await self._planned(found), found.versions)

    async def _planned(self, found: _Found) -> ByTeam:
        by_team = await self._zoned(found)
        plans = await self._plans.plans([team for team, journeys in by_team.items() if journeys.lets_in])
        for team, journeys in by_team.items():
            journeys.plan = plans.get(team)
        return by_team

    async def _zoned(self, found: _Found) -> ByTeam:
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
            self._keep(fresh)
            known |= fresh
        by_team: dict[UUID, list[Journey]] = {team: [] for team in teams}
        for journey_id in versions:
            journey = known[journey_id]
            by_team.get(journey.team_id, []).append(journey)
        ordered = {team: journeys_by_id(journeys) for team, journeys in by_team.items()}
        return _found(teams, ordered)

    def _keep(self, fresh: Mapping[UUID, Journey]) -> None:
        sizes = {id_: len(definition_text(journey.definition)) for id_, journey in fresh.items()}
        size = sum((self._sizes | sizes).values())
        if size > self._bytes_max or max(len(self._journeys), len(self._teams)) >= KEPT_MAX:
            self._journeys.clear()
            self._sizes.clear()
            self._teams.clear()
        self._journeys |= fresh
        self._sizes |= sizes


def _found(teams: frozenset[UUID], by_team: ByTeam) -> _Found:
    every = [journey for journeys in by_team.values() for journey in journeys.values()]
    with_windows = frozenset(journey.team_id for journey in every if journey.definition.quiet)
    return _Found(teams, {journey.journey_id: journey.version for journey in every}, by_team, with_windows)


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
