"""Moves counters of days that are over into a row a day, and folds those that are older than hours are kept."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.clock import Clock
from libs.common.feeds.follower import AWAY, POISON
from libs.common.logging import about
from libs.common.retention import Own, nobody
from libs.common.tasks import set_within
from services.stats import metrics
from services.stats.domain.days import day_starts, hours_since, rolled_before
from services.stats.store.days import FIRST, DayStore, Place

EVERY_S: Final = 60.0
"""Between two rounds, real seconds."""
PAUSE_S: Final = 0.05
"""Between two steps of a round: whoever counts goes first."""
ROWS_MAX: Final = 10_000
"""Counters of one transaction."""
ROWS_MIN: Final = 100
JOURNEYS_MAX: Final = 2_000
"""Journeys of one transaction that are looked at."""
FOLDED_MAX: Final = 200
"""Rows of days of one transaction, of up to 96 counters each."""
TEAMS_MAX: Final = 100

_log = structlog.get_logger(__name__)


class Days:
    """A loop, see `libs.common.tasks`. Any number of processes may run it: one of them works at a time."""

    def __init__(
        self,
        store: DayStore,
        settings: TeamSettingsClient,
        clock: Clock,
        hours_kept: timedelta | None,
        own: Own = nobody,
    ) -> None:
        """`settings` gives the zones of teams. `hours_kept`: for how long of domain time figures are kept by hour,
        None for ever, of teams that do not say so themselves, which `own` asks for."""
        self._store = store
        self._settings = settings
        self._clock = clock
        self._hours_kept = hours_kept
        self._own = own
        self._rows_max = ROWS_MAX

    async def run(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set."""
        while True:
            try:
                await self.round(stopping)
            except AWAY as error:
                # A step that took too long is tried again with less.
                self._rows_max = max(self._rows_max // 2, ROWS_MIN)
                _log.warning("days of figures wait", error=repr(error))
            if await set_within(stopping, EVERY_S):
                return

    async def round(self, stopping: asyncio.Event) -> None:
        """Moves and folds all that is due. Raises the driver's errors, Unavailable."""
        before = rolled_before(self._clock.now())
        place: Place | None = FIRST
        while place is not None:
            place, moved = await self._store.roll_up(before, place, JOURNEYS_MAX, self._rows_max)
            metrics.ROLLED.inc(moved)
            self._rows_max = min(self._rows_max * 2, ROWS_MAX)
            if await set_within(stopping, PAUSE_S):
                return
        await self._fold_all(stopping)

    async def _fold_all(self, stopping: asyncio.Event) -> None:
        own = await self._own()
        periods = [each for each in (self._hours_kept, *own.values()) if each is not None]
        if not periods:
            return
        now, after = self._clock.now(), UUID(int=0)
        while not stopping.is_set():
            teams = await self._store.teams_with_hours(now - min(periods), after, TEAMS_MAX)
            if not teams:
                return
            kept = {team_id: own.get(team_id, self._hours_kept) for team_id, _ in teams}
            settings = await self._settings.of_all([team_id for team_id in kept if kept[team_id] is not None])
            for due in teams:
                span, known = kept[due[0]], settings.get(due[0])
                # Of a team that segment does not know the zone is not known either: its hours stay.
                if span is not None and known is not None and known.known:
                    try:
                        await self._fold(due, span, known.zone, stopping)
                    except POISON as error:
                        _log.warning("hours of a team stay", error=repr(error), **about(team_id=due[0]))
            after = teams[-1][0]

    async def _fold(
        self, due: tuple[UUID, datetime], kept: timedelta, zone: str, stopping: asyncio.Event
    ) -> None:
        team_id, oldest = due
        since = hours_since(self._clock.now(), kept, zone)
        starts = day_starts(oldest, since, zone)
        if not starts:
            return
        await self._store.keep_hours_since(team_id, since)
        folded: int | None = FOLDED_MAX
        while folded == FOLDED_MAX and not stopping.is_set():
            folded = await self._store.fold(team_id, since, starts, FOLDED_MAX)
