"""Series as columns of numbers (`StreamSeries`), unpacked."""

from __future__ import annotations

from datetime import UTC, datetime

from omnijourney.stats.v1.series_pb2 import FigureColumn, SeriesColumns


def step_starts(series: SeriesColumns) -> list[datetime]:
    """Starts of the steps, in order, UTC."""
    at = series.start_time.ToDatetime(UTC)
    starts = []
    for run in series.step_runs:
        length = run.length.ToTimedelta()
        starts += [at + number * length for number in range(run.step_count)]
        at += run.step_count * length
    return starts


def by_step(series: SeriesColumns, column: FigureColumn) -> list[int] | list[float | None]:
    """What a column says of each step: a count or an amount in millionths, 0 where nothing happened; or a ratio,
    None where there is none."""
    step_count = sum(run.step_count for run in series.step_runs)
    if column.ratios:
        ratios: list[float | None] = [None] * step_count
        for step, ratio in zip(column.steps or range(step_count), column.ratios, strict=True):
            ratios[step] = ratio
        return ratios
    values = [0] * step_count
    for step, value in zip(column.steps or range(step_count), column.values, strict=True):
        values[step] = value
    return values
