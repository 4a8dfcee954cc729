"""Comparing counters with what the owners of the records say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple
from uuid import UUID

from services.stats.domain.model import Metric, Total


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


class RunFigures(NamedTuple):
    """Enrolments of a journey by state, as journey has them."""

    live: int
    completed: int
    halted: int
    parked: int


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
    Metric.MESSAGES_SENT, Metric.SENDS_FAILED, Metric.SENDS_SKIPPED, Metric.SENDS_UNKNOWN
)


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
