"""What is counted: a key, and by how much."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

NO_JOURNEY = UUID(int=0)
"""The journey of figures that concern the team as a whole."""

NO_CHANNEL = 0
"""The channel of figures that concern all channels, or none."""

QUARTER_S = 900
"""Counters are by quarter of an hour: days and hours of every time zone begin on one."""


class Source(IntEnum):
    """Whose history a fact is from."""

    JOURNEY = 1
    """What journey wrote before it had records."""
    GATEWAY = 2
    POINTS = 3
    SEGMENT = 4
    RECORDS = 5
    """Journey's records."""


class Metric(IntEnum):
    """What a counter counts. The numbers are stored: they are never given to another metric."""

    TRIGGERED = 1
    REFUSED = 2
    COMPLETED = 3
    HALTED = 4
    NODE_ENTERED = 5
    NODE_DROPPED = 6
    """Enrolments that were halted there, by reason."""
    NODE_STAYED = 7
    """Steps after which an enrolment would have gone on, and ended there all the same."""
    MESSAGES_SENT = 10
    """Messages that left, as the channel bills them."""
    SENDS_FAILED = 11
    """By reason, as the next one and `FAILED_LATER`."""
    SENDS_SKIPPED = 12
    SENDS_UNKNOWN = 13
    MESSAGE_COST = 14
    """Millionths, by currency."""
    DELIVERED = 15
    READ = 16
    REPLIED = 17
    CLICKED = 18
    """Sends of which a link was opened, once each."""
    FAILED_LATER = 19
    """Sends that a channel had accepted and then failed to deliver."""
    ORDERS = 30
    REFUNDS = 31
    ANONYMOUS = 32
    SHOPPERS = 33
    """Customers, in the quarter of their first order or refund."""
    ENTRIES = 40
    EARNED = 41
    REFUNDED = 42
    """Points taken back by refunds, positive."""
    JOURNEY_POINTS = 43
    OTHER_POINTS = 44
    BALANCE = 45
    CUMULATIVE = 46
    REFUND_SHORTFALL = 47
    """Points that refunds asked back and that were not there any more."""
    JOURNEY_ORDERS = 50
    """Orders that a journey led to, at the node and channel of the click, in the quarter of the order."""
    JOURNEY_REVENUE = 51
    """Their amounts less their refunds, in millionths by currency, in the quarter of the order."""
    NODE_RESULT = 1000
    """And the number of the step's result; by reason where it has one."""
    NODE_WAY = 10_000
    """And the number of the way that a split took, from 1."""


SEND_METRICS: Final = (
    Metric.MESSAGES_SENT,
    Metric.MESSAGE_COST,
    Metric.SENDS_FAILED,
    Metric.SENDS_SKIPPED,
    Metric.SENDS_UNKNOWN,
)
"""What became of a team's sends."""


class FirstKind(IntEnum):
    """What is counted only the first time. The numbers are stored."""

    SHOPPER = 1
    """Id: a customer."""
    CLICK = 2
    """Id: the key of the send whose link was opened."""


class CounterKey(NamedTuple):
    """One counter: of a team, a journey, a node and a channel where they apply, in one quarter of an hour."""

    team_id: UUID
    metric: int
    quarter: datetime
    journey_id: UUID = NO_JOURNEY
    node_id: str = ""
    channel: int = NO_CHANNEL
    label: str = ""
    """Of amounts their currency, of what happened for a reason the reason (ADR 68); else empty."""


class First(NamedTuple):
    """Something that counts once, whenever it happens."""

    team_id: UUID
    kind: FirstKind
    id: UUID


class Click(NamedTuple):
    """A customer opened a link of a journey's message."""

    team_id: UUID
    customer_id: UUID
    clicked_at: datetime
    journey_id: UUID
    node_id: str
    channel: int


class Order(NamedTuple):
    """An order, as far as it may be a journey's."""

    team_id: UUID
    order_key: UUID
    customer_id: UUID | None
    """None: of nobody known, or one that does not count."""
    ordered_at: datetime
    micros: int
    currency: str
    uncounted: int
    """A `segment.v1.UncountedReason`; 0: it counts."""
    window: timedelta = timedelta()
    """How long before it a click may lie."""


class Refund(NamedTuple):
    """A refund of an order."""

    team_id: UUID
    order_key: UUID
    micros: int
    currency: str


class Attribution(NamedTuple):
    """What decides which journey an order is of, each in the order in which it was read."""

    clicks: tuple[Click, ...] = ()
    orders: tuple[Order, ...] = ()
    refunds: tuple[Refund, ...] = ()

    @property
    def teams(self) -> set[UUID]:
        """Whose it is."""
        return {each.team_id for part in self for each in part}


class SplitMember(NamedTuple):
    """A customer came to a split."""

    team_id: UUID
    journey_id: UUID
    node_id: str
    customer_id: UUID
    held_out: bool
    came_at: datetime


class Counts(NamedTuple):
    """What a batch of facts adds: to counters, to those that grow by 1 where a `First` is new, to what decides whose
    orders are, and to the customers of splits."""

    deltas: dict[CounterKey, int]
    firsts: dict[First, CounterKey]
    attribution: Attribution = Attribution()
    splits: tuple[SplitMember, ...] = ()


class Total(NamedTuple):
    """A counter summed over time."""

    metric: int
    journey_id: UUID
    node_id: str
    channel: int
    label: str
    """As of a `CounterKey`."""
    value: int
