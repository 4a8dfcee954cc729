"""Plans of teams, out of their settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol
from uuid import UUID

from libs.common.clients.team_settings import TEAMS_MAX, TeamSettings, TeamSettingsClient
from libs.common.errors import Unavailable
from services.journey.domain.plan import TeamPlan

WITHIN_S: Final = 0.5
"""How long a batch waits for settings, real seconds: with segment away, those go on who do not enter."""
PAUSE_S: Final = 1.0
"""How long segment is not asked after it did not answer."""
_UNKNOWN: Final = TeamPlan("UTC", None)


class TeamPlans(Protocol):
    """The plans of teams."""

    async def plans(self, teams: Collection[UUID]) -> Mapping[UUID, TeamPlan]:
        """The plan of each team that has a limit; those without one are missing."""
        ...


class NoPlans:
    """Teams without limits."""

    async def plans(self, teams: Collection[UUID]) -> Mapping[UUID, TeamPlan]:
        """See `TeamPlans`."""
        return {}


class SegmentPlans:
    """Plans as segment has them, a few seconds old at most; with segment away those that were known last."""

    def __init__(
        self, settings: TeamSettingsClient, *, real_time: Callable[[], float] = time.monotonic
    ) -> None:
        """`settings` keeps them for a few seconds; `real_time` gives seconds that never run backwards."""
        self._settings = settings
        self._real_time = real_time
        self._last: dict[UUID, TeamPlan | None] = {}
        self._asks_again_s = 0.0

    async def plans(self, teams: Collection[UUID]) -> Mapping[UUID, TeamPlan]:
        """See `TeamPlans`."""
        if self._real_time() >= self._asks_again_s:
            await self._ask(teams)
        found = {team: self._last.get(team, _UNKNOWN) for team in teams}
        return {team: plan for team, plan in found.items() if plan is not None}

    async def _ask(self, teams: Collection[UUID]) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                settings = await self._settings.of_all(teams)
        except (TimeoutError, Unavailable):
            self._asks_again_s = self._real_time() + PAUSE_S
            return
        if len(self._last) + len(settings) > TEAMS_MAX:
            self._last.clear()
        self._last.update((team, _plan(each)) for team, each in settings.items())


def _plan(settings: TeamSettings) -> TeamPlan | None:
    most = settings.monthly_enrolments_max
    return None if most is None else TeamPlan(settings.zone, most)
