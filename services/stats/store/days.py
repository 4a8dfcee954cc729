"""Counters of days that are over: filled from those of quarters of an hour, and folded to days of teams."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from libs.common import crash
from libs.common.db.pool import Pool, transaction
from services.stats.domain.model import NO_CHANNEL, SEND_METRICS
from services.stats.domain.overview import OF_OVERVIEWS
from services.stats.store.base import BOOK

SUMMED: Final = {
    "journey_metrics": list(OF_OVERVIEWS),
    "send_metrics": list(SEND_METRICS),
    "no_channel": NO_CHANNEL,
}
"""The metrics of which sums are kept for journeys as a whole, and, by channel, for teams."""


class Place(NamedTuple):
    """A journey of a team."""

    team_id: UUID
    journey_id: UUID


FIRST: Final = Place(UUID(int=0), UUID(int=0))
"""Before all."""


class DayStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def roll_up(
        self, before: datetime, after: Place, journey_max: int, row_max: int
    ) -> tuple[Place | None, int]:
        """Moves counters of quarters before a day into those of days. Returns after which journey to go on, None if it
        was the last or somebody else is at it, and how many rows were moved."""
        rolled = BOOK.bind(
            "roll_up",
            rolled_before=before,
            after_team=after.team_id,
            after_journey=after.journey_id,
            journey_max=journey_max,
            row_max=row_max,
            **SUMMED,
        )
        async with transaction(self._pool, ()) as connection:
            row = await connection.fetchrow(*rolled)
            if row is None:
                return None, 0
            if row["moved_count"]:
                crash.reach("stats.rolling")
        place = None if row["last_team"] is None else Place(row["last_team"], row["last_journey"])
        return place, row["moved_count"]

    async def teams_with_hours(
        self, since: datetime, after: UUID, team_max: int
    ) -> list[tuple[UUID, datetime]]:
        """Teams, in order of their ids, of which anything before a time is not folded to days, and its oldest day."""
        query = BOOK.bind("teams_with_hours", kept_since=since, after_team=after, team_max=team_max)
        return [(row["team_id"], row["oldest_day"]) for row in await self._pool.fetch(*query)]

    async def keep_hours_since(self, team_id: UUID, since: datetime) -> None:
        """Notes that hours before a time are asked for in vain, before the first of them goes."""
        async with transaction(self._pool, [team_id]) as connection:
            await connection.execute(*BOOK.bind("keep_hours_since", team_id=team_id, since=since))

    async def fold(
        self, team_id: UUID, since: datetime, starts: Sequence[datetime], row_max: int
    ) -> int | None:
        """Puts what a team's oldest counters of days add before a time at the beginnings of its own days; of how many.
        None: somebody else works on days."""
        folded = BOOK.bind(
            "fold_days",
            team_id=team_id,
            kept_since=since,
            day_starts=list(starts),
            row_max=row_max,
            **SUMMED,
        )
        async with transaction(self._pool, [team_id]) as connection:
            found: int | None = await connection.fetchval(*folded)
            if found:
                crash.reach("stats.rolling")
        return found

    async def hours_since(self, team_id: UUID) -> datetime | None:
        """From when on a team's figures are kept by hour; None: from the first on."""
        async with transaction(self._pool, [team_id]) as connection:
            found: datetime | None = await connection.fetchval(*BOOK.bind("hours_kept", team_id=team_id))
        return found
