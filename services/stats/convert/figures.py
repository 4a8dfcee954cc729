"""Totals to contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import inf
from typing import Final
from uuid import UUID

from libs.common.rpc.values import timestamp
from omnijourney.common.v1 import channel_pb2, money_pb2
from omnijourney.journey.v1 import enrolment_pb2, explain_pb2
from omnijourney.stats.v1 import attribution_pb2, stats_service_pb2
from omnijourney.stats.v1 import figures_pb2 as pb
from services.stats.domain.check import Compared, is_of_node
from services.stats.domain.facts import LEAVING, REASONED
from services.stats.domain.lift import Lift
from services.stats.domain.model import Metric, Total
from services.stats.domain.opens import Opened
from services.stats.domain.overview import NoRatio, Overview, Rates, overview_of
from services.stats.domain.views import ProjectionState, RowSetAside

_NOT_MEASURED: Final = pb.ABSENT_REASON_NOT_MEASURED
_NOT_REPORTED: Final = pb.ABSENT_REASON_NOT_REPORTED_BY_CHANNEL
_STATISTICS: Final = pb.MEASUREMENT_CHANNEL_STATISTICS
_RECEIPT: Final = pb.MEASUREMENT_RECEIPT
_LINK: Final = pb.MEASUREMENT_TRACKED_LINK
_MEASUREMENTS: Final[Mapping[int, Mapping[Metric, pb.Measurement.ValueType]]] = {
    channel_pb2.CHANNEL_LINE: {Metric.CLICKED: _LINK},
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
"""How each figure of a channel is counted; what is not here, the channel does not tell of single messages (T-05)."""
_MEASURED: Final = frozenset({Metric.CLICKED})
"""Which of those the gateway feeds already. A figure that it does not feed is absent until the first one
arrives.
"""


_COUNTS: Final = (
    *("triggered_count", "refused_count", "completed_count", "halted_count"),
    *("messages_sent_count", "failed_count", "skipped_count", "unknown_count"),
)
"""Fields of the counts with which an Overview begins, in its order."""


def overview_message(journey_id: UUID, figures: Overview, rates: Rates) -> pb.JourneyOverview:
    """A journey's figures; `rates` of its team, where they are needed."""
    message = pb.JourneyOverview(
        journey_id=str(journey_id),
        completion_rate=_ratio(None),
        message_cost=pb.Amounts(),
        order_count=pb.Count(value=0, measurement=_LINK),
        revenue=pb.Amounts(),
        return_on_ad_spend=_return(NoRatio.NO_COST),
    )
    _fill(message, figures, rates)
    return message


def journey_series(
    journey_id: UUID, starts: Iterable[datetime], figures: Mapping[int, Overview], rates: Rates
) -> stats_service_pb2.GetJourneySeriesResponse:
    """The steps of a journey, of which `figures` has those in which something happened, by their place."""
    quiet = overview_message(journey_id, overview_of(()), rates)
    response = stats_service_pb2.GetJourneySeriesResponse()
    for place, start in enumerate(starts):
        point = response.points.add(figures=quiet)
        # Steps begin on full seconds.
        point.start_time.seconds = int(start.timestamp())
        if place in figures:
            _fill(point.figures, figures[place], rates)
    return response


def _fill(message: pb.JourneyOverview, figures: Overview, rates: Rates) -> None:
    """Into the message of a journey that nothing happened to; written for the thousands of hours of a year."""
    for field, value in zip(_COUNTS, figures, strict=False):
        if value:
            setattr(message, field, value)
    if figures.orders:
        message.order_count.value = figures.orders
    if figures.completion_rate is not None:
        _set(message.completion_rate, figures.completion_rate)
    for currency, value in figures.cost.items():
        message.message_cost.amounts.add(currency_code=currency, amount_micros=value)
    for currency, value in figures.revenue.items():
        message.revenue.amounts.add(currency_code=currency, amount_micros=value)
    spent = figures.return_on_ad_spend(rates)
    if not isinstance(spent, NoRatio):
        _set(message.return_on_ad_spend, spent)
    elif spent is not NoRatio.NO_COST:
        message.return_on_ad_spend.absent_reason = _NO_RETURN[spent]


def _set(ratio: pb.Ratio, value: float) -> None:
    ratio.value = value
    ratio.ClearField("absent_reason")


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
    nodes: defaultdict[str, _Node] = defaultdict(_Node)
    for total in totals:
        if total.node_id and is_of_node(total.metric):
            nodes[total.node_id].add(total)
    return [
        _node(node_id, nodes[node_id], waiting[node_id]) for node_id in sorted(nodes.keys() | waiting.keys())
    ]


_Reasons = Mapping[str, int]


