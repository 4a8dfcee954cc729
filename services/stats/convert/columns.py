"""Figures by step as columns of numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any, Final

from libs.common.rpc.values import duration, timestamp
from omnijourney.common.v1 import channel_pb2
from omnijourney.stats.v1 import series_pb2 as pb
from services.stats.domain.days import Columns
from services.stats.domain.model import NO_CHANNEL, Metric
from services.stats.domain.overview import Rates
from services.stats.domain.series import Steps

_OF_JOURNEY: Final[Mapping[int, int]] = {
    Metric.TRIGGERED: pb.SERIES_FIGURE_TRIGGERED_COUNT,
    Metric.REFUSED: pb.SERIES_FIGURE_REFUSED_COUNT,
    Metric.COMPLETED: pb.SERIES_FIGURE_COMPLETED_COUNT,
    Metric.HALTED: pb.SERIES_FIGURE_HALTED_COUNT,
    Metric.MESSAGES_SENT: pb.SERIES_FIGURE_MESSAGES_SENT_COUNT,
    Metric.SENDS_FAILED: pb.SERIES_FIGURE_FAILED_COUNT,
    Metric.SENDS_SKIPPED: pb.SERIES_FIGURE_SKIPPED_COUNT,
    Metric.SENDS_UNKNOWN: pb.SERIES_FIGURE_UNKNOWN_COUNT,
    Metric.MESSAGE_COST: pb.SERIES_FIGURE_MESSAGE_COST,
    Metric.JOURNEY_ORDERS: pb.SERIES_FIGURE_ORDER_COUNT,
    Metric.JOURNEY_REVENUE: pb.SERIES_FIGURE_REVENUE,
}
_OF_TEAM: Final[Mapping[int, int]] = {
    Metric.ORDERS: pb.SERIES_FIGURE_ORDER_COUNT,
    Metric.REFUNDS: pb.SERIES_FIGURE_REFUND_COUNT,
    Metric.ANONYMOUS: pb.SERIES_FIGURE_ANONYMOUS_COUNT,
    Metric.SHOPPERS: pb.SERIES_FIGURE_CUSTOMER_COUNT,
    Metric.ENTRIES: pb.SERIES_FIGURE_POINTS_ENTRY_COUNT,
    Metric.EARNED: pb.SERIES_FIGURE_POINTS_EARNED,
    Metric.REFUNDED: pb.SERIES_FIGURE_POINTS_REFUNDED,
    Metric.JOURNEY_POINTS: pb.SERIES_FIGURE_POINTS_JOURNEY,
    Metric.OTHER_POINTS: pb.SERIES_FIGURE_POINTS_OTHER,
    Metric.BALANCE: pb.SERIES_FIGURE_POINTS_BALANCE,
    Metric.CUMULATIVE: pb.SERIES_FIGURE_POINTS_CUMULATIVE,
    Metric.REFUND_SHORTFALL: pb.SERIES_FIGURE_POINTS_REFUND_SHORTFALL,
}
_OF_SENDS: Final[Mapping[int, int]] = {
    Metric.MESSAGES_SENT: pb.SERIES_FIGURE_MESSAGES_SENT_COUNT,
    Metric.MESSAGE_COST: pb.SERIES_FIGURE_MESSAGE_COST,
}
_AMOUNTS: Final = frozenset({pb.SERIES_FIGURE_MESSAGE_COST, pb.SERIES_FIGURE_REVENUE})

_Key = tuple[int, int, str]
"""Figure, channel and currency."""
_Column = dict[int, int]
"""By the place of the step."""


class Header:
    """The steps of several series, made once."""

    def __init__(self, steps: Steps) -> None:
        """`steps` say where the last one ends."""
        assert steps.end is not None
        self.step_count: Final = len(steps.starts)
        self._start_time = timestamp(steps.starts[0])
        self._runs = [
            pb.StepRun(step_count=sum(1 for _ in run), length=duration(length))
            for length, run in groupby(_lengths(steps.starts, steps.end))
        ]

    def series(self, journey_id: str = "") -> pb.SeriesColumns:
        """A series without columns."""
        return pb.SeriesColumns(journey_id=journey_id, start_time=self._start_time, step_runs=self._runs)


def _lengths(starts: Any, end: datetime) -> Iterator[timedelta]:
    return (following - begin for begin, following in pairwise([*starts, end]))


def needs_rates(columns: Columns) -> bool:
    """Whether a journey's revenue and cost are in several currencies."""
    amounts = (Metric.MESSAGE_COST, Metric.JOURNEY_REVENUE)
    return len({label for metric, _, _, label in columns if metric in amounts}) > 1


def journey_columns(header: Header, journey_id: str, columns: Columns, rates: Rates) -> pb.SeriesColumns:
    """A journey as a whole; `rates` of its team, where they are needed."""
    gathered = _gathered(columns, {NO_CHANNEL: _OF_JOURNEY})
    series = header.series(journey_id)
    ratios: dict[int, dict[int, float]] = {
        pb.SERIES_FIGURE_COMPLETION_RATE: _completion(gathered),
        pb.SERIES_FIGURE_RETURN_ON_AD_SPEND: _returns(gathered, rates),
    }
    keys = sorted([*gathered, *((figure, NO_CHANNEL, "") for figure, column in ratios.items() if column)])
    for key in keys:
        if key[0] in ratios:
            _put(series, key, ratios[key[0]], header.step_count)
        else:
            _put(series, key, gathered[key], header.step_count)
    return series


