"""Figures by step of a team's own hours and days."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.common.clients.team_settings import TeamSettingsClient
from services.stats.domain.model import Total
from services.stats.domain.series import step_starts
from services.stats.store.counters import CounterStore


class Series:
    """Sums by step."""

    def __init__(self, counters: CounterStore, settings: TeamSettingsClient) -> None:
        """`settings` gives the zones of teams."""
        self._counters = counters
        self._settings = settings

    async def of_journey(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], unit: str
    ) -> tuple[list[datetime], list[tuple[int, Total]]]:
        """Starts of the steps of a span ("hour" or "day" of the team's zone, UTC for a team that is not known), and
        sums by index of the step. Raises Unavailable."""
        zone = (await self._settings.of_all([team_id]))[team_id].zone
        starts = list(step_starts(*span, unit, zone))
        return starts, await self._counters.series(team_id, journey_id, span, starts)
