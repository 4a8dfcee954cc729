"""Customers that were set aside: what is shown of them, and what dropping their mail or ending them comes to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from msgspec.structs import replace

from libs.common.mailbox.mail import Mail, MailSource, SendOutcome
from services.journey.domain import effects as fx
from services.journey.domain.engine import advance
from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, StepResult, WaitReason
from services.journey.domain.status import gone
from services.journey.domain.turn import Actor, RunSegment, TurnResult
from services.journey.domain.waits import End

OUTCOME_DROPPED: Final = "OUTCOME_DROPPED"
"""Detail of the step at which somebody halts whose outcome was dropped."""


class ParkedRow(NamedTuple):
    """A customer that was set aside."""

    customer_id: UUID
    error: str
    attempts: int
    parked_at: datetime


class ParkedMail(NamedTuple):
    """Mail of a parked customer at its sources, and the sources that did not answer."""

    mails: Sequence[Mail]
    silent: Sequence[MailSource]


@dataclass(frozen=True, slots=True)
class Drop:
    """What is to be dropped: all mail of a source up to a number, whose event the caller has seen."""

    team_id: UUID
    customer_id: UUID
    source: MailSource
    through_number: int
    event_id: UUID
    by: str
    """Who asks, for the log."""


class Dropped(NamedTuple):
    """What was dropped, who was halted by it, and how much is left."""

    mails: Sequence[Mail]
    halted: Sequence[RunSegment]
    remaining: int


def halted_by_drop(enrolments: Iterable[Enrolment], mails: Sequence[Mail], now: datetime) -> list[RunSegment]:
    """Ends of the live enrolments that wait for an outcome among `mails`: nothing else would ever wake them. Who has
    reached the goal has done so."""
    outcomes = {mail.body.effect_key for mail in mails if isinstance(mail.body, SendOutcome)}
    return [
        RunSegment(
            enrolment.journey_id,
            enrolment.enrolment_id,
            enrolled=False,
            steps=(Step(enrolment.node_id, enrolment.visit, StepResult.HALTED, now, False, OUTCOME_DROPPED),),
            state=_end_of(enrolment),
            at=now,
        )
        for enrolment in enrolments
        if enrolment.wait is WaitReason.SEND and fx.send_key(enrolment) in outcomes
    ]


def ending_turn(
    actor: Actor, enrolments: Sequence[Enrolment], enrolment_id: UUID, note: str, now: datetime
) -> TurnResult | None:
    """A turn that reads no mail and ends one enrolment, as a person asks; None if it is not live."""
    ends = next((each for each in enrolments if each.enrolment_id == enrolment_id), None)
    if ends is None:
        return None
    move = advance(gone(ends), ends, End(note), now)
    ended = move.enrolment
    segment = RunSegment(ended.journey_id, enrolment_id, False, move.steps, ended.state, now)
    others = [each for each in enrolments if each is not ends]
    left = [*others, ended] if ended.state is EnrolmentState.LIVE else others
    return _turn_of(actor, left, [ended], [segment] if move.steps else [])


def _turn_of(
    actor: Actor, left: Sequence[Enrolment], changed: Sequence[Enrolment], segments: Sequence[RunSegment]
) -> TurnResult:
    """A turn after which the live enrolments are those that are `left`."""
    return TurnResult(
        actor,
        min((e.wake_at for e in left if e.wake_at is not None), default=None),
        any(e.wait is WaitReason.SEND for e in left),
        tuple(changed),
        tuple(segments),
        (),
        {},
        frozenset(),
    )


def _end_of(enrolment: Enrolment) -> EnrolmentState:
    """What an enrolment becomes whose outcome is dropped."""
    converted = enrolment.memory is not None and enrolment.memory.converted
    return EnrolmentState.CONVERTED if converted else EnrolmentState.HALTED


def dropping_turn(
    actor: Actor, enrolments: Sequence[Enrolment], drop: Drop, halted: Sequence[RunSegment]
) -> TurnResult:
    """A turn that takes the mail without acting on it, and ends the enrolments that `halted` tells of."""
    ended = {segment.enrolment_id for segment in halted}
    taken = {**actor.taken, drop.source: max(actor.taken.get(drop.source, 0), drop.through_number)}
    left = [enrolment for enrolment in enrolments if enrolment.enrolment_id not in ended]
    changed = [
        replace(e, state=_end_of(e), wait=WaitReason.NONE, wake_at=None)
        for e in enrolments
        if e.enrolment_id in ended
    ]
    return _turn_of(replace(actor, taken=taken), left, changed, halted)


def passing_turn(actor: Actor, enrolments: Sequence[Enrolment], numbers: Mapping[int, int]) -> TurnResult:
    """A turn that takes mail of its sources up to these numbers without acting on it."""
    taken = {source: max(actor.taken.get(source, 0), number) for source, number in numbers.items()}
    return _turn_of(replace(actor, taken={**actor.taken, **taken}), enrolments, (), ())