class _Node:
    """The figures of a node, by metric and label."""

    def __init__(self) -> None:
        self._sums: defaultdict[int, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, total: Total) -> None:
        self._sums[total.metric][total.label] += total.value

    def sum(self, metric: int) -> int:
        return sum(self.reasons(metric).values())

    def reasons(self, metric: int) -> _Reasons:
        return self._sums.get(metric, {})

    def of(self, first: Metric, end: float) -> list[tuple[int, int, _Reasons]]:
        """The metrics after `first` and before `end`: by how much more than `first`, the sum, and by reason."""
        return [
            (metric - first, sum(each.values()), each)
            for metric, each in sorted(self._sums.items())
            if first < metric < end
        ]


def _node(node_id: str, node: _Node, waits: Iterable[explain_pb2.WaitCount]) -> pb.NodeFigures:
    results = node.of(Metric.NODE_RESULT, Metric.NODE_WAY)
    entered, dropped = node.sum(Metric.NODE_ENTERED), node.sum(Metric.NODE_DROPPED)
    left = sum(value for result, value, _ in results if result in LEAVING)
    return pb.NodeFigures(
        node_id=node_id,
        entered_count=entered,
        results=[
            pb.NodeResult(
                result=enrolment_pb2.StepResult.ValueType(result),
                count=value,
                reasons=_reasons(reasons) if result in REASONED else (),
            )
            for result, value, reasons in results
        ],
        waits=waits,
        ways=[
            enrolment_pb2.WayCount(way=way, count=value) for way, value, _ in node.of(Metric.NODE_WAY, inf)
        ],
        passed_count=left - node.sum(Metric.NODE_STAYED),
        dropped_count=dropped,
        dropped_reasons=_reasons(node.reasons(Metric.NODE_DROPPED)),
        drop_off=_ratio(dropped / entered if entered else None),
    )


def _reasons(*counts: _Reasons) -> list[pb.ReasonCount]:
    """Most frequent first."""
    sums: defaultdict[str, int] = defaultdict(int)
    for each in counts:
        for reason, value in each.items():
            sums[reason] += value
    ordered = sorted(sums.items(), key=lambda item: (-item[1], item[0]))
    return [pb.ReasonCount(detail=reason, count=value) for reason, value in ordered if value]


def message_figures(
    totals: Iterable[tuple[datetime | None, Total]], opens: Mapping[str, Opened] | None = None
) -> list[pb.MessageFigures]:
    """Figures of message nodes in order of node, channel and time; `opens` are what LINE tells of nodes over all time,
    None for a part of it."""
    groups: defaultdict[_Place, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    labelled: defaultdict[_Place, _Labelled] = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    for start, total in totals:
        if total.channel:
            place = (total.node_id, total.channel, start)
            groups[place][total.metric] += total.value
            if total.metric in _LABELLED:
                labelled[place][total.metric][total.label] += total.value
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], item[0][1], str(item[0][2] or "")))
    found = [_message(key, figures, labelled[key]) for key, figures in ordered]
    for each in found:
        if each.channel == channel_pb2.CHANNEL_LINE:
            each.read.CopyFrom(_opened(opens, each.node_id))
    return found


_LABELLED: Final = frozenset(
    {Metric.JOURNEY_REVENUE, Metric.SENDS_FAILED, Metric.FAILED_LATER, Metric.SENDS_SKIPPED}
)
_Labelled = defaultdict[int, defaultdict[str, int]]
"""By metric and label."""


_Place = tuple[str, int, datetime | None]
"""Node, channel, start of the step."""


def _message(place: _Place, figures: Mapping[int, int], labelled: _Labelled) -> pb.MessageFigures:
    node_id, channel, start = place
    revenue = labelled[Metric.JOURNEY_REVENUE]
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
        failed_reasons=_reasons(labelled[Metric.SENDS_FAILED], labelled[Metric.FAILED_LATER]),
        skipped_reasons=_reasons(labelled[Metric.SENDS_SKIPPED]),
    )


def _count(figures: Mapping[int, int], *metrics: Metric) -> pb.Count:
    value = sum(figures.get(metric, 0) for metric in metrics)
    return pb.Count(value=value, measurement=pb.MEASUREMENT_SEND_ANSWER)


def _delivered(channel: int, figures: Mapping[int, int]) -> pb.Count:
    """LINE tells no delivery: it takes messages of people who have not blocked the account, and brings them."""
    if channel == channel_pb2.CHANNEL_LINE:
        return _count(figures, Metric.MESSAGES_SENT)
    return _measured(channel, figures, Metric.DELIVERED)


def _opened(opens: Mapping[str, Opened] | None, node_id: str) -> pb.Count:
    """People who opened messages of a node on LINE."""
    if opens is None:
        return pb.Count(absent_reason=_NOT_REPORTED)
    if node_id not in opens:
        return pb.Count(absent_reason=_NOT_MEASURED)
    people = opens[node_id].people
    if people is None:
        return pb.Count(absent_reason=pb.ABSENT_REASON_TOO_FEW_PEOPLE)
    return pb.Count(value=people, measurement=_STATISTICS)


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
            cost[total.channel][total.label] += total.value
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
