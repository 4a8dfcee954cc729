"""Stats: its counters against the histories that it counted."""

from collections import Counter
from uuid import UUID

from tests.chaos import records as r
from tests.chaos.case import Case, differ
from tests.chaos.check_journeys import refusals
from tests.chaos.check_sends import deliveries
from tests.chaos.records import Row

NODE_ENTERED = 5
TRIGGERED, REFUSED, COMPLETED = 1, 2, 3
SENT, FAILED, SKIPPED, UNKNOWN = 10, 11, 12, 13
ORDERS, REFUNDS = 30, 31
ENTRIES, EARNED, REFUNDED, OF_JOURNEYS, CUMULATIVE = 40, 41, 42, 43, 46
"""Numbers of metrics."""
QUARTERS = """(
    SELECT team_id, journey_id, metric, node_id, channel, currency, quarter, value FROM stats.counter
     UNION ALL
    SELECT d.team_id, d.journey_id, d.metric, d.node_id, d.channel, d.currency,
           d.day + s.slot * interval '15 minutes', s.value
      FROM stats.counter_day AS d CROSS JOIN LATERAL unnest(d.slots, d.sums) AS s (slot, value)
     WHERE d.scope = 1) AS quarters"""
"""Counters, those of days that are over too."""


async def check_stats(case: Case) -> None:
    """Every figure that can be had from a history."""
    rows = await _summed(case, "stats.total")
    quarters = {_key(row): row["value"] for row in await _summed(case, QUARTERS)}
    totals = {_key(row): row["value"] for row in rows}
    case.proofs.same("stats: totals are the sums of the quarters", *differ(totals, quarters))
    nodes: Counter[tuple[UUID, str]] = Counter()
    by_metric: Counter[int] = Counter()
    for row in rows:
        by_metric[row["metric"]] += row["value"]
        if row["metric"] == NODE_ENTERED:
            nodes[row["journey_id"], row["node_id"]] += row["value"]
    entered = Counter(
        (visit.journey_id, visit.node_id)
        for run_segment in case.run_segments
        for visit in run_segment.entered
    )
    case.proofs.same("stats: times that each node was entered", *differ(dict(nodes), dict(entered)))
    for metric, (what, figure) in (await _wanted(case)).items():
        case.proofs.same(f"stats: {what}", by_metric[metric], figure)


async def _summed(case: Case, counters: str) -> list[Row]:
    return await case.records.rows(
        f"SELECT journey_id, metric, node_id, channel, sum(value)::bigint AS value FROM {counters}"
        " WHERE team_id = $1 GROUP BY 1, 2, 3, 4"
    )


async def _wanted(case: Case) -> dict[int, tuple[str, int]]:
    sends = await deliveries(case)
    states = Counter(row["state"] for row in sends)
    entries = await case.records.rows(
        "SELECT source, count(*) AS n, sum(delta_balance)::bigint AS points, sum(delta_cumulative)::bigint AS ever"
        " FROM points.entry WHERE team_id = $1 GROUP BY 1"
    )
    points = Counter({row["source"]: row["points"] for row in entries})
    return {
        TRIGGERED: ("triggered", sum(run_segment.enrolled for run_segment in case.run_segments)),
        REFUSED: ("refused", await refusals(case)),
        COMPLETED: ("completed", sum(run_segment.state == r.ENDED for run_segment in case.run_segments)),
        SENT: ("messages sent", sum(row["messages"] for row in sends if row["state"] == r.SENT)),
        FAILED: ("sends failed", states[r.FAILED]),
        SKIPPED: ("sends skipped", states[r.SKIPPED]),
        UNKNOWN: ("sends unknown", states[r.UNKNOWN]),
        ORDERS: ("orders", len(case.accepted.orders)),
        REFUNDS: ("refunds", len(case.accepted.refunds)),
        ENTRIES: ("entries", sum(row["n"] for row in entries)),
        EARNED: ("points earned", points[1]),
        REFUNDED: ("points refunded", -points[5]),
        OF_JOURNEYS: ("points of journeys", points[3]),
        CUMULATIVE: ("cumulative points", sum(row["ever"] for row in entries)),
    }


def _key(row: Row) -> tuple[object, ...]:
    return (row["journey_id"], row["metric"], row["node_id"], row["channel"])
