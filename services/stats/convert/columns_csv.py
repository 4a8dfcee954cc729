"""Series of columns as lines of CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from libs.common.money import format_micros
from omnijourney.common.v1 import channel_pb2
from omnijourney.stats.v1 import series_pb2 as pb

_PREFIX: Final = "SERIES_FIGURE_"
_RATIOS: Final = frozenset({pb.SERIES_FIGURE_COMPLETION_RATE, pb.SERIES_FIGURE_RETURN_ON_AD_SPEND})
_OF_JOURNEYS: Final = (
    pb.SERIES_FIGURE_TRIGGERED_COUNT,
    pb.SERIES_FIGURE_REFUSED_COUNT,
    pb.SERIES_FIGURE_COMPLETED_COUNT,
    pb.SERIES_FIGURE_HALTED_COUNT,
    pb.SERIES_FIGURE_COMPLETION_RATE,
    pb.SERIES_FIGURE_MESSAGES_SENT_COUNT,
    pb.SERIES_FIGURE_FAILED_COUNT,
    pb.SERIES_FIGURE_SKIPPED_COUNT,
    pb.SERIES_FIGURE_UNKNOWN_COUNT,
    pb.SERIES_FIGURE_ORDER_COUNT,
    pb.SERIES_FIGURE_RETURN_ON_AD_SPEND,
)
_OF_TEAMS: Final = (
    pb.SERIES_FIGURE_ORDER_COUNT,
    pb.SERIES_FIGURE_REFUND_COUNT,
    pb.SERIES_FIGURE_ANONYMOUS_COUNT,
    pb.SERIES_FIGURE_CUSTOMER_COUNT,
    pb.SERIES_FIGURE_POINTS_ENTRY_COUNT,
    pb.SERIES_FIGURE_POINTS_EARNED,
    pb.SERIES_FIGURE_POINTS_REFUNDED,
    pb.SERIES_FIGURE_POINTS_JOURNEY,
    pb.SERIES_FIGURE_POINTS_OTHER,
    pb.SERIES_FIGURE_POINTS_BALANCE,
    pb.SERIES_FIGURE_POINTS_CUMULATIVE,
    pb.SERIES_FIGURE_POINTS_REFUND_SHORTFALL,
)


class Table(NamedTuple):
    """Lines under the names of their columns."""

    names: list[str]
    lines: list[Sequence[str]]


def table_of(series: pb.SeriesColumns) -> Table:
    """A line a step; of a team only those in which anything happened. Column by column, since a year has thousands of
    hours."""
    starts = [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in _starts(series)]
    of_journey = bool(series.journey_id)
    always = _OF_JOURNEYS if of_journey else _OF_TEAMS
    there = {column.figure for column in series.columns}
    missing = [pb.FigureColumn(figure=figure) for figure in always if figure not in there]
    columns = sorted(
        [*series.columns, *missing], key=lambda each: (each.figure, each.channel, each.currency_code)
    )
    cells: list[Sequence[str]] = [starts]
    names = ["start_time"]
    if of_journey:
        names.append("journey_id")
        cells.append([series.journey_id] * len(starts))
    for column in columns:
        names.append(_name(column))
        cells.append(_cells(column, len(starts)))
    lines: list[Sequence[str]] = list(zip(*cells, strict=True))
    if not of_journey:
        busy = {step for column in series.columns for step, value in _pairs(column, len(starts)) if value}
        lines = [lines[step] for step in sorted(busy)]
    return Table(names, lines)


def _starts(series: pb.SeriesColumns) -> Iterable[datetime]:
    at = series.start_time.ToDatetime(UTC)
    for run in series.step_runs:
        length = run.length.ToTimedelta()
        for _ in range(run.step_count):
            yield at
            at += length


def _name(column: pb.FigureColumn) -> str:
    name = pb.SeriesFigure.Name(column.figure).removeprefix(_PREFIX).lower()
    if column.channel:
        channel = channel_pb2.Channel.Name(column.channel).removeprefix("CHANNEL_").lower()
        name = f"{channel}_{name.removeprefix('messages_').removeprefix('message_')}"
    return f"{name}_{column.currency_code}" if column.currency_code else name


def _cells(column: pb.FigureColumn, step_count: int) -> list[str]:
    """Counts of nothing are 0; amounts and ratios of it are empty."""
    form: Callable[[Any], str] = str
    nothing = "0"
    if column.currency_code:
        form, nothing = _amount, ""
    elif column.figure in _RATIOS:
        nothing = ""
    cells = [nothing] * step_count
    for step, value in _pairs(column, step_count):
        cells[step] = form(value)
    return cells


def _pairs(column: pb.FigureColumn, step_count: int) -> Iterable[tuple[int, Any]]:
    values: Sequence[Any] = column.values or column.ratios
    return zip(column.steps or range(step_count), values, strict=True) if values else ()


def _amount(micros: int) -> str:
    return format_micros(micros) if micros else ""
