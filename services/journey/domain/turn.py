"""What one customer's turn starts from, and what it comes to."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from uuid import UUID

import msgspec

from libs.common.ids import derived_id
from libs.common.mailbox import mail as m
from services.journey.domain import effects as fx
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step
from services.journey.domain.matching import TeamJourneys


class RefusalReason(IntEnum):
    """Why a trigger did not enrol; the numbers are those of the contract."""

    CUSTOMER_LIMIT = 1
    PLAN_LIMIT = 2
    CAUSATION_DEPTH = 3
    LIVE_LIMIT = 4


class Actor(msgspec.Struct, frozen=True):
    """What the actor itself remembers of a customer.

    `taken` is the last mail number taken of each source; `entries` counts enrolments by journey, over all time, which
    makes the limit per customer exact: nobody else enrols this customer.
    """

    team_id: UUID
    customer_id: UUID
    taken: Mapping[int, int]
    entries: Mapping[UUID, int]


class RunSegment(msgspec.Struct, frozen=True):
    """What one enrolment did between two waits.

    `revision` is that of the journey by which it went, 0 if by two; None is that of the commit, as in all turns but
    those that are run again.
    """

    journey_id: UUID
    enrolment_id: UUID
    enrolled: bool
    steps: tuple[Step, ...]
    state: EnrolmentState
    at: datetime
    revision: int | None = None


class Refusal(msgspec.Struct, frozen=True):
    """A trigger that met all conditions and did not enrol; `source` and `number` are of its mail."""

    journey_id: UUID
    reason: RefusalReason
    at: datetime
    source: int = 0
    number: int = 0


class TurnResult(msgspec.Struct, frozen=True):
    """What the turn's commit writes. `stops` names journeys that have to stop, with the reason.

    What the customer's live enrolments wait for, changed by this turn or not: `wake_at` is their earliest timer,
    `sending` says that one awaits the outcome of a send.
    """

    actor: Actor
    wake_at: datetime | None
    sending: bool
    enrolments: tuple[Enrolment, ...]
    run_segments: tuple[RunSegment, ...]
    refusals: tuple[Refusal, ...]
    stops: Mapping[UUID, str]
    journeys_used: frozenset[UUID]


class EarlierRun(msgspec.Struct, frozen=True):
    """What was done in a run of the turn that was not committed: the answers by the effects' keys, and the journeys and
    the time by which they were asked for."""

    journeys: TeamJourneys
    answers: Mapping[UUID, fx.Answer]
    now: datetime


class TurnInput(msgspec.Struct, frozen=True):
    """What a turn starts from.

    `mails` are in order and free of duplicates and gaps (see `read_inbox`). `journeys` are all of the team that
    customers can be in, by id. With `mail_left` more mail waits behind the last one: timers due after it stay for the
    next turn. With `again` enrolments without a timer, whom nothing in the turn moved, ask again what they asked last.
    `view` is what came with the mail of the customer and may be used (see `usable_view`). What `earlier` runs did is
    true whatever became of the journeys since: it is told by the journeys and the time of then, and the rest goes by
    `journeys` and `now`.
    """

    actor: Actor
    enrolments: Sequence[Enrolment]
    mails: Sequence[m.Mail]
    journeys: TeamJourneys
    now: datetime
    mail_left: bool = False
    again: bool = False
    view: m.CustomerView | None = None
    earlier: Sequence[EarlierRun] = ()


class EarlierRunError(Exception):
    """The turn did not come to what an earlier run of it did: it has to be run without that."""


class UnreadableMailError(Exception):
    """Mail that its source could not read: no turn gets past it until an operator has dropped it."""


Turn = Generator[fx.Effect, fx.Answer, TurnResult]


def enrolment_id_of(journey_id: UUID, customer_id: UUID, event_id: UUID) -> UUID:
    """The enrolment that an event leads to, if it leads to one: however often the turn is run, it is the same."""
    return derived_id(journey_id, f"{customer_id}:{event_id}")
