"""Figures that are made of counters, and those that cannot be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from services.stats.domain.model import Metric, Total


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


def overview_of(totals: Iterable[Total]) -> Overview:
    """The figures of one journey."""
    sums: defaultdict[int, int] = defaultdict(int)
    cost: defaultdict[str, int] = defaultdict(int)
    for total in totals:
        sums[total.metric] += total.value
        if total.metric == Metric.MESSAGE_COST:
            cost[total.currency] += total.value
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
    )
