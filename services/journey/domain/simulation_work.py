"""Simulations as work that goes on after the call that asked for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

from libs.common.errors import FieldViolation
from services.journey.domain.model import Definition, Schedule, SystemTriggerKind

SPAN_MAX: Final = timedelta(days=366)
UNFINISHED_MAX: Final = 10
"""Simulations of a team that wait or run."""
KEPT_MAX: Final = 100
"""Simulations of a team whose findings are kept; the oldest go."""
TRIES_MAX: Final = 5
"""How often one is begun: whoever works on it may be killed, and what it asks may be away."""


class SimulationState(IntEnum):
    """Where it stands; the numbers are those of the contract's OperationState."""

    PENDING = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def has_ended(self) -> bool:
        """Whether nothing more becomes of it."""
        return self > SimulationState.RUNNING


class AskedSimulation(msgspec.Struct, frozen=True):
    """What is to be run over the events of `[start, end)`. A definition that is not saved has an id of its own."""

    team_id: UUID
    simulation_id: UUID
    journey_id: UUID
    definition: Definition
    start: datetime
    end: datetime


class StoredSimulation(msgspec.Struct, frozen=True):
    """A simulation as it stands."""

    asked: AskedSimulation
    state: SimulationState
    done: int
    """Events gone through, of the pass under way."""
    tries: int
    reason: str
    """Why it failed: the name of an ErrorReason."""
    message: str
    findings: bytes | None
    """A serialised `journey.v1.Simulation`; not in lists."""
    counts: bytes | None
    """The same with what is counted so far, of one that runs; not in lists."""
    created_at: datetime
    ended_at: datetime | None


def span_faults(start: datetime, end: datetime) -> list[FieldViolation]:
    """What is wrong with a simulated time."""
    if not start < end:
        return [FieldViolation("end_time", "must be after start_time")]
    if end - start > SPAN_MAX:
        return [FieldViolation("end_time", f"must be at most {SPAN_MAX.days} days after start_time")]
    return []


def trigger_faults(definition: Definition) -> list[FieldViolation]:
    """A journey that only calls start has no recorded events."""
    if isinstance(definition.trigger, SystemTriggerKind):
        return [
            FieldViolation("trigger", "is started through the API only: no recorded event would start it")
        ]
    return []


def schedule_within(schedule: Schedule | None, end: datetime) -> Schedule | None:
    """The schedule that is simulated: one that begins after the simulated time is left aside."""
    return schedule if schedule is not None and schedule.start < end else None
