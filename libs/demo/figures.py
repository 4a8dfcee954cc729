"""The figures of a finished replay, as the services tell them, and the report made of them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from libs.demo.attributed import Attributed


@dataclass(frozen=True, slots=True)
class Points:
    """Sums over all customers; what was taken is positive."""

    entries: int
    earned: int
    refunded: int
    refund_shortfall: int
    journey: int
    balance: int
    cumulative: int


@dataclass(frozen=True, slots=True)
class CountedPoints:
    """The same sums as stats counts them from the ledger's entries; a shortfall is no entry."""

    entries: int
    earned: int
    refunded: int
    journey: int
    balance: int
    cumulative: int

    @classmethod
    def of(cls, points: Points) -> "CountedPoints":
        """What stats should count for a ledger."""
        return cls(
            points.entries,
            points.earned,
            points.refunded,
            points.journey,
            points.balance,
            points.cumulative,
        )


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of one journey by outcome, as stats counts them."""

    sent: int
    failed: int
    skipped: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Step:
    """A node of the tree, for people: what it is, where it leads (label and node id)."""

    node_id: str
    what: str
    leads_to: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Journey:
    """One journey at the end."""

    name: str
    channel: str
    status: str
    reason: str | None
    triggered: int
    refused: int
    completed: int
    halted: int
    messages: Messages
    nodes: dict[str, int]
    """Times entered, by node id."""
    cost: str
    """Estimated message cost with its currency, for people."""
    steps: tuple[Step, ...] = ()
    enrolments: dict[str, int] = field(default_factory=dict)
    """By state, counted by the journey service itself."""
    attributed: Attributed = field(default_factory=Attributed)
    return_on_ad_spend: float | None = None
    """None: nothing was spent."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """One journey, run once more over the recorded events by a simulation."""

    triggered: int
    refused: int
    sent: int
    nodes: dict[str, int]
    """Times entered, by node id."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Messages of one channel, by who says so."""

    sent: int
    """Stats."""
    gateway_sent: int
    received_by_emulator: int
    doubles: int
    """Accepted more than once for one send."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that is shown, checked and reported."""

    orders: int
    refunds: int
    anonymous: int
    customers: int
    points: Points
    stats_points: CountedPoints
    balances: tuple[int, int]
    """Sums of all customers' balances and cumulative points, asked one by one."""
    ledger_findings: int
    journeys: dict[str, Journey]
    channels: dict[str, Channel]
    events_per_s: float
    wall_s: float
    simulated: Mapping[str, Simulated] = field(default_factory=dict)
    """By journey."""
    recounted: Mapping[str, Attributed] = field(default_factory=dict)
    """By journey, what its links led to, recounted from the source and from who opened what."""
    dashboards: Mapping[str, int] = field(default_factory=dict)
    """By query of a dashboard, how many series a Prometheus had that watched."""
    statistics_compared: int = 0
    """Figures that the checker of stats compared with the other services' records."""
    statistics_findings: tuple[str, ...] = ()
    """Those that differ, for people."""


def report_of(figures: Figures) -> dict[str, Any]:
    """The JSON report."""
    return {
        "orders": figures.orders,
        "refunds": figures.refunds,
        "anonymous": figures.anonymous,
        "customers": figures.customers,
        "points": asdict(figures.points),
        "journeys": {
            name: {
                "status": journey.status,
                "reason": journey.reason,
                "triggered": journey.triggered,
                "refused": journey.refused,
                "completed": journey.completed,
                "halted": journey.halted,
                "messages": asdict(journey.messages),
                "nodes": journey.nodes,
            }
            for name, journey in sorted(figures.journeys.items())
        },
        "attribution": {
            name: {
                "clicked": journey.attributed.clicked,
                "orders": journey.attributed.orders,
                "revenue": f"{journey.attributed.revenue:.2f}",
                "return_on_ad_spend": journey.return_on_ad_spend and round(journey.return_on_ad_spend, 2),
            }
            for name, journey in sorted(figures.journeys.items())
        },
        "channels": {
            name: {"sent": channel.sent, "received_by_emulator": channel.received_by_emulator}
            for name, channel in figures.channels.items()
        },
        "events_per_s": round(figures.events_per_s, 1),
        "wall_s": round(figures.wall_s, 1),
    }


def write_report(figures: Figures, path: Path) -> None:
    """Writes the report; raises OSError when that cannot be done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report_of(figures), indent=2) + "\n", encoding="utf-8")
