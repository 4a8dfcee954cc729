"""Figures by step: sums of counters of quarters of an hour, and of those of days that are over."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Final, NamedTuple
from uuid import UUID

from libs.common.db.pool import Connection, Pool, snapshot
from services.stats.domain.check import OF_NODES
from services.stats.domain.days import Columns, CounterDay, Key, Scope, add_by_step, is_of_hours
from services.stats.domain.model import NO_CHANNEL, NO_JOURNEY, SEND_METRICS, Metric, Total
from services.stats.domain.months import CounterMonth, HoursOfSpan
from services.stats.domain.overview import OF_OVERVIEWS
from services.stats.domain.series import Steps
from services.stats.store.base import BOOK

_ONE: Final = Steps((), "")
"""A range as a whole."""
_SENDS: Final = {"metrics": list(SEND_METRICS), "no_channel": NO_CHANNEL}


class NodesAsked(NamedTuple):
    """Whose figures a series of nodes has, and over which span."""

    team_id: UUID
    journey_id: UUID
    node_id: str | None
    """Only this one; None: all."""
    start_time: datetime
    end_time: datetime


class Asked(NamedTuple):
    """Whose figures a series has, and over which span of full quarters of an hour; of a range an end may be absent."""

    team_id: UUID
    journey_id: UUID
    start_time: datetime | None
    end_time: datetime | None


class SeriesStore:
    """Each method reads as of one moment. Raises the driver's errors."""

    def __init__(self, pool: Pool) -> None:
        """`pool` connects as the service's own role."""
        self._pool = pool

    async def overviews(
        self,
        team_id: UUID,
        journey_ids: Sequence[UUID],
        span: tuple[datetime, datetime],
        steps: Steps,
    ) -> dict[UUID, Columns]:
        """What journeys as a whole did over a span, by the place of the step in `steps`; only steps in which they did
        anything."""
        metrics = list(OF_OVERVIEWS)
        found: dict[UUID, Columns] = {journey_id: {} for journey_id in journey_ids}
        async with snapshot(self._pool, [team_id]) as connection:
            if is_of_hours(span, steps):
                months = await _months(connection, team_id, journey_ids, span, Scope.JOURNEY, metrics)
                hours = HoursOfSpan(steps, *span)
                found |= {each: hours.columns(rows) for each, rows in months.items()}
            else:
                for journey_id, columns in found.items():
                    asked = Asked(team_id, journey_id, *span)
                    await _add_days(connection, columns, asked, steps, Scope.FIGURE, metrics)
            query = BOOK.bind(
                "overview_series",
                team_id=team_id,
                journey_ids=list(journey_ids),
                start_time=span[0],
                end_time=span[1],
                metrics=metrics,
            )
            for journey_id, quarter, metric, label, value in await connection.fetch(*query):
                _add(found[journey_id], (metric, "", NO_CHANNEL, label), steps.place(quarter), value)
        return found

    async def of_journey(
        self, team_id: UUID, journey_id: UUID, span: tuple[datetime, datetime], steps: Steps
    ) -> list[tuple[int, Total]]:
        """All figures of one journey over a span by step: (index of the step in `steps`, sum), in order of steps."""
        async with snapshot(self._pool, [team_id]) as connection:
            return await _figures(connection, Asked(team_id, journey_id, *span), steps)

    async def of_nodes(
        self, asked: NodesAsked, steps: Steps, after: tuple[int, str], row_max: int
    ) -> list[tuple[int, str, list[Total]]]:
        """The figures of a journey's nodes by step, up to `row_max` of (index of the step in `steps`, node, sums), in
        this order, after that pair of index and node.
        """
        query = BOOK.bind(
            "nodes_series",
            **asked._asdict(),
            figure=Scope.FIGURE,
            step_starts=list(steps.starts),
            of_nodes=list(OF_NODES),
            results=Metric.NODE_RESULT,
            after_step=after[0] + 1,
            after_node=after[1],
            row_max=row_max,
        )
        async with snapshot(self._pool, [asked.team_id]) as connection:
            rows = await connection.fetch(*query)
        return [
            (
                step - 1,
                node_id,
                [
                    Total(metric, asked.journey_id, node_id, NO_CHANNEL, label, value)
                    for *_, metric, label, value in group
                ],
            )
            for (step, node_id), group in groupby(rows, key=lambda row: (row[0], row[1]))
        ]

    async def of_team(self, team_id: UUID, span: tuple[datetime, datetime], steps: Steps) -> Columns:
        """What a team as a whole has over a span, and, by channel, what it sent, by the place of the step."""
        asked = Asked(team_id, NO_JOURNEY, *span)
        async with snapshot(self._pool, [team_id]) as connection:
            if is_of_hours(span, steps):
                rows = await _months(connection, team_id, [NO_JOURNEY], span, Scope.TEAM, None)
                columns = HoursOfSpan(steps, *span).columns(rows.get(NO_JOURNEY, ()))
            else:
                columns = {}
                await _add_days(connection, columns, asked, steps, Scope.FIGURE, None)
                columns = {key: column for key, column in columns.items() if _is_of_team(key)}
                await _add_days(connection, columns, asked, steps, Scope.TEAM, None)
            query = BOOK.bind("series", **asked._asdict())
            for quarter, metric, node_id, channel, label, value in await connection.fetch(*query):
                key = (metric, node_id, channel, label)
                if _is_of_team(key):
                    _add(columns, key, steps.place(quarter), value)
            await _add_sends(connection, columns, asked, steps)
        return columns

    async def of_team_range(
        self, team_id: UUID, start: datetime | None, end: datetime | None
    ) -> tuple[list[Total], list[Total]]:
        """The same over a range of full quarters of an hour as a whole, either end of which may be absent."""
        asked = Asked(team_id, NO_JOURNEY, start, end)
        async with snapshot(self._pool, [team_id]) as connection:
            query = BOOK.bind(
                "sums",
                team_id=team_id,
                journey_ids=[NO_JOURNEY],
                start_time=start,
                end_time=end,
                figure=Scope.FIGURE,
            )
            totals = [Total(*row) for row in await connection.fetch(*query)]
            columns: Columns = {}
            await _add_days(connection, columns, asked, _ONE, Scope.TEAM, None)
            await _add_sends(connection, columns, asked, _ONE)
        return totals, [total for _, total in _in_order(columns, NO_JOURNEY)]


