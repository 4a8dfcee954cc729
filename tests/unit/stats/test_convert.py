"""Absent figures are absent with a reason, never 0."""

from uuid import UUID

from libs.testing.history_rows import JOURNEY, LINE, WHATSAPP
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.stats.v1 import figures_pb2 as pb
from services.stats.convert import figures as convert
from services.stats.domain.model import NO_JOURNEY, Metric, Total


def total(metric: int, value: int, *, node_id: str = "", channel: int = 0, currency: str = "") -> Total:
    """A total of the journey."""
    return Total(metric, JOURNEY, node_id, channel, currency, value)


def test_nothing_happened() -> None:
    overview = convert.overview_message(JOURNEY, [])
    assert overview.triggered_count == 0
    assert not overview.completion_rate.HasField("value")
    assert overview.completion_rate.absent_reason == pb.ABSENT_REASON_DIVISION_BY_ZERO
    assert list(overview.message_cost.amounts) == []
    assert overview.message_cost.absent_reason == pb.ABSENT_REASON_UNSPECIFIED


def test_orders_are_not_attributed_yet_and_say_so() -> None:
    overview = convert.overview_message(JOURNEY, [total(Metric.TRIGGERED, 3)])
    assert not overview.order_count.HasField("value")
    assert not overview.return_on_ad_spend.HasField("value")
    for figure in (overview.order_count, overview.revenue, overview.return_on_ad_spend):
        assert figure.absent_reason == pb.ABSENT_REASON_NOT_MEASURED


def test_a_journey() -> None:
    overview = convert.overview_message(
        JOURNEY,
        [
            total(Metric.TRIGGERED, 4),
            total(Metric.COMPLETED, 3),
            total(Metric.MESSAGES_SENT, 2, node_id="a", channel=WHATSAPP),
            total(Metric.MESSAGES_SENT, 1, node_id="b", channel=LINE),
            total(Metric.MESSAGE_COST, 1_000_000, node_id="a", channel=WHATSAPP, currency="HKD"),
            total(Metric.MESSAGE_COST, 200_000, node_id="b", channel=LINE, currency="TWD"),
        ],
    )
    assert (overview.triggered_count, overview.completion_rate.value) == (4, 0.75)
    assert overview.messages_sent_count == 3
    assert [(money.currency_code, money.amount_micros) for money in overview.message_cost.amounts] == [
        ("HKD", 1_000_000),
        ("TWD", 200_000),
    ]


def test_a_split_has_figures_of_each_way() -> None:
    held_out = Metric.NODE_RESULT + enrolment_pb2.STEP_RESULT_HELD_OUT
    totals = [
        total(Metric.NODE_ENTERED, 9, node_id="divide"),
        total(Metric.NODE_WAY + 2, 3, node_id="divide"),
        total(Metric.NODE_WAY + 1, 6, node_id="divide"),
        total(held_out, 3, node_id="divide"),
    ]
    (node,) = convert.node_messages(totals)
    assert [(each.way, each.count) for each in node.ways] == [(1, 6), (2, 3)]
    assert [(each.result, each.count) for each in node.results] == [(enrolment_pb2.STEP_RESULT_HELD_OUT, 3)]


def test_what_a_channel_does_not_tell_or_we_do_not_measure() -> None:
    sent = [
        (None, total(Metric.MESSAGES_SENT, 2, node_id="a", channel=channel)) for channel in (LINE, WHATSAPP)
    ]
    line, whatsapp = convert.message_figures(sent)
    assert (line.sent.value, line.sent.measurement) == (2, pb.MEASUREMENT_SEND_ANSWER)
    assert (line.failed.value, line.failed.HasField("value")) == (0, True)
    assert line.replied.absent_reason == pb.ABSENT_REASON_NOT_REPORTED_BY_CHANNEL
    assert whatsapp.replied.absent_reason == pb.ABSENT_REASON_NOT_MEASURED
    assert not whatsapp.delivered.HasField("value")


def test_a_figure_that_arrives_is_shown() -> None:
    totals = [
        (None, total(Metric.MESSAGES_SENT, 2, node_id="a", channel=WHATSAPP)),
        (None, total(Metric.DELIVERED, 1, node_id="a", channel=WHATSAPP)),
        (None, total(Metric.FAILED_LATER, 1, node_id="a", channel=WHATSAPP)),
    ]
    (figures,) = convert.message_figures(totals)
    assert (figures.delivered.value, figures.delivered.measurement) == (1, pb.MEASUREMENT_RECEIPT)
    assert figures.failed.value == 1


def test_nodes_in_order_of_their_ids() -> None:
    nodes = convert.node_messages(
        [
            total(Metric.NODE_ENTERED, 2, node_id="b"),
            total(Metric.NODE_RESULT + 12, 2, node_id="b"),
            total(Metric.NODE_ENTERED, 1, node_id="a"),
            total(Metric.TRIGGERED, 9),
        ]
    )
    assert [(node.node_id, node.entered_count) for node in nodes] == [("a", 1), ("b", 2)]
    assert [(result.result, result.count) for result in nodes[1].results] == [(12, 2)]


def test_a_team() -> None:
    whole = [
        Total(metric, NO_JOURNEY, "", 0, "", value) for metric, value in ((30, 5), (32, 2), (33, 4), (47, 6))
    ]
    other = UUID(int=9)
    sends = [
        Total(Metric.MESSAGES_SENT, journey_id, "a", WHATSAPP, "", 2) for journey_id in (JOURNEY, other)
    ] + [Total(Metric.MESSAGE_COST, journey_id, "a", WHATSAPP, "HKD", 7) for journey_id in (JOURNEY, other)]
    team = convert.team_message(whole, sends)
    assert (team.order_count, team.anonymous_count, team.customer_count) == (5, 2, 4)
    assert team.points.refund_shortfall == 6
    (sent,) = team.sends
    assert (sent.channel, sent.sent_count) == (WHATSAPP, 4)
    assert [(money.currency_code, money.amount_micros) for money in sent.cost.amounts] == [("HKD", 14)]
