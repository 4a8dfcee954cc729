"""Saved audiences whose customers enter a journey at a pace, as work that goes on after the call that asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.ids import derived_id
from services.journey.domain.explain import EntryResult
from services.journey.domain.model import Journey, JourneyStatus, StatusReason
from services.journey.domain.simulation_work import SimulationState as State

RATE_DEFAULT: Final = 100
"""Customers a second of real time, where the request names no figure; the contract says how many there may be."""
UNFINISHED_MAX: Final = 10
"""Audience triggers of a team that wait or run."""
KEPT_MAX: Final = 100
"""Audience triggers of a team that are kept; the oldest that have ended go."""
IN_FLIGHT_MAX: Final = 500
"""Customers of a team who are triggered and whose outcome is not known: a batch of turns. Whoever else waits, of any
team, waits behind no more of them."""
TRIES_MAX: Final = 20
"""How often in a row a step may fail by a fault of its own, or end with its process."""
AT_ONCE_MAX: Final = 4
"""Steps that a process takes at once, of as many audience triggers: one that waits for segment holds up no other."""
FIND_S: Final = 2.0
"""Real seconds after which a step that finds customers ends with what it has: the next goes on."""
STEP_S: Final = 0.25
"""Shortest time between two steps that trigger, real seconds."""


class Outcome(NamedTuple):
    """What became of a trigger, and why it was refused: a name of ErrorReason, empty otherwise."""

    result: EntryResult
    reason: str = ""


ENROLLED: Final = Outcome(EntryResult.ENROLLED)
WAITS: Final = Outcome(EntryResult.PENDING)
OVER_CUSTOMER_LIMIT: Final = Outcome(EntryResult.REFUSED, "CUSTOMER_LIMIT")
OVER_LIVE_LIMIT: Final = Outcome(EntryResult.REFUSED, "LIVE_LIMIT")
OVER_PLAN_LIMIT: Final = Outcome(EntryResult.REFUSED, "PLAN_LIMIT")
NOT_LIVE: Final = Outcome(EntryResult.NOT_LIVE)
DROPPED: Final = Outcome(EntryResult.DROPPED)
UNKNOWN: Final = Outcome(EntryResult.UNKNOWN_SUBJECT)


class TriggerState(NamedTuple):
    """What is kept of one trigger and its customer: whether the actor has taken it, whether it led to an enrolment."""

    taken: bool
    enrolled: bool
    parked: bool
    dropped: bool
    """Whether an operator dropped its mail."""
    entries: int
    """How often the customer has entered the journey."""
    crowded: bool = False
    """Whether the limit of live enrolments refused it."""


def outcome_of(journey: Journey | None, state: TriggerState) -> Outcome:
    """What became of a trigger of a journey that accepted it; None is one that was deleted since.

    Limits never come back: one that is reached was reached then, or the trigger had let the customer in. Else the
    journey had been closed when the trigger was worked on.
    """
    if state.enrolled:
        return ENROLLED
    if not state.taken:
        return WAITS
    if state.dropped:
        return DROPPED
    if state.crowded:
        return OVER_LIVE_LIMIT
    if journey is None:
        return NOT_LIVE
    most = journey.definition.enrolments_per_customer_max
    if most is not None and state.entries >= most:
        return OVER_CUSTOMER_LIMIT
    if journey.status is not JourneyStatus.ACTIVE and journey.reason is StatusReason.PLAN_TRIGGER_LIMIT:
        return OVER_PLAN_LIMIT
    return NOT_LIVE


class AskedAudienceTrigger(msgspec.Struct, frozen=True):
    """Who is to enter what. `audience` is the serialised `segment.v1.Audience` that was saved when it was asked for."""

    team_id: UUID
    operation_id: UUID
    journey_id: UUID
    audience_id: UUID
    audience: bytes
    rate: int
    """Customers a second of real time, at most."""


class StoredAudienceTrigger(msgspec.Struct, frozen=True):
    """One as it stands. Its customers have places 0, 1, 2 … in the order in which they were found.

    `found` of them are found, `handed` triggered, and of the first `settled` it is known what became of them.
    """

    asked: AskedAudienceTrigger
    state: State
    paused: bool
    version: int
    tries: int
    found: int
    found_all: bool
    through: UUID | None
    """Customers of the team are judged up to this one."""
    handed: int
    settled: int
    outcomes: Mapping[Outcome, int]
    reason: str
    """Why it failed: the name of an ErrorReason."""
    message: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def is_given_up(self) -> bool:
        """Whether steps have failed too often."""
        return self.tries > TRIES_MAX

    @property
    def may_hand(self) -> bool:
        """Whether customers may be triggered now."""
        return self.state <= State.RUNNING and not self.paused and self.found_all and self.handed < self.found

    @property
    def all_settled(self) -> bool:
        """Whether everybody has an outcome."""
        return self.found_all and self.settled == self.found


def room_of(of_team: int, of_one: int, sharing: int) -> int:
    """How many more customers one audience trigger may trigger: what the team's bound leaves, and no more than its
    share where `sharing` of the team have customers to trigger, so that none waits for another's outcomes.

    `of_team` and `of_one` are triggered, without an outcome yet."""
    share = IN_FLIGHT_MAX // max(1, sharing)
    return max(0, min(IN_FLIGHT_MAX - of_team, share - of_one))


class Pace(NamedTuple):
    """So many customers a step, and so long from the start of one step to that of the next, real seconds."""

    customers: int
    every_s: float


def pace_of(rate: int) -> Pace:
    """The steps that make a rate (customers a second), which they never exceed."""
    every_s = max(STEP_S, 1 / rate)
    return Pace(max(1, int(rate * every_s)), every_s)


def request_key(operation_id: UUID, customer_id: UUID) -> UUID:
    """Of the trigger of a customer: however often it is made, it is the same."""
    return derived_id(operation_id, str(customer_id))
