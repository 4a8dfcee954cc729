"""Totals to contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import channel_pb2, money_pb2
from omnijourney.journey.v1 import enrolment_pb2, explain_pb2
from omnijourney.stats.v1 import attribution_pb2
from omnijourney.stats.v1 import figures_pb2 as pb
from services.stats.domain.check import Compared
from services.stats.domain.lift import Lift
from services.stats.domain.model import Metric, Total
from services.stats.domain.overview import NoRatio, Overview, Rates
from services.stats.domain.views import ProjectionState, RowSetAside

_NOT_MEASURED: Final = pb.ABSENT_REASON_NOT_MEASURED
_NOT_REPORTED: Final = pb.ABSENT_REASON_NOT_REPORTED_BY_CHANNEL
_STATISTICS: Final = pb.MEASUREMENT_CHANNEL_STATISTICS
_RECEIPT: Final = pb.MEASUREMENT_RECEIPT
_LINK: Final = pb.MEASUREMENT_TRACKED_LINK
_MEASUREMENTS: Final[Mapping[int, Mapping[Metric, pb.Measurement.ValueType]]] = {
    channel_pb2.CHANNEL_LINE: {
        Metric.READ: _STATISTICS,
        Metric.CLICKED: _LINK,
    },
    channel_pb2.CHANNEL_WHATSAPP: {
        Metric.DELIVERED: _RECEIPT,
        Metric.READ: _RECEIPT,
        Metric.REPLIED: _RECEIPT,
        Metric.CLICKED: _LINK,
    },
    channel_pb2.CHANNEL_MESSENGER: {
        Metric.DELIVERED: _RECEIPT,
        Metric.READ: _RECEIPT,
        Metric.CLICKED: _LINK,
    },
    channel_pb2.CHANNEL_INSTAGRAM: {
        Metric.READ: _RECEIPT,
        Metric.CLICKED: _LINK,
    },
}
"""How each figure of a channel is come by; what is not here, the channel does not tell (T-05)."""
_MEASURED: Final = frozenset({Metric.CLICKED})
"""Which of those the gateway feeds already. A figure that it does not feed is absent until the first one
arrives.
"""


def overview_message(journey_id: UUID, figures: Overview, rates: Rates) -> pb.JourneyOverview:
    """A journey's figures; `rates` of its team, where they are needed."""
    return pb.JourneyOverview(
        journey_id=str(journey_id),
        triggered_count=figures.triggered,
        refused_count=figures.refused,
        completed_count=figures.completed,
        halted_count=figures.halted,
        completion_rate=_ratio(figures.completion_rate),
        messages_sent_count=figures.sent,
        failed_count=figures.failed,
        skipped_count=figures.skipped,
        unknown_count=figures.unknown,
        message_cost=amounts(figures.cost),
        order_count=pb.Count(value=figures.orders, measurement=_LINK),
        revenue=amounts(figures.revenue),
        return_on_ad_spend=_return(figures.return_on_ad_spend(rates)),
    )


def amounts(micros: Mapping[str, int]) -> pb.Amounts:
    """Amounts by currency."""
    return pb.Amounts(
        amounts=[
            money_pb2.Money(currency_code=currency, amount_micros=value)
            for currency, value in sorted(micros.items())
        ]
    )


def node_messages(
    totals: Iterable[Total], waits: Iterable[explain_pb2.WaitCount] = ()
) -> list[pb.NodeFigures]:
    """Figures of nodes in order of their ids; `waits` is who waits now."""
    waiting: defaultdict[str, list[explain_pb2.WaitCount]] = defaultdict(list)
    for wait in waits:
        waiting[wait.node_id].append(wait)
    entered: defaultdict[str, int] = defaultdict(int)
    results: defaultdict[str, dict[int, int]] = defaultdict(dict)
    ways: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for total in totals:
        if total.metric == Metric.NODE_ENTERED:
            entered[total.node_id] += total.value
        elif total.metric > Metric.NODE_WAY:
            ways[total.node_id][total.metric - Metric.NODE_WAY] = total.value
        elif total.metric > Metric.NODE_RESULT:
            results[total.node_id][total.metric - Metric.NODE_RESULT] = total.value
    return [
        pb.NodeFigures(
            node_id=node_id,
            entered_count=entered[node_id],
            results=[
                pb.NodeResult(result=enrolment_pb2.StepResult.ValueType(result), count=value)
                for result, value in sorted(results[node_id].items())
            ],
            waits=waiting[node_id],
            ways=[
                enrolment_pb2.WayCount(way=way, count=value) for way, value in sorted(ways[node_id].items())
            ],
        )
        for node_id in sorted(entered.keys() | results.keys() | waiting.keys())
    ]


def message_figures(totals: Iterable[tuple[datetime | None, Total]]) -> list[pb.MessageFigures]:
    """Figures of message nodes in order of node, channel and time."""
    groups: defaultdict[_Place, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    revenue: defaultdict[_Place, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for start, total in totals:
        if total.channel:
            place = (total.node_id, total.channel, start)
            groups[place][total.metric] += total.value
            if total.metric == Metric.JOURNEY_REVENUE:
                revenue[place][total.currency] += total.value
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], item[0][1], str(item[0][2] or "")))
    return [_message(key, figures, revenue.get(key, {})) for key, figures in ordered]


_Place = tuple[str, int, datetime | None]
"""Node, channel, start of the step."""


