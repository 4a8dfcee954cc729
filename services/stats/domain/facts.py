"""Facts of the four histories, as far as they are counted. `quarter` is the start of the quarter of an hour,
UTC.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec


class RunEnd(IntEnum):
    """How an enrolment stands after a segment."""

    NOT_YET = 0
    COMPLETED = 1
    HALTED = 2
    CONVERTED = 3
    """It reached the journey's goal, wherever it stood."""


class StepResult(IntEnum):
    """What happened at a node, as far as it is told apart here; the numbers are those of journey's contract."""

    SENT = 2
    SKIPPED = 3
    FAILED = 4
    UNKNOWN = 5
    EXHAUSTED = 6
    DEFERRED = 7
    DELAY_ENDED = 9
    YES = 10
    NO = 11
    APPLIED = 12
    UNCHANGED = 13
    INSUFFICIENT = 14
    REFUSED = 15
    HALTED = 16
    CANCELLED = 17
    HAPPENED = 19
    TIMED_OUT = 20
    WAY_TAKEN = 22
    HELD_OUT = 23


LEAVING: Final = frozenset(
    {
        StepResult.SENT,
        StepResult.SKIPPED,
        StepResult.FAILED,
        StepResult.UNKNOWN,
        StepResult.DELAY_ENDED,
        StepResult.YES,
        StepResult.NO,
        StepResult.APPLIED,
        StepResult.UNCHANGED,
        StepResult.INSUFFICIENT,
        StepResult.REFUSED,
        StepResult.HAPPENED,
        StepResult.TIMED_OUT,
        StepResult.WAY_TAKEN,
    }
)
"""What happens last at a node, before a customer goes on."""
REASONED: Final = frozenset(
    {
        StepResult.SKIPPED,
        StepResult.FAILED,
        StepResult.EXHAUSTED,
        StepResult.DEFERRED,
        StepResult.REFUSED,
        StepResult.HALTED,
        StepResult.CANCELLED,
    }
)
"""What happens for a reason."""


class SendEnd(IntEnum):
    """How a send ended."""

    OTHER = 0
    """Deferred, exhausted, cancelled: no figure counts it."""
    SENT = 1
    SKIPPED = 2
    FAILED = 3
    UNKNOWN = 4


class ReceiptKind(IntEnum):
    """What a channel reported of a sent message."""

    DELIVERED = 1
    READ = 2
    REPLIED = 3
    FAILED = 4


class EntrySource(IntEnum):
    """Where points came from or went to."""

    OTHER = 0
    ORDER = 1
    REFUND = 2
    JOURNEY = 3


class Step(msgspec.Struct, frozen=True):
    """One step at a node. `result` is the number of the journey contract's `StepResult`; `way` that of a split's way,
    from 1, where one was taken."""

    node_id: str
    result: int
    entered: bool
    quarter: datetime
    way: int = 0
    reason: str = ""


class RunSegment(msgspec.Struct, frozen=True):
    """What an enrolment did between two waits."""

    team_id: UUID
    journey_id: UUID
    quarter: datetime
    enrolled: bool
    end: RunEnd
    steps: tuple[Step, ...]


class TriggerRefused(msgspec.Struct, frozen=True):
    """A trigger did not enrol."""

    team_id: UUID
    journey_id: UUID
    quarter: datetime


class SendSettled(msgspec.Struct, frozen=True):
    """A send ended, with what it cost."""

    team_id: UUID
    journey_id: UUID
    node_id: str
    channel: int
    quarter: datetime
    end: SendEnd
    messages: int
    cost_micros: int
    currency: str
    reason: str = ""
    """Why it was skipped or failed."""


class SendResolved(msgspec.Struct, frozen=True):
    """A send that ended as `before` ended as `end` after all; `messages` are those that are known to have left by
    that. It counts where its end did."""

    team_id: UUID
    journey_id: UUID
    node_id: str
    channel: int
    quarter: datetime
    before: SendEnd
    end: SendEnd
    messages: int


class ReceiptArrived(msgspec.Struct, frozen=True):
    """A channel reported more of a sent message; `refunded_micros` came back."""

    team_id: UUID
    journey_id: UUID
    node_id: str
    channel: int
    quarter: datetime
    kind: ReceiptKind
    refunded_micros: int
    currency: str
    reason: str = ""
    """Why it failed."""


class LinkClicked(msgspec.Struct, frozen=True):
    """A link of a send was opened, perhaps again."""

    team_id: UUID
    journey_id: UUID
    node_id: str
    channel: int
    quarter: datetime
    effect_key: UUID
    customer_id: UUID | None = None
    """None: the release before did not say."""
    at: datetime | None = None


class PointsChanged(msgspec.Struct, frozen=True):
    """An entry of the ledger."""

    team_id: UUID
    quarter: datetime
    source: EntrySource
    delta_balance: int
    delta_cumulative: int
    requested_balance: int


class Sale(msgspec.Struct, frozen=True):
    """What an order or refund was worth; `order_key` None: a release before did not say, or nobody knows the order."""

    order_key: UUID | None
    at: datetime
    micros: int
    currency: str


class OrderCounted(msgspec.Struct, frozen=True):
    """An order of a known customer that counts."""

    team_id: UUID
    customer_id: UUID
    quarter: datetime
    sale: Sale | None = None


class RefundCounted(msgspec.Struct, frozen=True):
    """A refund of a known customer that counts."""

    team_id: UUID
    customer_id: UUID
    quarter: datetime
    sale: Sale | None = None


class SplitTaken(msgspec.Struct, frozen=True):
    """A customer came to a split, and was sent on or held out."""

    team_id: UUID
    journey_id: UUID
    node_id: str
    customer_id: UUID
    held_out: bool
    at: datetime


class OrderUncounted(msgspec.Struct, frozen=True):
    """An order that was stored and does not count; `reason` is an `UncountedReason`."""

    team_id: UUID
    sale: Sale
    reason: int


class AnonymousStored(msgspec.Struct, frozen=True):
    """An order or refund of nobody known."""

    team_id: UUID
    quarter: datetime


Fact = (
    RunSegment
    | SplitTaken
    | TriggerRefused
    | SendSettled
    | SendResolved
    | ReceiptArrived
    | LinkClicked
    | PointsChanged
    | OrderCounted
    | RefundCounted
    | OrderUncounted
    | AnonymousStored
)