async def _figures(connection: Connection, asked: Asked, steps: Steps) -> list[tuple[int, Total]]:
    columns: Columns = {}
    query = BOOK.bind("series", **asked._asdict())
    for quarter, metric, node_id, channel, label, value in await connection.fetch(*query):
        _add(columns, (metric, node_id, channel, label), steps.place(quarter), value)
    await _add_days(connection, columns, asked, steps, Scope.FIGURE, None)
    return _in_order(columns, asked.journey_id)


async def _add_sends(connection: Connection, columns: Columns, asked: Asked, steps: Steps) -> None:
    span = {name: getattr(asked, name) for name in ("team_id", "start_time", "end_time")}
    query = BOOK.bind("sends_series", **span, **_SENDS)
    for quarter, metric, channel, label, value in await connection.fetch(*query):
        _add(columns, (metric, "", channel, label), steps.place(quarter), value)


def _is_of_team(key: Key) -> bool:
    """Whether a figure without a journey is the team's as a whole, and not of a send."""
    _, node_id, channel, _ = key
    return not node_id and channel == NO_CHANNEL


def _add(columns: Columns, key: Key, place: int, value: int) -> None:
    column = columns.setdefault(key, {})
    column[place] = column.get(place, 0) + value


async def _months(  # noqa: PLR0917 - what is asked, and whose
    connection: Connection,
    team_id: UUID,
    journey_ids: Sequence[UUID],
    span: tuple[datetime, datetime],
    scope: Scope,
    metrics: list[int] | None,
) -> dict[UUID, list[CounterMonth]]:
    """By journey."""
    asked = {"team_id": team_id, "journey_ids": list(journey_ids), "scope": scope, "metrics": metrics}
    found: defaultdict[UUID, list[CounterMonth]] = defaultdict(list)
    query = BOOK.bind("months", **asked, start_time=span[0], end_time=span[1])
    for journey_id, *row in await connection.fetch(*query):
        found[journey_id].append(CounterMonth(*row))
    return found


async def _add_days(  # noqa: PLR0917 - what is asked, and whose
    connection: Connection,
    columns: Columns,
    asked: Asked,
    steps: Steps,
    scope: Scope,
    metrics: list[int] | None,
) -> None:
    rows = await connection.fetch(*BOOK.bind("days", **asked._asdict(), scope=scope, metrics=metrics))
    add_by_step(columns, _days(rows), steps, asked.start_time, asked.end_time)


def _days(rows: Iterable[Sequence[object]]) -> Iterable[CounterDay]:
    return (CounterDay(*row) for row in rows)  # type: ignore[arg-type]  # rows are as the query says


def _in_order(columns: Columns, journey_id: UUID) -> list[tuple[int, Total]]:
    """Sums in order of steps."""
    found = [
        (place, Total(metric, journey_id, node_id, channel, label, value))
        for (metric, node_id, channel, label), column in columns.items()
        for place, value in column.items()
        if value
    ]
    return sorted(found)
