"""Rows of the four histories as they are handed on, for tests of who counts them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from libs.common.feeds import gateway_records
from libs.common.feeds import journey_records as records
from libs.common.feeds.records import epoch_us, shard_of
from libs.common.feeds.rows import EntryRow, FactRow, GatewayRow, RecordRow
from libs.common.ids import partition_of
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.segment.v1 import history_pb2

TEAM: Final = UUID("01890000-0000-7000-8000-000000000001")
JOURNEY: Final = UUID("01890000-0000-7000-8000-0000000000aa")
NOON: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WHATSAPP: Final = channel_pb2.CHANNEL_WHATSAPP
LINE: Final = channel_pb2.CHANNEL_LINE
_SEND, _RECEIPT, _CLICK = 1, 2, 3


def record(
    customer_id: UUID,
    *facts: records.Fact,
    at: datetime = NOON,
    journeys: Sequence[UUID] = (JOURNEY,),
    team_id: UUID = TEAM,
) -> RecordRow:
    """What a commit of journey did."""
    body = records.Record(epoch_us(at), [each.bytes for each in journeys], list(facts))
    return RecordRow(partition_of(team_id, customer_id), 0, team_id.bytes, records.pack_record(body))


StepValues = tuple[str, int, bool] | tuple[str, int, bool, str]
"""Node id, result, whether it was entered, and perhaps the detail."""


def run_segment(
    customer_id: UUID,
    *steps: StepValues,
    at: datetime = NOON,
    enrolled: bool = False,
    state: int = enrolment_pb2.ENROLMENT_STATE_LIVE,
    journey_id: UUID = JOURNEY,
    team_id: UUID = TEAM,
) -> RecordRow:
    """A run segment."""
    return record(
        customer_id,
        segment_fact(customer_id, *steps, enrolled=enrolled, state=state),
        at=at,
        journeys=[journey_id],
        team_id=team_id,
    )


def segment_fact(
    customer_id: UUID,
    *steps: StepValues,
    enrolled: bool = False,
    state: int = enrolment_pb2.ENROLMENT_STATE_LIVE,
    journey: int = 0,
    after_us: int = 0,
) -> records.RunSegmentFact:
    """A run segment of a record; `journey` is an index of its journeys."""
    made = [
        records.StepRecord(node, 1, result, entered, "".join(detail), after_us)
        for node, result, entered, *detail in steps
    ]
    return records.RunSegmentFact(
        journey, customer_id.bytes, customer_id.bytes, enrolled, state, made, after_us
    )


def refused(customer_id: UUID, at: datetime = NOON) -> RecordRow:
    """A refused trigger."""
    return record(customer_id, records.RefusalFact(0, customer_id.bytes, 1), at=at)


def sent(
    customer_id: UUID,
    *,
    state: int = delivery_pb2.SEND_STATE_SENT,
    messages: int = 1,
    price_micros: int = 500_000,
    currency: str = "HKD",
    reason: str = "",
    channel: int = WHATSAPP,
    node_id: str = "hello",
    at: datetime = NOON,
    team_id: UUID = TEAM,
) -> GatewayRow:
    """A settled send."""
    row = _gateway(customer_id, _SEND, at, team_id)
    row.node, row.channel = node_id, channel
    row.outcome, row.messages, row.micros, row.currency = state, messages, price_micros, currency
    row.reason = reason
    return row


def receipt(customer_id: UUID, kind: int, *, refund_micros: int = 0, at: datetime = NOON) -> GatewayRow:
    """What a channel told later."""
    row = _gateway(customer_id, _RECEIPT, at)
    row.outcome, row.micros, row.currency = kind, refund_micros, "HKD"
    return row


def click(customer_id: UUID, effect_key: UUID, at: datetime = NOON) -> GatewayRow:
    """A link was opened."""
    row = _gateway(customer_id, _CLICK, at)
    row.key = effect_key.bytes
    return row


def opened(
    customer_id: UUID,
    at: datetime = NOON,
    *,
    effect_key: UUID = JOURNEY,
    journey_id: UUID = JOURNEY,
    node_id: str = "hello",
) -> GatewayRow:
    """A record of the gateway with one opening of a link."""
    fact = gateway_records.ClickFact(
        *(journey_id.bytes, node_id, WHATSAPP, JOURNEY.bytes, effect_key.bytes * 2), customer_id.bytes
    )
    body = gateway_records.pack_record(gateway_records.Record(epoch_us(at), [fact]))
    place = shard_of(partition_of(TEAM, customer_id))
    return GatewayRow(place, 0, TEAM.bytes, 5, at, None, None, None, None, None, body=body)


def _gateway(customer_id: UUID, kind: int, at: datetime, team_id: UUID = TEAM) -> GatewayRow:
    partition = partition_of(team_id, customer_id)
    return GatewayRow(
        partition, 0, team_id.bytes, kind, at, customer_id.bytes, JOURNEY.bytes, "hello", WHATSAPP
    )


def entry(
    customer_id: UUID,
    source: int,
    change: int,
    *,
    asked: int | None = None,
    cumulative: int = 0,
    at: datetime = NOON,
) -> EntryRow:
    """An entry of the ledger; `asked` is the change of the balance that was asked for."""
    partition = partition_of(TEAM, customer_id)
    wanted = change if asked is None else asked
    return EntryRow(partition, 0, TEAM.bytes, customer_id.bytes, at, source, change, cumulative, wanted)


def order(customer_id: UUID, at: datetime = NOON, team_id: UUID = TEAM, **sale: Any) -> FactRow:
    """An order that counts; `sale` as the fields of the row."""
    return _segment(customer_id, history_pb2.FACT_KIND_CHECKOUT_COMPLETED, at, team_id, **sale)


def refund(customer_id: UUID, at: datetime = NOON, **sale: Any) -> FactRow:
    """A refund that counts."""
    return _segment(customer_id, history_pb2.FACT_KIND_ORDER_REFUNDED, at, **sale)


def stored(
    partition: int, reason: int = history_pb2.UNCOUNTED_REASON_ANONYMOUS, *, refund: bool = False
) -> FactRow:
    """An order or refund that does not count."""
    kind = history_pb2.FACT_KIND_REFUND_STORED if refund else history_pb2.FACT_KIND_ORDER_STORED
    return FactRow(partition, 0, TEAM.bytes, None, NOON, kind, reason)


def tagged(customer_id: UUID) -> FactRow:
    """Something that stats does not count."""
    return _segment(customer_id, history_pb2.FACT_KIND_TAG_APPLIED)


def _segment(customer_id: UUID, kind: int, at: datetime = NOON, team_id: UUID = TEAM, **sale: Any) -> FactRow:
    partition = partition_of(team_id, customer_id)
    return FactRow(partition, 0, team_id.bytes, customer_id.bytes, at, kind, **sale)
