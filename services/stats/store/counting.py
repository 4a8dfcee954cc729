"""Counts as the functions of SQL take them."""

from __future__ import annotations

from typing import Any

from services.stats.domain.model import Attribution, Counts, Metric
from services.stats.store.base import BOOK


def beside_counters(counts: Counts) -> list[tuple[Any, ...]]:
    """The queries, with their arguments, of all that is kept in the transaction of the counters, after them."""
    found = [_attributing(counts.attribution)] if any(counts.attribution) else []
    return [*found, BOOK.bind("keep_splits", splits=list(counts.splits))] if counts.splits else found


def _attributing(attribution: Attribution) -> tuple[Any, ...]:
    """The query that takes up clicks, orders and refunds, and its arguments."""
    return BOOK.bind(
        "attribute_orders",
        clicks=list(attribution.clicks),
        orders=list(attribution.orders),
        refunds=list(attribution.refunds),
        order_metric=Metric.JOURNEY_ORDERS,
        revenue_metric=Metric.JOURNEY_REVENUE,
    )


def columns(counts: Counts) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The counters that grow, as `counter_row`, and what counts only the first time, as `first_row`."""
    deltas = dict(counts.deltas)
    for key in counts.firsts.values():
        deltas.setdefault(key, 0)
    counters: list[tuple[object, ...]] = [
        (k.team_id, k.journey_id, k.metric, k.node_id, k.channel, k.label, k.quarter, delta)
        for k, delta in deltas.items()
    ]
    places = {key: place for place, key in enumerate(deltas, 1)} if counts.firsts else {}
    return counters, [(*first, places[key]) for first, key in counts.firsts.items()]
