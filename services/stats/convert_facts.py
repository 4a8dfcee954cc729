"""From the contracts of the four histories to facts. What is not counted is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.journey.v1 import enrolment_pb2, fact_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.segment.v1 import history_pb2
from services.stats.domain import facts as f
from services.stats.domain.model import NO_JOURNEY, QUARTER_S, Source

_RUN_ENDS: Final[Mapping[int, f.RunEnd]] = {
    enrolment_pb2.ENROLMENT_STATE_COMPLETED: f.RunEnd.COMPLETED,
    enrolment_pb2.ENROLMENT_STATE_HALTED: f.RunEnd.HALTED,
}
_SEND_ENDS: Final[Mapping[int, f.SendEnd]] = {
    delivery_pb2.SEND_STATE_SENT: f.SendEnd.SENT,
    delivery_pb2.SEND_STATE_SKIPPED: f.SendEnd.SKIPPED,
    delivery_pb2.SEND_STATE_FAILED: f.SendEnd.FAILED,
    delivery_pb2.SEND_STATE_UNKNOWN: f.SendEnd.UNKNOWN,
}
_RECEIPTS: Final[Mapping[int, f.ReceiptKind]] = {
    delivery_pb2.RECEIPT_KIND_DELIVERED: f.ReceiptKind.DELIVERED,
    delivery_pb2.RECEIPT_KIND_READ: f.ReceiptKind.READ,
    delivery_pb2.RECEIPT_KIND_REPLIED: f.ReceiptKind.REPLIED,
    delivery_pb2.RECEIPT_KIND_FAILED: f.ReceiptKind.FAILED,
}
_ENTRY_SOURCES: Final[Mapping[int, f.EntrySource]] = {
    entry_pb2.ENTRY_SOURCE_WEB_ORDER: f.EntrySource.ORDER,
    entry_pb2.ENTRY_SOURCE_REFUND: f.EntrySource.REFUND,
    entry_pb2.ENTRY_SOURCE_JOURNEY: f.EntrySource.JOURNEY,
}


def read_facts(source: Source, rows: Iterable[Any]) -> list[f.Fact]:
    """Facts of one source's rows, in order. Raises ValueError for ids that are none."""
    read = _READERS[source]
    return [fact for row in rows if (fact := read(row)) is not None]


@lru_cache(maxsize=65_536)
def _id(text: str) -> UUID:
    # Teams and journeys are few, their rows are many; reading an id takes longer than looking it up.
    return UUID(text)


@lru_cache(maxsize=4_096)
def _quarter_at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _quarter(at: Timestamp) -> datetime:
    second = at.seconds
    return _quarter_at(second - second % QUARTER_S)


def _journey_fact(row: fact_pb2.JourneyFact) -> f.Fact | None:
    match row.WhichOneof("kind"):
        case "burst":
            burst = row.burst  # each look at a field makes a new object
            return f.Burst(
                team_id=_id(row.team_id),
                journey_id=_id(row.journey_id),
                quarter=_quarter(row.time),
                enrolled=burst.enrolled,
                end=_RUN_ENDS.get(burst.state, f.RunEnd.NOT_YET),
                steps=[
                    f.Step(step.node_id, step.result, step.entered, _quarter(step.time))
                    for step in burst.steps
                ],
            )
        case "trigger_refused":
            return f.TriggerRefused(_id(row.team_id), _id(row.journey_id), _quarter(row.time))
    return None


def _gateway_fact(row: delivery_pb2.GatewayFact) -> f.Fact | None:
    match row.WhichOneof("fact"):
        case "send":
            return _send(row, row.send)
        case "receipt" if row.receipt.kind in _RECEIPTS:
            return _receipt(row, row.receipt)
        case "click":
            click = row.click
            return f.LinkClicked(
                team_id=_id(row.team_id),
                journey_id=_journey(click.journey_id),
                node_id=click.node_id,
                channel=click.channel,
                quarter=_quarter(row.occur_time),
                effect_key=UUID(click.effect_key),
            )
    return None


def _send(row: delivery_pb2.GatewayFact, send: delivery_pb2.SendSettled) -> f.Fact:
    return f.SendSettled(
        team_id=_id(row.team_id),
        journey_id=_journey(send.journey_id),
        node_id=send.node_id,
        channel=send.channel,
        quarter=_quarter(row.occur_time),
        end=_SEND_ENDS.get(send.state, f.SendEnd.OTHER),
        messages=send.messages,
        cost_micros=send.price.amount_micros,
        currency=send.price.currency_code,
    )


def _receipt(row: delivery_pb2.GatewayFact, receipt: delivery_pb2.ReceiptArrived) -> f.Fact:
    return f.ReceiptArrived(
        team_id=_id(row.team_id),
        journey_id=_journey(receipt.journey_id),
        node_id=receipt.node_id,
        channel=receipt.channel,
        quarter=_quarter(row.occur_time),
        kind=_RECEIPTS[receipt.kind],
        refunded_micros=receipt.refunded.amount_micros,
        currency=receipt.refunded.currency_code,
    )


def _journey(text: str) -> UUID:
    return _id(text) if text else NO_JOURNEY


def _entry(row: entry_pb2.Entry) -> f.Fact:
    return f.PointsChanged(
        team_id=_id(row.team_id),
        quarter=_quarter(row.post_time),
        source=_ENTRY_SOURCES.get(row.source, f.EntrySource.OTHER),
        delta_balance=row.delta_balance,
        delta_cumulative=row.delta_cumulative,
        requested_balance=row.requested_balance,
    )


def _segment_fact(row: history_pb2.Fact) -> f.Fact | None:
    match row.WhichOneof("fact"):
        case "checkout_completed":
            return f.OrderCounted(_id(row.team_id), UUID(row.customer_id), _quarter(row.occur_time))
        case "order_refunded":
            return f.RefundCounted(_id(row.team_id), UUID(row.customer_id), _quarter(row.occur_time))
        case "order_stored" if _anonymous(row.order_stored.uncounted_reason):
            return f.AnonymousStored(_id(row.team_id), _quarter(row.occur_time))
        case "refund_stored" if _anonymous(row.refund_stored.uncounted_reason):
            return f.AnonymousStored(_id(row.team_id), _quarter(row.occur_time))
    return None


def _anonymous(reason: history_pb2.UncountedReason.ValueType) -> bool:
    return reason == history_pb2.UNCOUNTED_REASON_ANONYMOUS


_READERS: Final[Mapping[Source, Callable[[Any], f.Fact | None]]] = {
    Source.JOURNEY: _journey_fact,
    Source.GATEWAY: _gateway_fact,
    Source.POINTS: _entry,
    Source.SEGMENT: _segment_fact,
}
