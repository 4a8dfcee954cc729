"""What each row of a history adds to the counters."""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import pytest

from libs.common.feeds import gateway_records as sends
from libs.common.feeds import journey_records as records
from libs.common.feeds.records import epoch_us
from libs.common.feeds.rows import GatewayRow
from libs.testing.history_rows import (
    JOURNEY,
    LINE,
    NOON,
    TEAM,
    WHATSAPP,
    click,
    entry,
    order,
    receipt,
    record,
    refund,
    refused,
    run_segment,
    segment_fact,
    sent,
    stored,
    tagged,
)
from libs.testing.mails import customers
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.segment.v1 import history_pb2
from services.stats.convert.facts import read_facts
from services.stats.domain.facts import StepResult
from services.stats.domain.fold import count
from services.stats.domain.model import NO_JOURNEY, CounterKey, First, FirstKind, Metric, Source

ANN, BOB = islice(customers(), 2)


def counted(source: Source, *rows: Any) -> dict[CounterKey, int]:
    """Counters of these rows alone, what counts once included."""
    counts = count(read_facts(source, rows))
    sums: defaultdict[CounterKey, int] = defaultdict(int, counts.deltas)
    for key in counts.firsts.values():
        sums[key] += 1
    return dict(sums)


def by_metric(sums: dict[CounterKey, int]) -> dict[int, int]:
    """The same without anything but the metric."""
    found: defaultdict[int, int] = defaultdict(int)
    for key, value in sums.items():
        found[key.metric] += value
    return dict(found)


def test_a_first_run_segment_is_a_trigger_and_its_steps_are_counted_by_node() -> None:
    row = run_segment(
        ANN,
        ("pause", enrolment_pb2.STEP_RESULT_DELAY_STARTED, True),
        at=NOON + timedelta(minutes=29, seconds=59),
        enrolled=True,
    )
    quarter = NOON + timedelta(minutes=15)
    assert counted(Source.JOURNEY, row) == {
        CounterKey(TEAM, Metric.TRIGGERED, quarter, JOURNEY): 1,
        CounterKey(TEAM, Metric.NODE_ENTERED, quarter, JOURNEY, "pause"): 1,
        CounterKey(TEAM, Metric.NODE_RESULT + 8, quarter, JOURNEY, "pause"): 1,
    }


def test_a_node_is_entered_once_a_visit_whatever_happens_there() -> None:
    rows = [
        run_segment(ANN, ("hello", enrolment_pb2.STEP_RESULT_SEND_REQUESTED, True), enrolled=True),
        run_segment(ANN, ("hello", enrolment_pb2.STEP_RESULT_DEFERRED, False)),
        run_segment(
            ANN,
            ("hello", enrolment_pb2.STEP_RESULT_SENT, False),
            ("tag", enrolment_pb2.STEP_RESULT_APPLIED, True),
            state=enrolment_pb2.ENROLMENT_STATE_COMPLETED,
        ),
    ]
    sums = counted(Source.JOURNEY, *rows)
    assert sums[CounterKey(TEAM, Metric.NODE_ENTERED, NOON, JOURNEY, "hello")] == 1
    assert sums[CounterKey(TEAM, Metric.NODE_ENTERED, NOON, JOURNEY, "tag")] == 1
    assert sums[CounterKey(TEAM, Metric.TRIGGERED, NOON, JOURNEY)] == 1
    assert sums[CounterKey(TEAM, Metric.COMPLETED, NOON, JOURNEY)] == 1


def test_a_split_is_counted_by_its_ways_and_by_what_became_of_those_who_went_them() -> None:
    taken, held_out = enrolment_pb2.STEP_RESULT_WAY_TAKEN, enrolment_pb2.STEP_RESULT_HELD_OUT

    def went(result: int, way: str) -> Any:
        steps = [records.StepRecord("divide", 1, result, True, way)]
        return record(ANN, records.RunSegmentFact(0, ANN.bytes, ANN.bytes, False, 1, steps))

    rows = [went(taken, "1"), went(taken, "10"), went(taken, "1"), went(held_out, "3"), went(taken, "none")]
    sums = {key.metric: value for key, value in counted(Source.RECORDS, *rows).items()}
    way, result = int(Metric.NODE_WAY), int(Metric.NODE_RESULT)
    assert sums == {
        Metric.NODE_ENTERED: 5,
        result + taken: 4,
        result + held_out: 1,
        way + 1: 2,
        way + 3: 1,
        way + 10: 1,
    }


WAITS, WHY = enrolment_pb2.STEP_RESULT_DELAY_ENDED, enrolment_pb2.STEP_RESULT_SKIPPED
HALTED = enrolment_pb2.ENROLMENT_STATE_HALTED


