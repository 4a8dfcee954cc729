"""Figures by step of a team's own hours and days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from libs.common.clients.team_settings import TeamSettingsClient
from libs.common.errors import FieldViolation, InvalidArgument, NotFound
from services.stats.domain.days import Columns, not_kept
from services.stats.domain.lift import Lift
from services.stats.domain.model import NO_JOURNEY, Total
from services.stats.domain.overview import Overview, Rates, overviews_by_step
from services.stats.domain.series import Steps, step_starts
from services.stats.store.counters import CounterStore
from services.stats.store.days import DayStore
from services.stats.store.series import NodesAsked, SeriesStore

_SURELY_LATER: Final = timedelta(days=3)
"""No step of any zone is as long."""


async def attribution_windows(
    settings: TeamSettingsClient, team_ids: Collection[UUID]
) -> Mapping[UUID, timedelta]:
    """How long after a click an order of each team is the journey's. Raises Unavailable."""
    return {team_id: each.attribution_window for team_id, each in (await settings.of_all(team_ids)).items()}


class Worth:
    """What teams say other currencies are worth."""

    def __init__(self, settings: TeamSettingsClient) -> None:
        """`settings` has the rates."""
        self._settings = settings

    async def rates(self, team_id: UUID, overviews: Collection[Overview]) -> Rates:
        """The rates to a team's own currency, if any of the overviews needs them. Raises Unavailable."""
        if all(overview.is_of_one_currency for overview in overviews):
            return {}
        return await self.rates_of(team_id)

    async def rates_of(self, team_id: UUID) -> Rates:
        """The rates to a team's own currency. Raises Unavailable."""
        own = (await self._settings.of_all([team_id]))[team_id]
        return {own.currency: Decimal(1), **{code: Decimal(rate) for code, rate in own.currency_rates}}


class Lifts:
    """What splits with a holdout changed."""

    def __init__(self, counters: CounterStore, settings: TeamSettingsClient) -> None:
        """`settings` gives the attribution windows of teams."""
        self._counters = counters
        self._settings = settings

    async def of_journey(self, team_id: UUID, journey_id: UUID) -> list[Lift]:
        """The splits of a journey that hold somebody out. Raises NotFound for a journey that nothing happened to,
        Unavailable."""
        settings = (await self._settings.of_all([team_id]))[team_id]
        lifts = await self._counters.lifts(team_id, journey_id, settings.attribution_window)
        if not lifts and not await self._counters.totals(team_id, [journey_id]):
            raise NotFound.of("journey", journey_id)
        return lifts


class Hours:
    """From when on figures are kept by quarter of an hour."""

    def __init__(self, days: DayStore, settings: TeamSettingsClient) -> None:
        """`settings` gives the zones of teams."""
        self._days = days
        self._settings = settings

    async def check(
        self, team_id: UUID, start: datetime | None, end: datetime | None, *, by_hour: bool = False
    ) -> None:
        """Raises InvalidArgument for a range of which only days are kept, and Unavailable. It is asked after the
        figures were read: what is folded is noted before."""
        since = await self._days.hours_since(team_id)
        if since is None:
            return
        zone = (await self._settings.of_all([team_id]))[team_id].zone
        faults = not_kept(start, end, since, zone, by_hour=by_hour)
        if faults:
            raise InvalidArgument.of(*(FieldViolation(field, what) for field, what in faults.items()))


class Ranges:
    """Sums over ranges of full quarters of an hour, either end of which may be absent, or over all time."""

    def __init__(self, counters: CounterStore, series: SeriesStore, hours: Hours) -> None:
        """`hours` says which ranges there are."""
        self._counters = counters
        self._series = series
        self._hours = hours

    async def of_journey(
        self, team_id: UUID, journey_id: UUID, start: datetime | None, end: datetime | None
    ) -> list[Total]:
        """All figures of a journey. Raises as `Hours.check`."""
        totals = await self._counters.totals(team_id, [journey_id], start, end)
        if start is not None or end is not None:
            await self._hours.check(team_id, start, end)
        return totals

    async def of_team(
        self, team_id: UUID, start: datetime | None, end: datetime | None
    ) -> tuple[list[Total], list[Total]]:
        """Figures of a team as a whole, and what it sent, by channel. Raises as `Hours.check`."""
        if start is None and end is None:
            return await self._counters.team(team_id)
        found = await self._series.of_team_range(team_id, start, end)
        await self._hours.check(team_id, start, end)
        return found


