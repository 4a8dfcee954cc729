"""From facts to counts. Counting looks at nothing but the fact, so any split into batches gives the same
sums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from services.stats.domain.facts import (
    LEAVING,
    AnonymousStored,
    EntrySource,
    Fact,
    LinkClicked,
    OrderCounted,
    OrderUncounted,
    PointsChanged,
    ReceiptArrived,
    ReceiptKind,
    RefundCounted,
    RunEnd,
    RunSegment,
    SendEnd,
    SendResolved,
    SendSettled,
    SplitTaken,
    TriggerRefused,
)
from services.stats.domain.model import (
    Attribution,
    Click,
    CounterKey,
    Counts,
    First,
    FirstKind,
    Metric,
    Order,
    Refund,
    SplitMember,
)

_Deltas = defaultdict[CounterKey, int]
_Firsts = dict[First, CounterKey]

_RUN_ENDS: Final[Mapping[RunEnd, Metric]] = {
    RunEnd.COMPLETED: Metric.COMPLETED,
    RunEnd.HALTED: Metric.HALTED,
    RunEnd.CONVERTED: Metric.COMPLETED,
}
_ENDED_THERE: Final = frozenset({RunEnd.HALTED, RunEnd.CONVERTED})
_SEND_ENDS: Final[Mapping[SendEnd, Metric]] = {
    SendEnd.FAILED: Metric.SENDS_FAILED,
    SendEnd.SKIPPED: Metric.SENDS_SKIPPED,
    SendEnd.UNKNOWN: Metric.SENDS_UNKNOWN,
}
_RECEIPTS: Final[Mapping[ReceiptKind, Metric]] = {
    ReceiptKind.DELIVERED: Metric.DELIVERED,
    ReceiptKind.READ: Metric.READ,
    ReceiptKind.REPLIED: Metric.REPLIED,
    ReceiptKind.FAILED: Metric.FAILED_LATER,
}
_ENTRY_SOURCES: Final[Mapping[EntrySource, Metric]] = {
    EntrySource.ORDER: Metric.EARNED,
    EntrySource.REFUND: Metric.REFUNDED,
    EntrySource.JOURNEY: Metric.JOURNEY_POINTS,
    EntrySource.OTHER: Metric.OTHER_POINTS,
}


def count(facts: Iterable[tuple[Fact, int]]) -> Counts:
    """What these facts add, each with how often it occurs. Facts of one customer must come in their order: the
    first shopping or click counts.
    """
    deltas: _Deltas = defaultdict(int)
    firsts: _Firsts = {}
    attributing: list[tuple[Fact, int]] = []
    splits: list[SplitMember] = []
    for fact, times in facts:
        if type(fact) is SplitTaken:
            splits.append(SplitMember(*msgspec.structs.astuple(fact)))
            continue
        if type(fact) in _ATTRIBUTING:
            attributing.append((fact, times))
        _COUNTERS[type(fact)](fact, times, deltas, firsts)
    found = _attribution(attributing) if attributing else Attribution()
    counted = {key: value for key, value in deltas.items() if value}
    return Counts(counted, firsts, found, tuple(splits))


def _attribution(facts: Iterable[tuple[Any, int]]) -> Attribution:
    clicks: list[Click] = []
    orders: list[Order] = []
    refunds: list[Refund] = []
    for fact, times in facts:
        if isinstance(fact, LinkClicked):
            if fact.customer_id is not None and fact.at is not None:
                place = (fact.journey_id, fact.node_id, fact.channel)
                clicks.append(Click(fact.team_id, fact.customer_id, fact.at, *place))
        elif fact.sale is None or fact.sale.order_key is None:
            continue
        elif isinstance(fact, RefundCounted):
            # Two refunds of one order that are alike are one fact that occurs twice.
            worth = (fact.sale.micros * times, fact.sale.currency)
            refunds.append(Refund(fact.team_id, fact.sale.order_key, *worth))
        else:
            counts = isinstance(fact, OrderCounted)
            sale = (fact.sale.at, fact.sale.micros, fact.sale.currency)
            customer, reason = (fact.customer_id, 0) if counts else (None, fact.reason)
            orders.append(Order(fact.team_id, fact.sale.order_key, customer, *sale, reason))
    return Attribution(tuple(clicks), tuple(orders), tuple(refunds))


def merge(parts: Iterable[Counts]) -> Counts:
    """What several counts add together, in their order."""
    deltas: _Deltas = defaultdict(int)
    firsts: _Firsts = {}
    clicks: list[Click] = []
    orders: list[Order] = []
    refunds: list[Refund] = []
    splits: list[SplitMember] = []
    for part in parts:
        for key, value in part.deltas.items():
            deltas[key] += value
        for first, key in part.firsts.items():
            firsts.setdefault(first, key)
        clicks += part.attribution.clicks
        orders += part.attribution.orders
        refunds += part.attribution.refunds
        splits += part.splits
    found = Attribution(tuple(clicks), tuple(orders), tuple(refunds))
    counted = {key: value for key, value in deltas.items() if value}
    return Counts(counted, firsts, found, tuple(splits))


def _count_run_segment(segment: RunSegment, times: int, deltas: _Deltas, _: _Firsts) -> None:
    team_id, journey_id = segment.team_id, segment.journey_id
    if segment.end in _ENDED_THERE:
        _count_ended_there(segment, times, deltas)
    if segment.enrolled:
        deltas[CounterKey(team_id, Metric.TRIGGERED, segment.quarter, journey_id)] += times
    for step in segment.steps:
        if step.entered:
            deltas[CounterKey(team_id, Metric.NODE_ENTERED, step.quarter, journey_id, step.node_id)] += times
        result = Metric.NODE_RESULT + step.result
        deltas[CounterKey(team_id, result, step.quarter, journey_id, step.node_id, label=step.reason)] += (
            times
        )
        if step.way:
            way = Metric.NODE_WAY + step.way
            deltas[CounterKey(team_id, way, step.quarter, journey_id, step.node_id)] += times
    if segment.end in _RUN_ENDS:
        deltas[CounterKey(team_id, _RUN_ENDS[segment.end], segment.quarter, journey_id)] += times


def _count_ended_there(segment: RunSegment, times: int, deltas: _Deltas) -> None:
    """What keeps those who left a node and those who were there apart: the visit of a node at which it ended."""
    for step in reversed(segment.steps):
        if step.result in LEAVING:
            key = CounterKey(
                segment.team_id, Metric.NODE_STAYED, step.quarter, segment.journey_id, step.node_id
            )
            deltas[key] += times
        if step.entered:
            break
    if segment.end is RunEnd.HALTED and segment.steps:
        last = segment.steps[-1]
        place = (segment.team_id, Metric.NODE_DROPPED, last.quarter, segment.journey_id, last.node_id)
        deltas[CounterKey(*place, label=last.reason)] += times


def _count_refused(refused: TriggerRefused, times: int, deltas: _Deltas, _: _Firsts) -> None:
    deltas[CounterKey(refused.team_id, Metric.REFUSED, refused.quarter, refused.journey_id)] += times


def _message_key(
    fact: SendSettled | SendResolved | ReceiptArrived | LinkClicked, metric: Metric, label: str = ""
) -> CounterKey:
    return CounterKey(fact.team_id, metric, fact.quarter, fact.journey_id, fact.node_id, fact.channel, label)


def _count_send(send: SendSettled, times: int, deltas: _Deltas, _: _Firsts) -> None:
    if send.end is not SendEnd.UNKNOWN:  # one that ended otherwise may have left in part
        deltas[_message_key(send, Metric.MESSAGES_SENT)] += times * send.messages
    if send.end in _SEND_ENDS:
        deltas[_message_key(send, _SEND_ENDS[send.end], send.reason)] += times
    if send.cost_micros:
        deltas[_message_key(send, Metric.MESSAGE_COST, send.currency)] += times * send.cost_micros


def _count_resolved(send: SendResolved, times: int, deltas: _Deltas, _: _Firsts) -> None:
    if send.before in _SEND_ENDS:
        deltas[_message_key(send, _SEND_ENDS[send.before])] -= times
    if send.end in _SEND_ENDS:
        deltas[_message_key(send, _SEND_ENDS[send.end])] += times
    deltas[_message_key(send, Metric.MESSAGES_SENT)] += times * send.messages


def _count_receipt(receipt: ReceiptArrived, times: int, deltas: _Deltas, _: _Firsts) -> None:
    deltas[_message_key(receipt, _RECEIPTS[receipt.kind], receipt.reason)] += times
    if receipt.refunded_micros:
        deltas[_message_key(receipt, Metric.MESSAGE_COST, receipt.currency)] -= (
            times * receipt.refunded_micros
        )


def _count_click(click: LinkClicked, _: int, __: _Deltas, firsts: _Firsts) -> None:
    first = First(click.team_id, FirstKind.CLICK, click.effect_key)
    firsts.setdefault(first, _message_key(click, Metric.CLICKED))


def _count_points(entry: PointsChanged, times: int, deltas: _Deltas, _: _Firsts) -> None:
    team_id, quarter, change = entry.team_id, entry.quarter, entry.delta_balance
    deltas[CounterKey(team_id, Metric.ENTRIES, quarter)] += times
    deltas[CounterKey(team_id, Metric.BALANCE, quarter)] += times * change
    deltas[CounterKey(team_id, Metric.CUMULATIVE, quarter)] += times * entry.delta_cumulative
    refund = entry.source is EntrySource.REFUND
    deltas[CounterKey(team_id, _ENTRY_SOURCES[entry.source], quarter)] += times * (
        -change if refund else change
    )
    if refund:
        shortfall = change - entry.requested_balance
        deltas[CounterKey(team_id, Metric.REFUND_SHORTFALL, quarter)] += times * shortfall


def _count_shopping(sale: OrderCounted | RefundCounted, times: int, deltas: _Deltas, firsts: _Firsts) -> None:
    metric = Metric.ORDERS if isinstance(sale, OrderCounted) else Metric.REFUNDS
    deltas[CounterKey(sale.team_id, metric, sale.quarter)] += times
    first = First(sale.team_id, FirstKind.SHOPPER, sale.customer_id)
    firsts.setdefault(first, CounterKey(sale.team_id, Metric.SHOPPERS, sale.quarter))


def _count_anonymous(stored: AnonymousStored, times: int, deltas: _Deltas, _: _Firsts) -> None:
    deltas[CounterKey(stored.team_id, Metric.ANONYMOUS, stored.quarter)] += times


def _count_nothing(_fact: OrderUncounted, _times: int, _deltas: _Deltas, _firsts: _Firsts) -> None:
    """It is kept for whoever asks why the order is no journey's."""


_ATTRIBUTING: Final = frozenset({LinkClicked, OrderCounted, RefundCounted, OrderUncounted})
_COUNTERS: Final[Mapping[type, Callable[[Any, int, _Deltas, _Firsts], None]]] = {
    RunSegment: _count_run_segment,
    TriggerRefused: _count_refused,
    SendSettled: _count_send,
    SendResolved: _count_resolved,
    ReceiptArrived: _count_receipt,
    LinkClicked: _count_click,
    PointsChanged: _count_points,
    OrderCounted: _count_shopping,
    RefundCounted: _count_shopping,
    OrderUncounted: _count_nothing,
    AnonymousStored: _count_anonymous,
}
