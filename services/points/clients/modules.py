"""Which teams have the module POINTS, as segment has it: asked once in some seconds a team, never for each posting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final
from uuid import UUID

from libs.common.clients.team_settings import TeamSettings, TeamSettingsClient
from libs.common.errors import FailedPrecondition, Unavailable
from omnijourney.segment.v1 import team_pb2

WAIT_S: Final = 0.5
"""How long a call waits for segment, real seconds; then it goes by what was known last."""
AWAY_S: Final = 1.0
"""How long segment is not asked again after it did not answer, so that an outage costs one call of many a wait."""


class PointsModule:
    """Asks of teams whether they have the module POINTS.

    What was known last holds while segment does not answer, and where nothing is known the team has it: an outage of
    segment, or its start after this service, stops nobody's points.
    """

    def __init__(
        self, settings: TeamSettingsClient, *, real_time: Callable[[], float] = time.monotonic
    ) -> None:
        """`real_time` gives seconds that never run backwards."""
        self._settings = settings
        self._real_time = real_time
        self._asked_again_s = 0.0

    async def lacking(self, team_ids: Collection[UUID]) -> frozenset[UUID]:
        """Those of the teams without it."""
        known = self._settings.kept(team_ids)
        if len(known) < len(team_ids):
            known = await self._asked(team_ids)
        return frozenset(team for team, each in known.items() if not each.has(team_pb2.MODULE_POINTS))

    async def refusal(self, team_id: UUID) -> FailedPrecondition | None:
        """Why the team may have nothing done that needs it; None where it has it."""
        return FailedPrecondition.module_missing("POINTS") if await self.lacking({team_id}) else None

    async def require(self, *team_ids: UUID) -> None:
        """Raises FailedPrecondition `MODULE_MISSING` if any of the teams lacks it."""
        if await self.lacking(frozenset(team_ids)):
            raise FailedPrecondition.module_missing("POINTS")

    async def _asked(self, team_ids: Collection[UUID]) -> dict[UUID, TeamSettings]:
        if self._real_time() >= self._asked_again_s:
            try:
                async with asyncio.timeout(WAIT_S):
                    return await self._settings.of_all(team_ids, attempts=1)
            except (TimeoutError, Unavailable):
                self._asked_again_s = self._real_time() + AWAY_S
        return self._settings.kept(team_ids, however_old=True)
