"""Comparing counters with what the owners of the records say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from services.stats.domain.model import NO_CHANNEL, NO_JOURNEY, Metric, Total


class Compared(NamedTuple):
    """One figure, counted here and recorded by the service that owns it."""

    figure: str
    counted: int
    recorded: int

    @property
    def agrees(self) -> bool:
        """Whether there is nothing to find."""
        return self.counted == self.recorded


class LedgerFigures(NamedTuple):
    """Sums of a team's ledger, as points has them."""

    entries: int
    earned: int
    refunded: int
    refund_shortfall: int
    journey: int
    balance: int
    cumulative: int


class SendFigures(NamedTuple):
    """Sends of a team on one channel, as the gateway has them."""

    messages_sent: int
    failed: int
    skipped: int
    unknown: int
    delivered: int = 0
    read: int = 0
    replied: int = 0
    failed_later: int = 0


Costs = Mapping[tuple[int, str], int]
"""By channel and currency, millionths, less what was given back."""


class OrderFigures(NamedTuple):
    """Orders and refunds of known customers that count, as segment has them."""

    orders: int
    refunds: int


class RunFigures(NamedTuple):
    """Enrolments of a journey by state, as journey has them."""

    live: int
    completed: int
    halted: int
    parked: int


OF_NODES: Final = (Metric.NODE_ENTERED, Metric.NODE_DROPPED, Metric.NODE_STAYED)
"""Figures of the steps at a node, beside those by result and way."""
_LEDGER: Final = LedgerFigures(
    Metric.ENTRIES,
    Metric.EARNED,
    Metric.REFUNDED,
    Metric.REFUND_SHORTFALL,
    Metric.JOURNEY_POINTS,
    Metric.BALANCE,
    Metric.CUMULATIVE,
)
_SENDS: Final = SendFigures(
    Metric.MESSAGES_SENT,
    Metric.SENDS_FAILED,
    Metric.SENDS_SKIPPED,
    Metric.SENDS_UNKNOWN,
    Metric.DELIVERED,
    Metric.READ,
    Metric.REPLIED,
    Metric.FAILED_LATER,
)
_OF_MESSAGES: Final = frozenset({*_SENDS, Metric.MESSAGE_COST})


def compare_ledger(totals: Iterable[Total], recorded: LedgerFigures) -> Iterator[Compared]:
    """The team's points."""
    counted = {total.metric: total.value for total in totals if not total.node_id}
    for name, metric, figure in zip(LedgerFigures._fields, _LEDGER, recorded, strict=True):
        yield Compared(f"points: {name}", counted.get(metric, 0), figure)


def compare_sends(
    sends: Mapping[tuple[int, int], int], recorded: Mapping[int, SendFigures]
) -> Iterator[Compared]:
    """Sends by (metric, channel), all journeys together."""
    nothing = SendFigures(0, 0, 0, 0)
    for channel in sorted({channel for _, channel in sends} | recorded.keys()):
        own = recorded.get(channel, nothing)
        for name, metric, figure in zip(SendFigures._fields, _SENDS, own, strict=True):
            yield Compared(f"sends on channel {channel}: {name}", sends.get((metric, channel), 0), figure)


def compare_runs(journey_id: UUID, totals: Iterable[Total], recorded: RunFigures) -> Iterator[Compared]:
    """One journey's enrolments."""
    counted = {total.metric: total.value for total in totals if not total.node_id}
    yield Compared(f"journey {journey_id}: triggered", counted.get(Metric.TRIGGERED, 0), sum(recorded))
    yield Compared(f"journey {journey_id}: completed", counted.get(Metric.COMPLETED, 0), recorded.completed)
    yield Compared(f"journey {journey_id}: halted", counted.get(Metric.HALTED, 0), recorded.halted)


def compare_costs(sends: Iterable[Total], recorded: Costs) -> Iterator[Compared]:
    """What the sends of all journeys together cost, by channel and currency."""
    counted: dict[tuple[int, str], int] = {}
    for total in sends:
        if total.metric == Metric.MESSAGE_COST:
            key = (total.channel, total.label)
            counted[key] = counted.get(key, 0) + total.value
    for channel, currency in sorted(counted.keys() | recorded.keys()):
        figure = f"sends on channel {channel}: cost in {currency}"
        yield Compared(figure, counted.get((channel, currency), 0), recorded.get((channel, currency), 0))


def compare_orders(totals: Iterable[Total], recorded: OrderFigures) -> Iterator[Compared]:
    """The team's orders and refunds."""
    counted = {total.metric: total.value for total in totals if not total.node_id}
    yield Compared("orders: orders", counted.get(Metric.ORDERS, 0), recorded.orders)
    yield Compared("orders: refunds", counted.get(Metric.REFUNDS, 0), recorded.refunds)


class Differing(NamedTuple):
    """A figure that this service keeps twice, and not alike."""

    journey_id: UUID
    metric: int
    node_id: str
    counted: int
    recorded: int


def compare_kept(what: str, differing: Iterable[Differing]) -> Iterator[Compared]:
    """Figures that this service keeps twice, as `what` says; one that agrees where none differs."""
    found = [
        Compared(
            f"{what}: journey {each.journey_id}, node {each.node_id}, {each.metric}",
            each.counted,
            each.recorded,
        )
        for each in differing
    ]
    yield from found or [Compared(what, 0, 0)]


class Place(NamedTuple):
    """A figure of a node."""

    metric: int
    node_id: str
    channel: int
    label: str

    def __str__(self) -> str:
        parts = (
            f"node {self.node_id}",
            str(self.metric),
            self.channel and f"channel {self.channel}",
            self.label,
        )
        return ", ".join(part for part in parts if part)


Recounted = Mapping[tuple[UUID, Place], int]
"""Of journeys, what the histories say of their nodes from the beginning."""


def compare_nodes(journey_id: UUID, totals: Iterable[Total], recounted: Recounted) -> Iterator[Compared]:
    """The nodes of a journey, with their messages, beside what the histories say of them."""
    counted = {
        Place(total.metric, total.node_id, total.channel, total.label): total.value
        for total in totals
        if total.node_id and is_recounted(total.metric)
    }
    recorded = {place: value for (of, place), value in recounted.items() if of == journey_id}
    for place in sorted(counted.keys() | recorded.keys()):
        yield Compared(f"journey {journey_id}: {place}", counted.get(place, 0), recorded.get(place, 0))


def is_of_node(metric: int) -> bool:
    """Whether a figure is of the steps at a node."""
    return metric in OF_NODES or metric > Metric.NODE_RESULT


def is_recounted(metric: int) -> bool:
    """Whether a figure is what the histories say, row by row, and nobody else says."""
    return is_of_node(metric) or metric in _OF_MESSAGES or metric == Metric.REFUND_SHORTFALL


def ledger_recorded(ledger: LedgerFigures, recounted: Recounted) -> LedgerFigures:
    """What stats can know of it: a refund that finds nothing leaves no entry in the ledger's history."""
    place = (NO_JOURNEY, Place(Metric.REFUND_SHORTFALL, "", NO_CHANNEL, ""))
    return ledger._replace(refund_shortfall=recounted.get(place, 0))
