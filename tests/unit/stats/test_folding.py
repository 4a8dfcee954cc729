"""What folds days of figures goes by each team's zone, and one that cannot be read keeps no other's hours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.common.clients.team_settings import TeamSettings
from libs.common.clock import SteppedClock
from services.stats.worker.days import Days

NOW = datetime(2026, 11, 30, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=40)
ODD, PLAIN = UUID(int=1), UUID(int=2)


class _Store:
    """Two teams with hours of long ago."""

    def __init__(self) -> None:
        self.folded: list[UUID] = []
        self.since: dict[UUID, datetime] = {}

    async def roll_up(self, *_: Any) -> tuple[None, int]:
        return None, 0

    async def teams_with_hours(
        self, before: datetime, after: UUID, _most: int
    ) -> list[tuple[UUID, datetime]]:
        return [(team, LONG_AGO) for team in (ODD, PLAIN) if team > after and before > LONG_AGO]

    async def keep_hours_since(self, team_id: UUID, since: datetime) -> None:
        self.since[team_id] = since

    async def fold(self, team_id: UUID, *_: Any) -> int:
        self.folded.append(team_id)
        return 0


class _Settings:
    def __init__(self, zone: str = "Nowhere/Land") -> None:
        self.zone = zone

    async def of_all(self, team_ids: list[UUID]) -> dict[UUID, TeamSettings]:
        zones = {ODD: self.zone, PLAIN: "Asia/Taipei"}
        return {team: TeamSettings(zones[team], frozenset(), known=True) for team in team_ids}


async def test_a_team_whose_zone_is_not_known_here_keeps_its_hours_and_no_others() -> None:
    store: Any = _Store()
    settings: Any = _Settings()
    await Days(store, settings, SteppedClock(NOW), timedelta(days=30)).round(asyncio.Event())
    assert store.folded == [PLAIN]


@pytest.mark.rule("S-08c")
@pytest.mark.parametrize(
    ("installation", "own", "folded"),
    [
        (None, {}, {}),
        (None, {ODD: 30}, {ODD: 30}),
        (None, {ODD: 50}, {}),
        (30, {}, {ODD: 30, PLAIN: 30}),
        (30, {ODD: 50}, {PLAIN: 30}),
        (50, {PLAIN: 30}, {PLAIN: 30}),
        (35, {PLAIN: 30}, {ODD: 35, PLAIN: 30}),
    ],
)
async def test_what_a_team_says_goes_before_what_the_installation_says(
    installation: int | None, own: dict[UUID, int], folded: dict[UUID, int]
) -> None:
    store: Any = _Store()
    settings: Any = _Settings("UTC")

    async def said() -> dict[UUID, timedelta]:
        return {team: timedelta(days=kept) for team, kept in own.items()}

    kept = None if installation is None else timedelta(days=installation)
    await Days(store, settings, SteppedClock(NOW), kept, said).round(asyncio.Event())
    assert store.folded == list(folded)
    assert {team: round((NOW - since) / timedelta(days=1)) for team, since in store.since.items()} == folded
