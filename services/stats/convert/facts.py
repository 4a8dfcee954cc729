"""From the contracts of the four histories to facts. What is not counted is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from asyncpg.pgproto.pgproto import UUID as DriverUUID  # noqa: N811 - two classes of one name
from google.protobuf.timestamp_pb2 import Timestamp

from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.internal.v1 import gateway_fact_pb2, journey_fact_pb2
from omnijourney.journey.v1 import enrolment_pb2
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


_Shape = tuple[Any, ...]
"""A row as far as it is counted: what makes its fact, and the plain values to make it of. Rows are many and their
shapes few (the run segments of a journey's customers mostly have the same steps), so rows are counted by shape before
anything dearer is done with them.
"""


def read_facts(source: Source, rows: Iterable[Any]) -> list[tuple[f.Fact, int]]:
    """Facts of one source's rows and how often each occurs, in the order in which they occur first. Raises
    ValueError for ids that are none, and for a row that its service could not read.
    """
    shape_of = _SHAPES[source]
    shapes: dict[_Shape, int] = {}
    for row in rows:
        if not row.team_id:
            raise ValueError("the service whose row it is cannot read it")
        shape = shape_of(row)
        if shape is not None:
            shapes[shape] = shapes.get(shape, 0) + 1
    return [(make(*values), times) for (make, *values), times in shapes.items()]


@lru_cache(maxsize=65_536)
def _id(text: str) -> UUID:
    # Teams and journeys are few, their rows are many; reading an id takes longer than looking it up.
    return DriverUUID(text)


@lru_cache(maxsize=4_096)
def _quarter_at(number: int) -> datetime:
    return datetime.fromtimestamp(number * QUARTER_S, UTC)


def _quarter(at: Timestamp) -> int:
    """Quarters of an hour since 1970."""
    return at.seconds // QUARTER_S


def _journey_shape(row: journey_fact_pb2.JourneyFact) -> _Shape | None:
    match row.WhichOneof("kind"):
        case "run_segment":
            segment = row.run_segment  # each look at a field makes a new object
            steps = tuple(
                [
                    (step.node_id, step.result, step.entered, step.occur_time.seconds // QUARTER_S)
                    for step in segment.steps
                ]
            )
            run = (segment.enrolled, segment.state)
            return _run_segment, row.team_id, row.journey_id, _quarter(row.occur_time), run, steps
        case "trigger_refused":
            return _refused, row.team_id, row.journey_id, _quarter(row.occur_time)
    return None


def _run_segment(
    team_id: str,
    journey_id: str,
    quarter: int,
    run: tuple[bool, int],
    steps: tuple[tuple[str, int, bool, int], ...],
) -> f.Fact:
    enrolled, state = run
    return f.RunSegment(
        team_id=_id(team_id),
        journey_id=_id(journey_id),
        quarter=_quarter_at(quarter),
        enrolled=enrolled,
        end=_RUN_ENDS.get(state, f.RunEnd.NOT_YET),
        steps=tuple(f.Step(node, result, entered, _quarter_at(at)) for node, result, entered, at in steps),
    )


def _refused(team_id: str, journey_id: str, quarter: int) -> f.Fact:
    return f.TriggerRefused(_id(team_id), _id(journey_id), _quarter_at(quarter))


def _gateway_shape(row: gateway_fact_pb2.GatewayFact) -> _Shape | None:
    match row.WhichOneof("fact"):
        case "send":
            send = row.send
            price = send.price
            what = (send.state, send.messages, price.amount_micros, price.currency_code)
            return _send, row.team_id, _message(row, send), what
        case "receipt" if row.receipt.kind in _RECEIPTS:
            receipt = row.receipt
            refunded = receipt.refunded
            reported = (receipt.kind, refunded.amount_micros, refunded.currency_code)
            return _receipt, row.team_id, _message(row, receipt), reported
        case "click":
            click = row.click
            return _click, row.team_id, _message(row, click), click.effect_key
    return None


_Message = tuple[str, str, int, int]  # journey, node, channel, quarter


def _message(
    row: gateway_fact_pb2.GatewayFact,
    of: gateway_fact_pb2.SendSettled | gateway_fact_pb2.ReceiptArrived | gateway_fact_pb2.LinkClicked,
) -> _Message:
    return of.journey_id, of.node_id, of.channel, _quarter(row.occur_time)


def _place(team_id: str, message: _Message) -> tuple[UUID, UUID, str, int, datetime]:
    """Team, journey, node, channel and quarter: what the facts of messages begin with."""
    journey_id, node_id, channel, quarter = message
    return _id(team_id), _id(journey_id) if journey_id else NO_JOURNEY, node_id, channel, _quarter_at(quarter)


def _send(team_id: str, message: _Message, what: tuple[int, int, int, str]) -> f.Fact:
    state, messages, micros, currency = what
    end = _SEND_ENDS.get(state, f.SendEnd.OTHER)
    return f.SendSettled(*_place(team_id, message), end, messages, micros, currency)


def _receipt(team_id: str, message: _Message, what: tuple[int, int, str]) -> f.Fact:
    kind, micros, currency = what
    return f.ReceiptArrived(*_place(team_id, message), _RECEIPTS[kind], micros, currency)


def _click(team_id: str, message: _Message, effect_key: str) -> f.Fact:
    return f.LinkClicked(*_place(team_id, message), DriverUUID(effect_key))


def _entry_shape(row: entry_pb2.Entry) -> _Shape:
    changes = (row.delta_balance, row.delta_cumulative, row.requested_balance)
    return _entry, row.team_id, _quarter(row.post_time), row.source, changes


def _entry(team_id: str, quarter: int, source: int, changes: tuple[int, int, int]) -> f.Fact:
    origin = _ENTRY_SOURCES.get(source, f.EntrySource.OTHER)
    return f.PointsChanged(_id(team_id), _quarter_at(quarter), origin, *changes)


def _segment_shape(row: history_pb2.Fact) -> _Shape | None:
    match row.WhichOneof("fact"):
        case "checkout_completed":
            return _order, row.team_id, row.customer_id, _quarter(row.occur_time)
        case "order_refunded":
            return _refund, row.team_id, row.customer_id, _quarter(row.occur_time)
        case "order_stored" if _anonymous(row.order_stored.uncounted_reason):
            return _stored, row.team_id, _quarter(row.occur_time)
        case "refund_stored" if _anonymous(row.refund_stored.uncounted_reason):
            return _stored, row.team_id, _quarter(row.occur_time)
    return None


def _order(team_id: str, customer_id: str, quarter: int) -> f.Fact:
    return f.OrderCounted(_id(team_id), DriverUUID(customer_id), _quarter_at(quarter))


def _refund(team_id: str, customer_id: str, quarter: int) -> f.Fact:
    return f.RefundCounted(_id(team_id), DriverUUID(customer_id), _quarter_at(quarter))


def _stored(team_id: str, quarter: int) -> f.Fact:
    return f.AnonymousStored(_id(team_id), _quarter_at(quarter))


def _anonymous(reason: history_pb2.UncountedReason.ValueType) -> bool:
    return reason == history_pb2.UNCOUNTED_REASON_ANONYMOUS


_SHAPES: Final[Mapping[Source, Callable[[Any], _Shape | None]]] = {
    Source.JOURNEY: _journey_shape,
    Source.GATEWAY: _gateway_shape,
    Source.POINTS: _entry_shape,
    Source.SEGMENT: _segment_shape,
}
