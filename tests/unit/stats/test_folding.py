"""What folds days of figures goes by each team's zone, and one that cannot be read keeps no other's hours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.common.clients.team_settings import TeamSettings
from libs.common.clock import SteppedClock
from services.stats.worker.days import Days

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ODD, PLAIN = UUID(int=1), UUID(int=2)


class _Store:
    """Two teams with hours of long ago."""

    def __init__(self) -> None:
        self.folded: list[UUID] = []

    async def roll_up(self, *_: Any) -> tuple[None, int]:
        return None, 0

    async def teams_with_hours(
        self, _before: datetime, after: UUID, _most: int
    ) -> list[tuple[UUID, datetime]]:
        long_ago = NOW - timedelta(days=40)
        return [(team, long_ago) for team in (ODD, PLAIN) if team > after]

    async def keep_hours_since(self, *_: Any) -> None:
        """Nothing to note."""

    async def fold(self, team_id: UUID, *_: Any) -> int:
        self.folded.append(team_id)
        return 0


class _Settings:
    async def of_all(self, team_ids: list[UUID]) -> dict[UUID, TeamSettings]:
        zones = {ODD: "Nowhere/Land", PLAIN: "Asia/Taipei"}
        return {team: TeamSettings(zones[team], frozenset(), known=True) for team in team_ids}


async def test_a_team_whose_zone_is_not_known_here_keeps_its_hours_and_no_others() -> None:
    store: Any = _Store()
    settings: Any = _Settings()
    await Days(store, settings, SteppedClock(NOW), timedelta(days=30)).round(asyncio.Event())
    assert store.folded == [PLAIN]
