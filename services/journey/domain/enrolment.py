"""Where a customer stands in a journey, and what happened to them there.

All structs are frozen. Times are aware UTC datetimes in domain time.
"""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

from services.journey.domain.memory import Memory


class EnrolmentState(IntEnum):
    """State of an enrolment; the numbers are those of the contract."""

    LIVE = 1
    COMPLETED = 2
    HALTED = 3
    PARKED = 4
    CONVERTED = 5


class WaitReason(IntEnum):
    """What a live enrolment waits for; the numbers are those of the contract."""

    NONE = 0
    DELAY = 1
    SEND = 2
    QUIET = 3
    EVENT = 4


TIMED: Final = frozenset({WaitReason.DELAY, WaitReason.QUIET, WaitReason.EVENT})
"""What ends at a time, if by nothing else."""


class Enrolment(msgspec.Struct, frozen=True):
    """One customer's run through one journey.

    `wake_at` is set exactly while a delay, a wait for an event or quiet time runs. A tree has no cycles, so a node is
    visited once; `visit` stays in the effect key so that a definition with loops could never repeat an effect. `fresh`
    is true from entering a node to the first step there; a waiting enrolment never is. Journeys that listen to events
    give a `memory`. `trace` is the context of the sampled trace that began it.
    """

    enrolment_id: UUID
    journey_id: UUID
    team_id: UUID
    customer_id: UUID
    trigger_event_id: UUID
    depth: int
    created_at: datetime
    state: EnrolmentState = EnrolmentState.LIVE
    node_id: str = ""
    visit: int = 1
    wait: WaitReason = WaitReason.NONE
    wake_at: datetime | None = None
    fresh: bool = False
    memory: Memory | None = None
    trace: bytes | None = None


class StepResult(IntEnum):
    """What happened at a node; the numbers are those of the contract."""

    SEND_REQUESTED = 1
    SENT = 2
    SKIPPED = 3
    FAILED = 4
    UNKNOWN = 5
    EXHAUSTED = 6
    DEFERRED = 7
    DELAY_STARTED = 8
    DELAY_ENDED = 9
    YES = 10
    NO = 11
    APPLIED = 12
    UNCHANGED = 13
    INSUFFICIENT = 14
    REFUSED = 15
    HALTED = 16
    CANCELLED = 17
    WAIT_STARTED = 18
    HAPPENED = 19
    TIMED_OUT = 20
    GOAL_REACHED = 21
    WAY_TAKEN = 22
    HELD_OUT = 23


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One step of an enrolment, as history keeps it. `seen` is what decided a condition, for people."""

    node_id: str
    visit: int
    result: StepResult
    at: datetime
    entered: bool = False
    detail: str = ""
    seen: str = ""