@pytest.mark.rule("T-05e")
def test_what_happens_for_a_reason_is_counted_by_it_and_texts_are_none() -> None:
    rows = [
        run_segment(
            ANN,
            ("hello", WHY, True, "UNBOUND"),
            ("hello", WHY, True, "UNBOUND"),
            ("hello", WHY, True, "BLOCKED"),
        ),
        run_segment(ANN, ("hello", enrolment_pb2.STEP_RESULT_FAILED, True, "call her on 0912-345")),
        run_segment(ANN, ("hello", enrolment_pb2.STEP_RESULT_FAILED, True, "A" * 65)),
        run_segment(ANN, ("hello", enrolment_pb2.STEP_RESULT_YES, True, "a detail of its own")),
    ]
    sums = {(k.metric, k.label): v for k, v in counted(Source.RECORDS, *rows).items()}
    skipped, failed = Metric.NODE_RESULT + WHY, Metric.NODE_RESULT + enrolment_pb2.STEP_RESULT_FAILED
    assert sums == {
        (Metric.NODE_ENTERED, ""): 6,
        (skipped, "UNBOUND"): 2,
        (skipped, "BLOCKED"): 1,
        (failed, "OTHER"): 2,
        (Metric.NODE_RESULT + enrolment_pb2.STEP_RESULT_YES, ""): 1,
    }


@pytest.mark.rule("T-05e")
def test_who_ends_at_a_node_did_not_go_on_from_it_whatever_happened_there_before() -> None:
    sent, halt = enrolment_pb2.STEP_RESULT_SENT, enrolment_pb2.STEP_RESULT_HALTED
    goal, converted = enrolment_pb2.STEP_RESULT_GOAL_REACHED, enrolment_pb2.ENROLMENT_STATE_CONVERTED
    rows = [
        run_segment(ANN, ("wait", WAITS, False, ""), ("hello", halt, True, "JOURNEY_STOPPED"), state=HALTED),
        run_segment(ANN, ("hello", sent, False, ""), ("hello", halt, False, "JOURNEY_STOPPED"), state=HALTED),
        run_segment(ANN, ("hello", goal, False, ""), state=converted),
        run_segment(ANN, ("hello", sent, False, ""), state=converted),
    ]
    sums = {(k.metric, k.node_id, k.label): v for k, v in counted(Source.RECORDS, *rows).items()}
    assert {each: value for each, value in sums.items() if each[0] in {6, 7}} == {
        (Metric.NODE_DROPPED, "hello", "JOURNEY_STOPPED"): 2,
        (Metric.NODE_STAYED, "hello", ""): 2,
    }
    assert sum(value for (metric, *_), value in sums.items() if metric == Metric.COMPLETED) == 2


def test_results_have_the_numbers_of_the_contract() -> None:
    for result in StepResult:
        assert int(enrolment_pb2.StepResult.Value(f"STEP_RESULT_{result.name}")) == int(result)


def test_halted_parked_and_refused() -> None:
    rows = [
        run_segment(ANN, state=enrolment_pb2.ENROLMENT_STATE_HALTED),
        run_segment(BOB, state=enrolment_pb2.ENROLMENT_STATE_PARKED),
        refused(BOB),
    ]
    assert by_metric(counted(Source.JOURNEY, *rows)) == {Metric.HALTED: 1, Metric.REFUSED: 1}


def test_a_change_of_status_counts_nothing() -> None:
    assert counted(Source.JOURNEY, record(ANN, records.StatusFact(0, 1, 2, 0, "welcome"))) == {}


def test_facts_of_one_record_are_counted_each_at_its_own_time_and_for_its_own_journey() -> None:
    other = UUID(int=JOURNEY.int + 1)
    sent = ("hello", enrolment_pb2.STEP_RESULT_SENT, True)
    row = record(
        ANN,
        segment_fact(ANN, sent, enrolled=True),
        segment_fact(BOB, sent, journey=1, after_us=901_000_000),
        records.RefusalFact(1, BOB.bytes, 1, -1),
        records.StatusFact(0, 1, 2, 0, "welcome"),
        journeys=[JOURNEY, other],
    )
    before, after = NOON - timedelta(minutes=15), NOON + timedelta(minutes=15)
    assert counted(Source.JOURNEY, row) == {
        CounterKey(TEAM, Metric.TRIGGERED, NOON, JOURNEY): 1,
        CounterKey(TEAM, Metric.NODE_ENTERED, NOON, JOURNEY, "hello"): 1,
        CounterKey(TEAM, Metric.NODE_RESULT + 2, NOON, JOURNEY, "hello"): 1,
        CounterKey(TEAM, Metric.NODE_ENTERED, after, other, "hello"): 1,
        CounterKey(TEAM, Metric.NODE_RESULT + 2, after, other, "hello"): 1,
        CounterKey(TEAM, Metric.REFUSED, before, other): 1,
    }


