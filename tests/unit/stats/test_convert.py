"""Absent figures are absent with a reason, never 0."""

from decimal import Decimal
from uuid import UUID

import pytest

from libs.testing.history_rows import JOURNEY, LINE, WHATSAPP
from omnijourney.common.v1.channel_pb2 import CHANNEL_INSTAGRAM
from omnijourney.journey.v1 import enrolment_pb2, explain_pb2
from omnijourney.stats.v1 import figures_pb2 as pb
from services.stats.convert import figures as convert
from services.stats.domain.model import NO_JOURNEY, Metric, Total
from services.stats.domain.overview import Rates, overview_of


def total(metric: int, value: int, *, node_id: str = "", channel: int = 0, currency: str = "") -> Total:
    """A total of the journey."""
    return Total(metric, JOURNEY, node_id, channel, currency, value)


@pytest.mark.rule("T-01i")
def test_nothing_happened_and_what_would_be_divided_by_0_is_absent_with_its_reason() -> None:
    overview = convert.overview_message(JOURNEY, overview_of([]), {})
    assert overview.triggered_count == 0
    assert not overview.completion_rate.HasField("value")
    assert overview.completion_rate.absent_reason == pb.ABSENT_REASON_DIVISION_BY_ZERO
    assert not overview.return_on_ad_spend.HasField("value")
    assert overview.return_on_ad_spend.absent_reason == pb.ABSENT_REASON_DIVISION_BY_ZERO
    assert list(overview.message_cost.amounts) == []
    assert overview.message_cost.absent_reason == pb.ABSENT_REASON_UNSPECIFIED


def ratio(rates: Rates, *totals: Total) -> pb.Ratio:
    """Revenue by cost."""
    return convert.overview_message(JOURNEY, overview_of(totals), rates).return_on_ad_spend


@pytest.mark.rule("T-03")
def test_revenue_and_cost_in_several_currencies_are_compared_by_the_teams_rates_or_not_at_all() -> None:
    spent = total(Metric.MESSAGE_COST, 2_000_000, node_id="a", channel=WHATSAPP, currency="HKD")
    earned = total(Metric.JOURNEY_REVENUE, 24_000_000, node_id="a", channel=WHATSAPP, currency="TWD")
    hkd = total(Metric.JOURNEY_REVENUE, 5_000_000, node_id="a", channel=WHATSAPP, currency="HKD")
    assert ratio({}, spent, hkd).value == 2.5
    assert ratio({"TWD": Decimal(1), "HKD": Decimal(4)}, spent, earned).value == 3.0
    assert ratio({"TWD": Decimal(1), "HKD": Decimal(4)}, spent, earned, hkd).value == 5.5
    assert ratio({"TWD": Decimal(1)}, spent, earned).absent_reason == pb.ABSENT_REASON_NO_CURRENCY_RATE
    assert ratio({}, earned).absent_reason == pb.ABSENT_REASON_DIVISION_BY_ZERO
    assert ratio({}, spent).value == 0.0


def test_a_journey() -> None:
    totals = overview_of(
        [
            total(Metric.TRIGGERED, 4),
            total(Metric.COMPLETED, 3),
            total(Metric.MESSAGES_SENT, 2, node_id="a", channel=WHATSAPP),
            total(Metric.MESSAGES_SENT, 1, node_id="b", channel=LINE),
            total(Metric.MESSAGE_COST, 1_000_000, node_id="a", channel=WHATSAPP, currency="HKD"),
            total(Metric.MESSAGE_COST, 200_000, node_id="b", channel=LINE, currency="TWD"),
            total(Metric.JOURNEY_ORDERS, 2, node_id="b", channel=LINE),
            total(Metric.JOURNEY_REVENUE, 90_000_000, node_id="b", channel=LINE, currency="TWD"),
        ],
    )
    overview = convert.overview_message(JOURNEY, totals, {})
    assert overview.order_count.value == 2
    assert [(money.currency_code, money.amount_micros) for money in overview.revenue.amounts] == [
        ("TWD", 90_000_000)
    ]
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
    assert (line.delivered.value, line.delivered.measurement) == (2, pb.MEASUREMENT_SEND_ANSWER)
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


