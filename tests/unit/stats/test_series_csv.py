"""Series as CSV: a line a step, a column a figure, and one for each currency, result and reason."""

from __future__ import annotations

from omnijourney.common.v1.channel_pb2 import CHANNEL_WHATSAPP
from omnijourney.common.v1.money_pb2 import Money
from omnijourney.journey.v1 import enrolment_pb2, explain_pb2
from omnijourney.stats.v1 import attribution_pb2
from omnijourney.stats.v1 import figures_pb2 as pb
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