@pytest.mark.rule("C-03b")
def test_messages_are_counted_as_billed_and_sends_that_fail_once() -> None:
    rows = [
        sent(ANN, messages=3, price_micros=1_500_000),
        sent(ANN, state=delivery_pb2.SEND_STATE_FAILED, messages=0, price_micros=0),
        sent(ANN, state=delivery_pb2.SEND_STATE_SKIPPED, messages=0, price_micros=0),
        sent(ANN, state=delivery_pb2.SEND_STATE_UNKNOWN, messages=2, price_micros=1_000_000),
        sent(ANN, state=delivery_pb2.SEND_STATE_DEFERRED, messages=0, price_micros=0),
        sent(ANN, state=delivery_pb2.SEND_STATE_EXHAUSTED, messages=0, price_micros=0),
    ]
    assert by_metric(counted(Source.GATEWAY, *rows)) == {
        Metric.MESSAGES_SENT: 3,
        Metric.SENDS_FAILED: 1,
        Metric.SENDS_SKIPPED: 1,
        Metric.SENDS_UNKNOWN: 1,
        Metric.MESSAGE_COST: 2_500_000,
    }


@pytest.mark.parametrize(
    "state",
    [
        delivery_pb2.SEND_STATE_DEFERRED,
        delivery_pb2.SEND_STATE_CANCELLED,
        delivery_pb2.SEND_STATE_EXHAUSTED,
        delivery_pb2.SEND_STATE_FAILED,
    ],
)
@pytest.mark.rule("T-01g", "T-01h")
def test_what_left_of_a_send_that_did_not_end_well_is_messages_and_cost_alike(state: int) -> None:
    part = sent(ANN, state=delivery_pb2.SendState.ValueType(state), messages=1, price_micros=500_000)
    found = by_metric(counted(Source.GATEWAY, part))
    assert (found[Metric.MESSAGES_SENT], found[Metric.MESSAGE_COST]) == (1, 500_000)


@pytest.mark.rule("T-05e")
def test_messages_that_fail_are_counted_by_reason_at_once_or_later() -> None:
    what = (JOURNEY.bytes, "hello", WHATSAPP, ANN.bytes)
    key = b"\0" * sends.SEND_BYTES
    facts: list[sends.Fact] = [
        sends.SettledFact(*what, delivery_pb2.SEND_STATE_FAILED, "UNDELIVERABLE", 0, 0, "", 0, key * 2),
        sends.SettledFact(*what, delivery_pb2.SEND_STATE_SKIPPED, "UNBOUND", 0, 0, "", 0, key),
        sends.SettledFact(*what, delivery_pb2.SEND_STATE_SENT, "SOMETHING", 1, 0, "", 0, key),
        sends.ReceiptFact(*what, delivery_pb2.RECEIPT_KIND_FAILED, key, "WHATSAPP_131099"),
        sends.ReceiptFact(*what, delivery_pb2.RECEIPT_KIND_READ, key),
    ]
    row = GatewayRow(7, 1, TEAM.bytes, 5, body=sends.pack_record(sends.Record(epoch_us(NOON), facts)))
    assert {(k.metric, k.label): v for k, v in counted(Source.GATEWAY, row).items()} == {
        (Metric.SENDS_FAILED, "UNDELIVERABLE"): 2,
        (Metric.SENDS_SKIPPED, "UNBOUND"): 1,
        (Metric.MESSAGES_SENT, ""): 1,
        (Metric.FAILED_LATER, "WHATSAPP_131099"): 1,
        (Metric.READ, ""): 1,
    }


def test_costs_keep_their_currency_and_channel() -> None:
    rows = [sent(ANN), sent(ANN, channel=LINE, currency="TWD", price_micros=200_000)]
    costs = {
        (key.channel, key.label): value
        for key, value in counted(Source.GATEWAY, *rows).items()
        if key.metric == Metric.MESSAGE_COST
    }
    assert costs == {(WHATSAPP, "HKD"): 500_000, (LINE, "TWD"): 200_000}


def test_a_failure_told_later_gives_the_price_back() -> None:
    rows = [
        sent(ANN),
        receipt(ANN, delivery_pb2.RECEIPT_KIND_DELIVERED),
        receipt(ANN, delivery_pb2.RECEIPT_KIND_FAILED, refund_micros=500_000),
    ]
    assert by_metric(counted(Source.GATEWAY, *rows)) == {
        Metric.MESSAGES_SENT: 1,
        Metric.DELIVERED: 1,
        Metric.FAILED_LATER: 1,
    }


