"""Series as CSV: a line a step, a column a figure, and one for each currency, result and reason."""

from __future__ import annotations

from omnijourney.common.v1.channel_pb2 import CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1 import enrolment_pb2, explain_pb2
from omnijourney.stats.v1 import attribution_pb2, series_pb2
from omnijourney.stats.v1 import figures_pb2 as pb
from services.stats.convert.columns_csv import table_of
from services.stats.convert.series_csv import columns_of, row_of


def test_a_node_has_columns_of_its_results_ways_and_reasons() -> None:
    node = pb.NodeFigures(
        node_id="hello",
        entered_count=3,
        results=[pb.NodeResult(result=enrolment_pb2.STEP_RESULT_SKIPPED, count=2)],
        ways=[enrolment_pb2.WayCount(way=1, count=3)],
        waits=[explain_pb2.WaitCount(node_id="hello", enrolment_count=9)],
        dropped_count=1,
        dropped_reasons=[pb.ReasonCount(detail="JOURNEY_STOPPED", count=1)],
        drop_off=pb.Ratio(value=0.5),
    )
    point = attribution_pb2.NodePoint(figures=node)
    point.start_time.FromJsonString("2026-03-01T12:00:00Z")
    assert row_of(point) == {
        "start_time": "2026-03-01T12:00:00Z",
        "node_id": "hello",
        "entered_count": "3",
        "skipped": "2",
        "way_1": "3",
        "passed_count": "0",
        "dropped_count": "1",
        "dropped_JOURNEY_STOPPED": "1",
        "drop_off": "0.5",
    }


def test_what_is_not_known_is_empty_and_never_zero() -> None:
    known = pb.MessageFigures(node_id="a", channel=CHANNEL_WHATSAPP, read=pb.Count(value=0))
    known.revenue.amounts.append(Money(currency_code="TWD", amount_micros=12_500_000))
    unknown = pb.MessageFigures(
        node_id="b",
        channel=CHANNEL_WHATSAPP,
        read=pb.Count(absent_reason=pb.ABSENT_REASON_NOT_REPORTED_BY_CHANNEL),
    )
    rows = [row_of(known), row_of(unknown)]
    assert [(row["node_id"], row["channel"], row["read"], row.get("revenue_TWD", "")) for row in rows] == [
        ("a", "WHATSAPP", "0", "12.50"),
        ("b", "WHATSAPP", "", ""),
    ]
    assert "revenue_TWD" in columns_of(rows)


def test_columns_of_a_journey_have_0_for_counts_and_nothing_for_ratios_of_nothing() -> None:
    series = series_pb2.SeriesColumns(journey_id="j")
    series.start_time.FromJsonString("2026-03-01T12:00:00Z")
    series.step_runs.add(step_count=3).length.FromSeconds(3_600)
    series.columns.add(figure=series_pb2.SERIES_FIGURE_TRIGGERED_COUNT, values=[4, 0, 2])
    series.columns.add(figure=series_pb2.SERIES_FIGURE_COMPLETION_RATE, steps=[0, 2], ratios=[0.0, 0.5])
    series.columns.add(
        figure=series_pb2.SERIES_FIGURE_REVENUE, currency_code="TWD", steps=[2], values=[12_500_000]
    )
    names, lines = table_of(series)
    rows = [dict(zip(names, line, strict=True)) for line in lines]
    shown = (
        "start_time",
        "triggered_count",
        "completion_rate",
        "revenue_TWD",
        "refused_count",
        "return_on_ad_spend",
    )
    assert [tuple(row[name] for name in shown) for row in rows] == [
        ("2026-03-01T12:00:00Z", "4", "0.0", "", "0", ""),
        ("2026-03-01T13:00:00Z", "0", "", "", "0", ""),
        ("2026-03-01T14:00:00Z", "2", "0.5", "12.50", "0", ""),
    ]


def test_columns_of_a_team_are_lines_where_anything_happened() -> None:
    series = series_pb2.SeriesColumns()
    series.start_time.FromJsonString("2026-03-01T12:00:00Z")
    series.step_runs.add(step_count=3).length.FromSeconds(3_600)
    sent = {"channel": CHANNEL_WHATSAPP, "steps": [1]}
    series.columns.add(figure=series_pb2.SERIES_FIGURE_MESSAGES_SENT_COUNT, values=[2], **sent)
    series.columns.add(
        figure=series_pb2.SERIES_FIGURE_MESSAGE_COST, currency_code="HKD", values=[500_000], **sent
    )
    names, lines = table_of(series)
    (row,) = [dict(zip(names, line, strict=True)) for line in lines]
    assert (row["start_time"], row["whatsapp_sent_count"], row["whatsapp_cost_HKD"], row["order_count"]) == (
        "2026-03-01T13:00:00Z",
        "2",
        "0.50",
        "0",
    )
