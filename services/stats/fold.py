"""From facts of the four histories to counts. One function a source; none looks at anything but the fact."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.journey.v1 import enrolment_pb2, fact_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.segment.v1 import history_pb2
from services.stats.domain.model import NO_JOURNEY, CounterKey, Counts, Metric, Source

_HOUR_S = 3600


class _Tally:
    """Counts under way."""

    def __init__(self) -> None:
        self.deltas: defaultdict[CounterKey, int] = defaultdict(int)
        self.shoppers: set[tuple[UUID, UUID]] = set()

    def team(self, team_id: str, at: Timestamp, metric: Metric, by: int = 1) -> None:
        if by:
            self.deltas[CounterKey(UUID(team_id), metric, _hour(at))] += by

    def journey(
        self,
        fact: Any,
        at: Timestamp,
        metric: int,
        *,
        node_id: str = "",
        channel: int = 0,
        by: int = 1,
        currency: str = "",
    ) -> None:
        """`fact` has a team; the journey is its own or that of `fact.journey_id`."""
        key = CounterKey(
            UUID(fact.team_id), metric, _hour(at), UUID(fact.journey_id), node_id, channel, currency
        )
        self.deltas[key] += by


def count(source: Source, facts: Iterable[Any]) -> Counts:
    """What these facts of one source add. The result does not depend on how facts are split into batches."""
    tally = _Tally()
    count_one = _COUNTERS[source]
    for fact in facts:
        count_one(tally, fact)
    return Counts(dict(tally.deltas), tally.shoppers)


def _count_journey(tally: _Tally, fact: fact_pb2.JourneyFact) -> None:
    match fact.WhichOneof("kind"):
        case "burst":
            _count_burst(tally, fact)
        case "trigger_refused":
            tally.journey(fact, fact.time, Metric.REFUSED)


def _count_burst(tally: _Tally, fact: fact_pb2.JourneyFact) -> None:
    if fact.burst.enrolled:
        tally.journey(fact, fact.time, Metric.TRIGGERED)
    for step in fact.burst.steps:
        if step.entered:
            tally.journey(fact, step.time, Metric.NODE_ENTERED, node_id=step.node_id)
        tally.journey(fact, step.time, Metric.NODE_RESULT + step.result, node_id=step.node_id)
    if fact.burst.state == enrolment_pb2.ENROLMENT_STATE_COMPLETED:
        tally.journey(fact, fact.time, Metric.COMPLETED)
    elif fact.burst.state == enrolment_pb2.ENROLMENT_STATE_HALTED:
        tally.journey(fact, fact.time, Metric.HALTED)


_SETTLED: Mapping[int, Metric] = {
    delivery_pb2.SEND_STATE_FAILED: Metric.SENDS_FAILED,
    delivery_pb2.SEND_STATE_SKIPPED: Metric.SENDS_SKIPPED,
    delivery_pb2.SEND_STATE_UNKNOWN: Metric.SENDS_UNKNOWN,
}
_RECEIPTS: Mapping[int, Metric] = {
    delivery_pb2.RECEIPT_KIND_DELIVERED: Metric.DELIVERED,
    delivery_pb2.RECEIPT_KIND_READ: Metric.READ,
    delivery_pb2.RECEIPT_KIND_REPLIED: Metric.REPLIED,
    delivery_pb2.RECEIPT_KIND_FAILED: Metric.FAILED_LATER,
}


def _count_gateway(tally: _Tally, fact: delivery_pb2.GatewayFact) -> None:
    match fact.WhichOneof("fact"):
        case "send":
            _count_send(tally, fact)
        case "receipt":
            _count_receipt(tally, fact)
        case "click":
            click = fact.click
            key = _sent_key(fact, click, Metric.CLICKED)
            tally.deltas[key] += 1


def _count_send(tally: _Tally, fact: delivery_pb2.GatewayFact) -> None:
    send = fact.send
    if send.state == delivery_pb2.SEND_STATE_SENT:
        tally.deltas[_sent_key(fact, send, Metric.MESSAGES_SENT)] += send.messages
    elif send.state in _SETTLED:
        tally.deltas[_sent_key(fact, send, _SETTLED[send.state])] += 1
    if send.price.amount_micros:
        cost = _sent_key(fact, send, Metric.MESSAGE_COST, send.price.currency_code)
        tally.deltas[cost] += send.price.amount_micros


def _count_receipt(tally: _Tally, fact: delivery_pb2.GatewayFact) -> None:
    receipt = fact.receipt
    if receipt.kind in _RECEIPTS:
        tally.deltas[_sent_key(fact, receipt, _RECEIPTS[receipt.kind])] += 1
    if receipt.refunded.amount_micros:
        cost = _sent_key(fact, receipt, Metric.MESSAGE_COST, receipt.refunded.currency_code)
        tally.deltas[cost] -= receipt.refunded.amount_micros


def _sent_key(fact: delivery_pb2.GatewayFact, sent: Any, metric: Metric, currency: str = "") -> CounterKey:
    """Key of a figure of a message node on a channel."""
    journey_id = UUID(sent.journey_id) if sent.journey_id else NO_JOURNEY
    hour = _hour(fact.occur_time)
    return CounterKey(UUID(fact.team_id), metric, hour, journey_id, sent.node_id, sent.channel, currency)


def _count_points(tally: _Tally, entry: entry_pb2.Entry) -> None:
    team_id, at = entry.team_id, entry.post_time
    tally.team(team_id, at, Metric.ENTRIES)
    tally.team(team_id, at, Metric.BALANCE, entry.delta_balance)
    tally.team(team_id, at, Metric.CUMULATIVE, entry.delta_cumulative)
    match entry.source:
        case entry_pb2.ENTRY_SOURCE_WEB_ORDER:
            tally.team(team_id, at, Metric.EARNED, entry.delta_balance)
        case entry_pb2.ENTRY_SOURCE_REFUND:
            tally.team(team_id, at, Metric.REFUNDED, -entry.delta_balance)
        case entry_pb2.ENTRY_SOURCE_JOURNEY:
            tally.team(team_id, at, Metric.JOURNEY_POINTS, entry.delta_balance)
        case _:
            tally.team(team_id, at, Metric.OTHER_POINTS, entry.delta_balance)


def _count_segment(tally: _Tally, fact: history_pb2.Fact) -> None:
    at = fact.occur_time
    match fact.WhichOneof("fact"):
        case "checkout_completed":
            tally.team(fact.team_id, at, Metric.ORDERS)
            tally.shoppers.add((UUID(fact.team_id), UUID(fact.customer_id)))
        case "order_refunded":
            tally.team(fact.team_id, at, Metric.REFUNDS)
            tally.shoppers.add((UUID(fact.team_id), UUID(fact.customer_id)))
        case "order_stored" if _anonymous(fact.order_stored.uncounted_reason):
            tally.team(fact.team_id, at, Metric.ANONYMOUS)
        case "refund_stored" if _anonymous(fact.refund_stored.uncounted_reason):
            tally.team(fact.team_id, at, Metric.ANONYMOUS)


def _anonymous(reason: history_pb2.UncountedReason.ValueType) -> bool:
    return reason == history_pb2.UNCOUNTED_REASON_ANONYMOUS


def _hour(at: Timestamp) -> datetime:
    return datetime.fromtimestamp(at.seconds - at.seconds % _HOUR_S, UTC)


_COUNTERS: Mapping[Source, Callable[[_Tally, Any], None]] = {
    Source.JOURNEY: _count_journey,
    Source.GATEWAY: _count_gateway,
    Source.POINTS: _count_points,
    Source.SEGMENT: _count_segment,
}