def test_what_instagram_does_not_tell_is_not_made_up_from_what_was_read() -> None:
    read = [
        (None, total(metric, 1, node_id="a", channel=CHANNEL_INSTAGRAM))
        for metric in (Metric.DELIVERED, Metric.READ)
    ]
    (figures,) = convert.message_figures(read)
    assert figures.delivered.absent_reason == pb.ABSENT_REASON_NOT_REPORTED_BY_CHANNEL
    assert (figures.read.value, figures.read.measurement) == (1, pb.MEASUREMENT_RECEIPT)


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


def test_who_waits_stands_with_their_node_whether_it_was_entered_or_not() -> None:
    waits = [
        explain_pb2.WaitCount(node_id=name, wait_reason=enrolment_pb2.WAIT_REASON_DELAY, enrolment_count=5)
        for name in ("a", "b")
    ]
    nodes = convert.node_messages([total(Metric.NODE_ENTERED, 2, node_id="b")], waits)
    assert [(node.node_id, node.entered_count, list(node.waits)) for node in nodes] == [
        ("a", 0, waits[:1]),
        ("b", 2, waits[1:]),
    ]


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


@pytest.mark.rule("T-05e")
def test_a_node_says_who_went_on_who_dropped_off_and_why() -> None:
    result = Metric.NODE_RESULT
    totals = [
        total(Metric.NODE_ENTERED, 10, node_id="hello"),
        total(result + enrolment_pb2.STEP_RESULT_SEND_REQUESTED, 9, node_id="hello"),
        total(result + enrolment_pb2.STEP_RESULT_SENT, 5, node_id="hello"),
        total(result + enrolment_pb2.STEP_RESULT_SKIPPED, 1, node_id="hello", currency="BLOCKED"),
        total(result + enrolment_pb2.STEP_RESULT_SKIPPED, 2, node_id="hello", currency="UNBOUND"),
        total(result + enrolment_pb2.STEP_RESULT_HALTED, 2, node_id="hello", currency="JOURNEY_STOPPED"),
        total(Metric.NODE_DROPPED, 2, node_id="hello", currency="JOURNEY_STOPPED"),
        total(Metric.NODE_STAYED, 1, node_id="hello"),
        total(Metric.MESSAGES_SENT, 5, node_id="hello", channel=WHATSAPP),
        total(Metric.SENDS_FAILED, 1, node_id="other", channel=WHATSAPP, currency="UNDELIVERABLE"),
    ]
    (node,) = convert.node_messages(totals)
    assert (node.entered_count, node.passed_count, node.dropped_count, node.drop_off.value) == (10, 7, 2, 0.2)
    assert [(each.detail, each.count) for each in node.dropped_reasons] == [("JOURNEY_STOPPED", 2)]
    reasons = {
        each.result: [(r.detail, r.count) for r in each.reasons] for each in node.results if each.reasons
    }
    assert reasons == {
        enrolment_pb2.STEP_RESULT_SKIPPED: [("UNBOUND", 2), ("BLOCKED", 1)],
        enrolment_pb2.STEP_RESULT_HALTED: [("JOURNEY_STOPPED", 2)],
    }


@pytest.mark.rule("T-05e")
def test_a_message_node_says_why_messages_failed_at_once_or_later_and_why_sends_were_skipped() -> None:
    def of(metric: Metric, value: int, reason: str) -> tuple[None, Total]:
        return None, total(metric, value, node_id="hello", channel=WHATSAPP, currency=reason)

    (figures,) = convert.message_figures(
        [
            of(Metric.SENDS_FAILED, 1, "UNDELIVERABLE"),
            of(Metric.SENDS_FAILED, 3, ""),
            of(Metric.FAILED_LATER, 4, "UNDELIVERABLE"),
            of(Metric.SENDS_SKIPPED, 2, "BLOCKED"),
        ]
    )
    assert (figures.failed.value, figures.skipped.value) == (8, 2)
    assert [(r.detail, r.count) for r in figures.failed_reasons] == [("UNDELIVERABLE", 5), ("", 3)]
    assert [(r.detail, r.count) for r in figures.skipped_reasons] == [("BLOCKED", 2)]
