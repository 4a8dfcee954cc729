"""Figures that are made of counters, and those that cannot be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import NamedTuple

from services.stats.domain.model import Metric, Total

Rates = Mapping[str, Decimal]
"""What one unit of a currency is worth in a team's own."""


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
        if self.is_of_one_currency:
            return sum(self.revenue.values()) / sum(self.cost.values())
        if not (self.revenue.keys() | self.cost.keys()) <= rates.keys():
            return NoRatio.NO_RATE
        revenue, cost = (
            sum(rates[code] * micros for code, micros in amounts.items())
            for amounts in (self.revenue, self.cost)
        )
        return float(revenue / cost)


def overview_of(totals: Iterable[Total]) -> Overview:
    """The figures of one journey."""
    sums: defaultdict[int, int] = defaultdict(int)
    cost: defaultdict[str, int] = defaultdict(int)
    revenue: defaultdict[str, int] = defaultdict(int)
    for total in totals:
        sums[total.metric] += total.value
        if total.metric == Metric.MESSAGE_COST:
            cost[total.currency] += total.value
        elif total.metric == Metric.JOURNEY_REVENUE:
            revenue[total.currency] += total.value
    triggered = sums[Metric.TRIGGERED]
    return Overview(
        triggered=triggered,
        refused=sums[Metric.REFUSED],
        completed=sums[Metric.COMPLETED],
        halted=sums[Metric.HALTED],
        sent=sums[Metric.MESSAGES_SENT],
        failed=sums[Metric.SENDS_FAILED],
        skipped=sums[Metric.SENDS_SKIPPED],
        unknown=sums[Metric.SENDS_UNKNOWN],
        cost={currency: micros for currency, micros in sorted(cost.items()) if micros},
        completion_rate=sums[Metric.COMPLETED] / triggered if triggered else None,
        orders=sums[Metric.JOURNEY_ORDERS],
        revenue={currency: micros for currency, micros in sorted(revenue.items()) if micros},
    )
