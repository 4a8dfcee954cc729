"""Rows of the four histories, in their contracts, for tests of who counts them."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from libs.common.ids import partition_of
from libs.common.rpc.values import timestamp
from omnijourney.channel_gateway.v1 import delivery_pb2
from omnijourney.common.v1 import channel_pb2, money_pb2
from omnijourney.internal.v1 import gateway_fact_pb2, journey_fact_pb2
from omnijourney.journey.v1 import enrolment_pb2
from omnijourney.points.v1 import entry_pb2
from omnijourney.segment.v1 import history_pb2

TEAM: Final = UUID("01890000-0000-7000-8000-000000000001")
JOURNEY: Final = UUID("01890000-0000-7000-8000-0000000000aa")
NOON: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WHATSAPP: Final = channel_pb2.CHANNEL_WHATSAPP
LINE: Final = channel_pb2.CHANNEL_LINE


def run_segment(
    customer_id: UUID,
    *steps: tuple[str, int, bool],
    at: datetime = NOON,
    enrolled: bool = False,
    state: int = enrolment_pb2.ENROLMENT_STATE_LIVE,
    journey_id: UUID = JOURNEY,
    team_id: UUID = TEAM,
) -> journey_fact_pb2.JourneyFact:
    """A run segment; steps are (node id, result, entered)."""
    return journey_fact_pb2.JourneyFact(
        partition=partition_of(team_id, customer_id),
        team_id=str(team_id),
        journey_id=str(journey_id),
        occur_time=timestamp(at),
        run_segment=journey_fact_pb2.RunSegment(
            customer_id=str(customer_id),
            enrolled=enrolled,
            state=enrolment_pb2.EnrolmentState.ValueType(state),
            steps=[_step(*step, at) for step in steps],
        ),
    )


def _step(node_id: str, result: int, entered: bool, at: datetime) -> enrolment_pb2.Step:
    return enrolment_pb2.Step(
        node_id=node_id,
        result=enrolment_pb2.StepResult.ValueType(result),
        entered=entered,
        occur_time=timestamp(at),
    )


def refused(customer_id: UUID, at: datetime = NOON) -> journey_fact_pb2.JourneyFact:
    """A refused trigger."""
    return journey_fact_pb2.JourneyFact(
        partition=partition_of(TEAM, customer_id),
        team_id=str(TEAM),
        journey_id=str(JOURNEY),
        occur_time=timestamp(at),
        trigger_refused=journey_fact_pb2.TriggerRefused(customer_id=str(customer_id)),
    )


def sent(
    customer_id: UUID,
    *,
    state: int = delivery_pb2.SEND_STATE_SENT,
    messages: int = 1,
    price_micros: int = 500_000,
    currency: str = "HKD",
    channel: int = WHATSAPP,
    node_id: str = "hello",
    at: datetime = NOON,
    team_id: UUID = TEAM,
) -> gateway_fact_pb2.GatewayFact:
    """A settled send."""
    return _gateway(
        customer_id,
        at,
        team_id,
        send=gateway_fact_pb2.SendSettled(
            journey_id=str(JOURNEY),
            node_id=node_id,
            channel=channel_pb2.Channel.ValueType(channel),
            state=delivery_pb2.SendState.ValueType(state),
            messages=messages,
            price=money_pb2.Money(currency_code=currency, amount_micros=price_micros),
        ),
    )


def receipt(customer_id: UUID, kind: int, *, refund_micros: int = 0, at: datetime = NOON) -> Any:
    """What a channel told later."""
    return _gateway(
        customer_id,
        at,
        TEAM,
        receipt=gateway_fact_pb2.ReceiptArrived(
            journey_id=str(JOURNEY),
            node_id="hello",
            channel=WHATSAPP,
            kind=delivery_pb2.ReceiptKind.ValueType(kind),
            refunded=money_pb2.Money(currency_code="HKD", amount_micros=refund_micros),
        ),
    )


def click(customer_id: UUID, effect_key: UUID, at: datetime = NOON) -> Any:
    """A link was opened."""
    return _gateway(
        customer_id,
        at,
        TEAM,
        click=gateway_fact_pb2.LinkClicked(
            journey_id=str(JOURNEY), node_id="hello", channel=WHATSAPP, effect_key=str(effect_key)
        ),
    )


def _gateway(customer_id: UUID, at: datetime, team_id: UUID, **fact: Any) -> gateway_fact_pb2.GatewayFact:
    return gateway_fact_pb2.GatewayFact(
        partition=partition_of(team_id, customer_id),
        team_id=str(team_id),
        customer_id=str(customer_id),
        occur_time=timestamp(at),
        **fact,
    )


def entry(
    customer_id: UUID,
    source: int,
    change: int,
    *,
    asked: int | None = None,
    cumulative: int = 0,
    at: datetime = NOON,
) -> entry_pb2.Entry:
    """An entry of the ledger; `asked` is the change of the balance that was asked for."""
    return entry_pb2.Entry(
        partition=partition_of(TEAM, customer_id),
        team_id=str(TEAM),
        customer_id=str(customer_id),
        source=entry_pb2.EntrySource.ValueType(source),
        delta_balance=change,
        delta_cumulative=cumulative,
        requested_balance=change if asked is None else asked,
        post_time=timestamp(at),
    )


def order(customer_id: UUID, at: datetime = NOON, team_id: UUID = TEAM) -> history_pb2.Fact:
    """An order that counts."""
    return _segment(customer_id, at, team_id, checkout_completed=history_pb2.OrderFact())


def refund(customer_id: UUID, at: datetime = NOON) -> history_pb2.Fact:
    """A refund that counts."""
    return _segment(customer_id, at, TEAM, order_refunded=history_pb2.RefundFact())


def stored(
    partition: int, reason: int = history_pb2.UNCOUNTED_REASON_ANONYMOUS, *, refund: bool = False
) -> history_pb2.Fact:
    """An order or refund that does not count."""
    why = history_pb2.UncountedReason.ValueType(reason)
    what: dict[str, Any] = {"order_stored": history_pb2.OrderFact(uncounted_reason=why)}
    if refund:
        what = {"refund_stored": history_pb2.RefundFact(uncounted_reason=why)}
    return history_pb2.Fact(partition=partition, team_id=str(TEAM), occur_time=timestamp(NOON), **what)


def tagged(customer_id: UUID) -> history_pb2.Fact:
    """Something that stats does not count."""
    return _segment(customer_id, NOON, TEAM, tag_applied=history_pb2.TagFact(tag="vip"))


def _segment(customer_id: UUID, at: datetime, team_id: UUID, **fact: Any) -> history_pb2.Fact:
    return history_pb2.Fact(
        partition=partition_of(team_id, customer_id),
        team_id=str(team_id),
        customer_id=str(customer_id),
        occur_time=timestamp(at),
        **fact,
    )
