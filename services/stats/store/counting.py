"""Counts as the functions of SQL take them."""

from __future__ import annotations

from services.stats.domain.model import Counts


def columns(counts: Counts) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """The counters that grow, as `counter_row`, and what counts only the first time, as `first_row`."""
    deltas = dict(counts.deltas)
    for key in counts.firsts.values():
        deltas.setdefault(key, 0)
    counters: list[tuple[object, ...]] = [
        (k.team_id, k.journey_id, k.metric, k.node_id, k.channel, k.currency, k.quarter, delta)
        for k, delta in deltas.items()
    ]
    places = {key: place for place, key in enumerate(deltas, 1)} if counts.firsts else {}
    return counters, [(*first, places[key]) for first, key in counts.firsts.items()]