def _message(place: _Place, figures: Mapping[int, int], revenue: Mapping[str, int]) -> pb.MessageFigures:
    node_id, channel, start = place
    return pb.MessageFigures(
        node_id=node_id,
        channel=channel_pb2.Channel.ValueType(channel),
        start_time=timestamp(start) if start else None,
        sent=_count(figures, Metric.MESSAGES_SENT),
        delivered=_delivered(channel, figures),
        read=_measured(channel, figures, Metric.READ),
        replied=_measured(channel, figures, Metric.REPLIED),
        clicked=_measured(channel, figures, Metric.CLICKED),
        failed=_count(figures, Metric.SENDS_FAILED, Metric.FAILED_LATER),
        orders=pb.Count(value=figures.get(Metric.JOURNEY_ORDERS, 0), measurement=_LINK),
        revenue=amounts({currency: micros for currency, micros in revenue.items() if micros}),
        skipped=_count(figures, Metric.SENDS_SKIPPED),
        unknown=_count(figures, Metric.SENDS_UNKNOWN),
    )


def _count(figures: Mapping[int, int], *metrics: Metric) -> pb.Count:
    value = sum(figures.get(metric, 0) for metric in metrics)
    return pb.Count(value=value, measurement=pb.MEASUREMENT_SEND_ANSWER)


def _delivered(channel: int, figures: Mapping[int, int]) -> pb.Count:
    """LINE tells no delivery: it takes messages of people who have not blocked the account, and brings them."""
    if channel == channel_pb2.CHANNEL_LINE:
        return _count(figures, Metric.MESSAGES_SENT)
    return _measured(channel, figures, Metric.DELIVERED)


def _measured(channel: int, figures: Mapping[int, int], metric: Metric) -> pb.Count:
    measurement = _MEASUREMENTS.get(channel, {}).get(metric)
    if measurement is None:
        return pb.Count(absent_reason=_NOT_REPORTED)
    if metric not in figures and metric not in _MEASURED:
        return pb.Count(absent_reason=_NOT_MEASURED)
    return pb.Count(value=figures.get(metric, 0), measurement=measurement)


_NO_RETURN: Final = {
    NoRatio.NO_COST: pb.ABSENT_REASON_DIVISION_BY_ZERO,
    NoRatio.NO_RATE: pb.ABSENT_REASON_NO_CURRENCY_RATE,
}


def _return(value: float | NoRatio) -> pb.Ratio:
    return pb.Ratio(absent_reason=_NO_RETURN[value]) if isinstance(value, NoRatio) else pb.Ratio(value=value)


def lift_message(lift: Lift) -> attribution_pb2.JourneyLift:
    """A split with a holdout."""
    found = lift.difference
    return attribution_pb2.JourneyLift(
        node_id=lift.node_id,
        treated_count=lift.treated.members,
        treated_order_count=lift.treated.ordered,
        holdout_count=lift.holdout.members,
        holdout_order_count=lift.holdout.ordered,
        lift=_ratio(found and found.value),
        lift_low=_ratio(found and found.low),
        lift_high=_ratio(found and found.high),
    )


def _ratio(value: float | None) -> pb.Ratio:
    if value is None:
        return pb.Ratio(absent_reason=pb.ABSENT_REASON_DIVISION_BY_ZERO)
    return pb.Ratio(value=value)


def team_message(totals: Iterable[Total], sends: Iterable[Total]) -> pb.TeamOverview:
    """A team's figures: totals of the team as a whole, and what it sent."""
    sums: defaultdict[int, int] = defaultdict(int)
    for total in totals:
        sums[total.metric] += total.value
    return pb.TeamOverview(
        order_count=sums[Metric.ORDERS],
        refund_count=sums[Metric.REFUNDS],
        anonymous_count=sums[Metric.ANONYMOUS],
        customer_count=sums[Metric.SHOPPERS],
        sends=_channel_sends(sends),
        points=pb.PointsFigures(
            entry_count=sums[Metric.ENTRIES],
            earned=sums[Metric.EARNED],
            refunded=sums[Metric.REFUNDED],
            journey=sums[Metric.JOURNEY_POINTS],
            other=sums[Metric.OTHER_POINTS],
            balance=sums[Metric.BALANCE],
            cumulative=sums[Metric.CUMULATIVE],
            refund_shortfall=sums[Metric.REFUND_SHORTFALL],
        ),
    )


def _channel_sends(sends: Iterable[Total]) -> list[pb.ChannelSends]:
    sent: defaultdict[int, int] = defaultdict(int)
    cost: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for total in sends:
        if total.metric == Metric.MESSAGES_SENT:
            sent[total.channel] += total.value
        elif total.metric == Metric.MESSAGE_COST:
            cost[total.channel][total.currency] += total.value
    return [
        pb.ChannelSends(
            channel=channel_pb2.Channel.ValueType(channel),
            sent_count=sent[channel],
            cost=amounts(cost[channel]),
        )
        for channel in sorted(sent.keys() | cost.keys())
    ]


def state_message(state: ProjectionState) -> pb.ProjectionState:
    """How far a history is counted."""
    return pb.ProjectionState(
        source=state.source,
        counted_rows=state.counted,
        waiting_rows=state.waiting,
        error_message=state.error,
        set_aside_count=state.set_aside,
    )


def row_message(source: str, row: RowSetAside) -> pb.RowSetAside:
    """A row that could not be counted; `source` is the service's name."""
    return pb.RowSetAside(
        source=source,
        partition=row.partition,
        position=row.position,
        message=row.reason,
        create_time=timestamp(row.create_time),
    )


def finding(compared: Compared) -> pb.ProjectionFinding:
    """A figure that does not agree."""
    return pb.ProjectionFinding(figure=compared.figure, counted=compared.counted, recorded=compared.recorded)