def test_receipts_of_a_record_are_counted_once_a_send() -> None:
    facts: list[sends.Fact] = [
        sends.ReceiptFact(
            JOURNEY.bytes, "hello", WHATSAPP, ANN.bytes, kind, b"\0" * sends.SEND_BYTES * number
        )
        for kind, number in (
            (delivery_pb2.RECEIPT_KIND_DELIVERED, 3),
            (delivery_pb2.RECEIPT_KIND_READ, 2),
            (99, 5),
        )
    ]
    body = sends.pack_record(sends.Record(epoch_us(NOON), facts))
    row = GatewayRow(7, 1, TEAM.bytes, 5, NOON, body=body)
    assert by_metric(counted(Source.GATEWAY, row)) == {Metric.DELIVERED: 3, Metric.READ: 2}


@pytest.mark.rule("C-04b")
def test_a_send_that_was_unknown_and_is_sent_leaves_the_one_figure_for_the_other_where_it_was_counted() -> (
    None
):
    sent_now, unknown = delivery_pb2.SEND_STATE_SENT, delivery_pb2.SEND_STATE_UNKNOWN
    keys = b"\0" * sends.SEND_BYTES * 3
    settled = sends.SettledFact(
        JOURNEY.bytes, "hello", WHATSAPP, ANN.bytes, unknown, "NO_ANSWER", 2, 1_000_000, "HKD", 0, keys
    )
    settled_us = epoch_us(NOON)
    resolved = sends.ResolvedFact(
        JOURNEY.bytes,
        "hello",
        WHATSAPP,
        ANN.bytes,
        unknown,
        sent_now,
        settled_us,
        2,
        keys[: 2 * sends.SEND_BYTES],
    )
    facts: list[tuple[datetime, sends.Fact]] = [(NOON, settled), (NOON + timedelta(hours=3), resolved)]
    rows = [
        GatewayRow(7, place, TEAM.bytes, 5, body=sends.pack_record(sends.Record(epoch_us(at), [fact])))
        for place, (at, fact) in enumerate(facts)
    ]
    sums = counted(Source.GATEWAY, *rows)
    assert by_metric(sums) == {
        Metric.SENDS_UNKNOWN: 1,
        Metric.MESSAGES_SENT: 4,
        Metric.MESSAGE_COST: 3_000_000,
    }
    assert {key.quarter for key in sums} == {NOON}


def test_a_send_is_clicked_once() -> None:
    effect = UUID(int=7)
    counts = count(
        read_facts(
            Source.GATEWAY,
            [click(ANN, effect), click(ANN, effect, NOON + timedelta(hours=1)), click(ANN, UUID(int=8))],
        )
    )
    assert counts.deltas == {}
    assert {first.id: key.quarter for first, key in counts.firsts.items()} == {
        effect: NOON,
        UUID(int=8): NOON,
    }


def test_points_by_where_they_come_from() -> None:
    rows = [
        entry(ANN, entry_pb2.ENTRY_SOURCE_WEB_ORDER, 15, cumulative=15),
        entry(ANN, entry_pb2.ENTRY_SOURCE_JOURNEY, 50, cumulative=50),
        entry(ANN, entry_pb2.ENTRY_SOURCE_JOURNEY, -10),
        entry(ANN, entry_pb2.ENTRY_SOURCE_REFUND, -3, asked=-5),
        entry(ANN, entry_pb2.ENTRY_SOURCE_MANUAL, 1, cumulative=1),
    ]
    assert by_metric(counted(Source.POINTS, *rows)) == {
        Metric.ENTRIES: 5,
        Metric.EARNED: 15,
        Metric.JOURNEY_POINTS: 40,
        Metric.REFUNDED: 3,
        Metric.REFUND_SHORTFALL: 2,
        Metric.OTHER_POINTS: 1,
        Metric.BALANCE: 53,
        Metric.CUMULATIVE: 66,
    }


def test_orders_refunds_and_the_customers_behind_them() -> None:
    rows = [
        order(ANN),
        order(ANN, NOON + timedelta(hours=1)),
        refund(BOB),
        stored(3),
        stored(3, refund=True),
        stored(3, history_pb2.UNCOUNTED_REASON_UNSIGNED),
        tagged(ANN),
    ]
    assert by_metric(counted(Source.SEGMENT, *rows)) == {
        Metric.ORDERS: 2,
        Metric.REFUNDS: 1,
        Metric.ANONYMOUS: 2,
        Metric.SHOPPERS: 2,
    }
    firsts = count(read_facts(Source.SEGMENT, rows)).firsts
    first = First(TEAM, FirstKind.SHOPPER, ANN)
    assert firsts[first] == CounterKey(TEAM, Metric.SHOPPERS, NOON, NO_JOURNEY)