class Series:
    """Sums by step. Raises as `Hours.check`, too."""

    def __init__(self, series: SeriesStore, settings: TeamSettingsClient, hours: Hours) -> None:
        """`settings` gives the zones of teams."""
        self._series = series
        self._settings = settings
        self._hours = hours

    async def of_overview(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], unit: str
    ) -> tuple[Sequence[datetime], dict[int, Overview]]:
        """Starts of the steps, as of `of_journey`, and what the journey as a whole did in those in which it did
        anything, by their place. Raises Unavailable."""
        steps = await self.steps(team_id, span, unit)
        found = await self.columns_of_journeys(team_id, [journey_id], span, steps)
        return steps.starts, overviews_by_step(found[journey_id])

    async def columns_of_journeys(
        self, team_id: UUID, journey_ids: Sequence[UUID], span: tuple[datetime, datetime], steps: Steps
    ) -> dict[UUID, Columns]:
        """What journeys as a whole did by the place of the step, of one moment."""
        found = await self._series.overviews(team_id, journey_ids, span, steps)
        await self._hours.check(team_id, *span, by_hour=steps.unit == "hour")
        return found

    async def columns_of_team(self, team_id: UUID, span: tuple[datetime, datetime], steps: Steps) -> Columns:
        """What a team as a whole has by the place of the step, and, by channel, what it sent."""
        found = await self._series.of_team(team_id, span, steps)
        await self._hours.check(team_id, *span, by_hour=steps.unit == "hour")
        return found

    async def of_journey(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], unit: str
    ) -> tuple[Sequence[datetime], list[tuple[int, Total]]]:
        """Starts of the steps of a span ("hour" or "day" of the team's zone, UTC for a team that is not known), and
        sums by index of the step. Raises Unavailable."""
        steps = await self.steps(team_id, span, unit)
        found = await self._series.of_journey(team_id, journey_id, span, steps)
        await self._hours.check(team_id, *span, by_hour=unit == "hour")
        return steps.starts, found

    async def of_team(
        self, team_id: UUID, span: tuple[datetime, datetime], unit: str
    ) -> tuple[Sequence[datetime], dict[int, list[Total]]]:
        """Starts of the steps, and what a team as a whole has, and sent by channel, by their place. Raises
        Unavailable."""
        steps = await self.steps(team_id, span, unit)
        columns = await self.columns_of_team(team_id, span, steps)
        found: defaultdict[int, list[Total]] = defaultdict(list)
        for (metric, node_id, channel, label), column in columns.items():
            for place, value in column.items():
                if value:
                    found[place].append(Total(metric, NO_JOURNEY, node_id, channel, label, value))
        return steps.starts, found

    async def of_nodes(
        self, asked: NodesAsked, unit: str, after: tuple[int, str], row_max: int
    ) -> tuple[Sequence[datetime], list[tuple[int, str, list[Total]]]]:
        """Starts of the steps, and sums by index of the step and node, see `SeriesStore.of_nodes`. Raises
        Unavailable."""
        steps = await self.steps(asked.team_id, (asked.start_time, asked.end_time), unit)
        found = await self._series.of_nodes(asked, steps, after, row_max)
        await self._hours.check(asked.team_id, asked.start_time, asked.end_time, by_hour=unit == "hour")
        return steps.starts, found

    async def steps(self, team_id: UUID, span: tuple[datetime, datetime], unit: str) -> Steps:
        """The steps that touch a span, and where the last one ends. Raises Unavailable."""
        zone = (await self._settings.of_all([team_id]))[team_id].zone
        starts = list(step_starts(*span, unit, zone))
        later = step_starts(starts[-1], starts[-1] + _SURELY_LATER, unit, zone)
        return Steps(starts, unit, next(at for at in later if at > starts[-1]))
