"""Figures that are made of counters, and those that cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from services.stats.domain.days import Columns
from services.stats.domain.model import Metric, Total

Rates = Mapping[str, Decimal]
"""What one unit of a currency is worth in a team's own."""


_COST: Final = int(Metric.MESSAGE_COST)
_REVENUE: Final = int(Metric.JOURNEY_REVENUE)
_COUNTS: Final = tuple(
    int(metric)
    for metric in (
        Metric.TRIGGERED,
        Metric.REFUSED,
        Metric.COMPLETED,
        Metric.HALTED,
        Metric.MESSAGES_SENT,
        Metric.SENDS_FAILED,
        Metric.SENDS_SKIPPED,
        Metric.SENDS_UNKNOWN,
        Metric.JOURNEY_ORDERS,
    )
)
OF_OVERVIEWS: Final = (*_COUNTS, _COST, _REVENUE)
"""The metrics that an overview is made of."""


class NoRatio(Enum):
    """Why revenue and cost have no ratio."""

    NO_COST = "nothing was spent"
    NO_RATE = "they are in several currencies, and a rate is missing"


class Overview(NamedTuple):
    """A journey. `cost` maps currency → millionths; `completion_rate` is None when nobody was triggered."""

    triggered: int
    refused: int
    completed: int
    halted: int
    sent: int
    failed: int
    skipped: int
    unknown: int
    cost: dict[str, int]
    completion_rate: float | None
    orders: int
    revenue: dict[str, int]
    """By currency, millionths."""

    @property
    def is_of_one_currency(self) -> bool:
        """Whether revenue and cost can be compared as they are."""
        return len(self.revenue.keys() | self.cost.keys()) <= 1

    def return_on_ad_spend(self, rates: Rates) -> float | NoRatio:
        """Revenue by cost."""
        if not any(self.cost.values()):
            return NoRatio.NO_COST
        # Written for the thousands of hours of a year: sets of the currencies would take most of its time.
        if len(self.cost) == 1 and all(code in self.cost for code in self.revenue):
            return sum(self.revenue.values()) / sum(self.cost.values())
        if not all(code in rates for of in (self.revenue, self.cost) for code in of):
            return NoRatio.NO_RATE
        revenue, cost = (
            sum(rates[code] * micros for code, micros in amounts.items())
            for amounts in (self.revenue, self.cost)
        )
        return float(revenue / cost)


def overview_of(totals: Iterable[Total]) -> Overview:
    """The figures of one journey."""
    return overview_of_sums((total.metric, total.label, total.value) for total in totals)


def overviews_by_step(columns: Columns) -> dict[int, Overview]:
    """The same by step, of what each figure adds there; written for the thousands of hours of a year."""
    sums: dict[int, dict[int, int]] = {}
    amounts: dict[int, dict[str, dict[int, int]]] = {_COST: {}, _REVENUE: {}}
    for (metric, _, _, label), column in sorted(columns.items()):
        if metric in amounts:
            _add(amounts[metric].setdefault(label, {}), column)
        else:
            _add(sums.setdefault(metric, {}), column)
    places = {place for column in columns.values() for place in column}
    counts = [sums.get(metric, {}) for metric in _COUNTS]
    found: dict[int, Overview] = {}
    for place in places:
        triggered, refused, completed, halted, sent, failed, skipped, unknown, orders = [
            column.get(place, 0) for column in counts
        ]
        cost, revenue = (
            {label: micros for label, column in of.items() if (micros := column.get(place, 0))}
            for of in amounts.values()
        )
        rate = completed / triggered if triggered else None
        found[place] = Overview(
            triggered, refused, completed, halted, sent, failed, skipped, unknown, cost, rate, orders, revenue
        )
    return found


def _add(into: dict[int, int], column: dict[int, int]) -> None:
    if into:
        for place, value in column.items():
            into[place] = into.get(place, 0) + value
    else:
        into.update(column)


def overview_of_sums(figures: Iterable[tuple[int, str, int]]) -> Overview:
    """The same of (metric, label, sum), in any order and as often as they like: a year has thousands of hours."""
    sums: dict[int, int] = {}
    amounts: dict[int, dict[str, int]] = {_COST: {}, _REVENUE: {}}
    for metric, label, value in figures:
        if metric in amounts:
            of = amounts[metric]
            of[label] = of.get(label, 0) + value
        else:
            sums[metric] = sums.get(metric, 0) + value
    triggered, *others = [sums.get(metric, 0) for metric in _COUNTS]
    refused, completed, halted, sent, failed, skipped, unknown, orders = others
    return Overview(
        *(triggered, refused, completed, halted, sent, failed, skipped, unknown),
        cost=_in_order(amounts[_COST]),
        completion_rate=completed / triggered if triggered else None,
        orders=orders,
        revenue=_in_order(amounts[_REVENUE]),
    )


def _in_order(amounts: dict[str, int]) -> dict[str, int]:
    if len(amounts) > 1:
        amounts = dict(sorted(amounts.items()))
    return amounts if all(amounts.values()) else {code: micros for code, micros in amounts.items() if micros}