def team_columns(header: Header, columns: Columns) -> pb.SeriesColumns:
    """A team as a whole, and what it sent."""
    series = header.series()
    gathered = _gathered(columns, {NO_CHANNEL: _OF_TEAM}, _OF_SENDS)
    for key in sorted(gathered):
        _put(series, key, gathered[key], header.step_count)
    return series


def _gathered(
    columns: Columns, of_channels: Mapping[int, Mapping[int, int]], of_others: Mapping[int, int] | None = None
) -> dict[_Key, _Column]:
    """Sums by figure, with a column for each currency of amounts; those of reasons are put together."""
    found: dict[_Key, _Column] = {}
    for (metric, _, channel, label), column in columns.items():
        figure = of_channels.get(channel, of_others or {}).get(metric)
        if figure is None:
            continue
        key = (figure, channel, label if figure in _AMOUNTS else "")
        if key in found:
            into = found[key] = dict(found[key])
            for place, value in column.items():
                into[place] = into.get(place, 0) + value
        else:
            found[key] = column
    return found


def _completion(gathered: Mapping[_Key, _Column]) -> dict[int, float]:
    completed = gathered.get((pb.SERIES_FIGURE_COMPLETED_COUNT, NO_CHANNEL, ""), {})
    triggered = gathered.get((pb.SERIES_FIGURE_TRIGGERED_COUNT, NO_CHANNEL, ""), {})
    return {place: completed.get(place, 0) / value for place, value in triggered.items() if value}


def _returns(gathered: Mapping[_Key, _Column], rates: Rates) -> dict[int, float]:
    """Revenue by cost, as `Overview.return_on_ad_spend` says of one step, column by column."""
    costs, revenues = (
        {currency: column for (of, _, currency), column in gathered.items() if of == figure}
        for figure in (pb.SERIES_FIGURE_MESSAGE_COST, pb.SERIES_FIGURE_REVENUE)
    )
    if len(costs) == 1 and revenues.keys() <= costs.keys():
        ((currency, cost),) = costs.items()
        revenue = revenues.get(currency, {})
        return {place: revenue.get(place, 0) / value for place, value in cost.items() if value}
    spent, touched = {each: _places(costs[each]) for each in costs}, defaultdict[str, set[int]](set)
    for currency, column in (*costs.items(), *revenues.items()):
        touched[currency] |= _places(column)
    found: dict[int, float] = {}
    for currency, places in spent.items():
        alone = places.difference(*(touched[other] for other in touched if other != currency))
        cost, revenue = costs[currency], revenues.get(currency, {})
        found |= {place: revenue.get(place, 0) / cost[place] for place in alone}
    unknown = [touched[currency] for currency in touched if currency not in rates]
    mixed = set().union(*spent.values()).difference(found, *unknown)
    if mixed:
        cost, revenue = _in_own(costs, rates), _in_own(revenues, rates)
        found |= {place: revenue.get(place, 0) / cost[place] for place in mixed if cost[place]}
    return found


def _places(column: _Column) -> set[int]:
    return {place for place, value in column.items() if value}


def _in_own(amounts: Mapping[str, _Column], rates: Rates) -> _Column:
    """Sums of what has a rate, in fractions of the team's own currency that make all rates whole."""
    places = max(-int(rate.as_tuple().exponent) for rate in rates.values())
    found: _Column = {}
    for currency, column in amounts.items():
        if currency in rates:
            rate = int(rates[currency].scaleb(max(places, 0)))
            for place, value in column.items():
                found[place] = found.get(place, 0) + rate * value
    return found


def _put(
    series: pb.SeriesColumns, key: _Key, by_step: Mapping[int, int] | Mapping[int, float], step_count: int
) -> None:
    """Written for the thousands of hours of a year: few passes over them."""
    figure, channel, currency = key
    are_ratios = figure in {pb.SERIES_FIGURE_COMPLETION_RATE, pb.SERIES_FIGURE_RETURN_ON_AD_SPEND}
    steps: list[int] = sorted(by_step)
    # Sorted already, as a rule: then the values are as they are.
    values: list[Any] = (
        list(by_step.values()) if steps == list(by_step) else [by_step[place] for place in steps]
    )
    if not are_ratios and 0 in values:
        pairs = [(place, value) for place, value in zip(steps, values, strict=True) if value]
        steps, values = [place for place, _ in pairs], [value for _, value in pairs]
    if not values:
        return
    if not are_ratios and step_count > len(steps) > step_count / 2:
        filled = [0] * step_count
        for place, value in zip(steps, values, strict=True):
            filled[place] = value
        values = filled
    column = series.columns.add(
        figure=pb.SeriesFigure.ValueType(figure),
        channel=channel_pb2.Channel.ValueType(channel),
        currency_code=currency,
    )
    (column.ratios if are_ratios else column.values).extend(values)
    if len(values) < step_count:
        column.steps.extend(steps)
