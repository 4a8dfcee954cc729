"""Time zones of teams, in which their do-not-disturb windows are meant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol
from uuid import UUID

from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.errors import Unavailable
from services.journey.clients.calls import ServiceUnavailable


class TeamZones(Protocol):
    """The zones of teams."""

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """IANA zone of each team. Raises `ServiceUnavailable`."""
        ...


class SegmentZones:
    """Zones out of the teams' settings."""

    def __init__(self, settings: TeamSettingsClient) -> None:
        """`settings` keeps them for a few seconds."""
        self._settings = settings

    async def zones(self, teams: Iterable[UUID]) -> dict[UUID, str]:
        """See `TeamZones`."""
        try:
            settings = await self._settings.of_all(set(teams))
        except Unavailable as error:
            raise ServiceUnavailable("segment does not answer for the settings of teams") from error
        return {team: kept.zone for team, kept in settings.items()}
