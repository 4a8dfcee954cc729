"""Why an event let a customer enter a journey, or why not: by what is kept, with the functions of the turn.

Trigger, targets and limits of a journey never change once it is published, so an event of any age is judged by the
conditions that it met. When its mail was worked is not kept; what follows from that is told apart by what is: the
enrolments, how far mail is taken, what was dropped of it, and what the journey was at each instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common.errors import FieldViolation
from libs.common.mailbox.mail import Mail, SystemTrigger
from services.journey.domain.entry_causes import EntryCause
from services.journey.domain.lifecycle import MESSAGES
from services.journey.domain.matching import DEPTH_MAX
from services.journey.domain.model import OPEN, Journey, JourneyStatus, StatusReason
from services.journey.domain.status import is_before_publishing, status_at
from services.journey.domain.turn import enrolment_id_of
from services.journey.domain.unmet import unmet
from services.journey.domain.views import KeptStep, StoredEnrolment


class EntryResult(IntEnum):
    """What became of an event at a journey; the numbers are those of the contract."""

    PENDING = 1
    ENROLLED = 2
    NOT_MATCHED = 3
    REFUSED = 4
    NOT_LIVE = 5
    TOO_OLD = 6
    UNKNOWN_SUBJECT = 8
    DROPPED = 9


class Why(NamedTuple):
    """What became of an event, in a sentence; the rest is as in `EntryExplanation`, empty for none."""

    result: EntryResult
    message: str
    cause: EntryCause
    field: str = ""
    value: str = ""
    reason: str = ""
    """A name of ErrorReason."""
    at: datetime | None = None
    """The moment that the cause names."""
    closed: StatusReason = StatusReason.NONE


class StatusChange(NamedTuple):
    """What a journey became at an instant of domain time."""

    at: datetime
    before: JourneyStatus
    after: JourneyStatus
    reason: StatusReason


class DroppedMail(NamedTuple):
    """Mail that an operator dropped: the numbers of a source after `after_number`, up to `through_number`."""

    source: int
    after_number: int
    through_number: int
    at: datetime


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a customer and a journey, and is needed to judge some events.

    `changes` are in order; `taken` is the last mail taken of each source; `enrolments` are those that the events led
    to, by id; `entries` counts all of the customer in this journey; `crowded` are source and number of mail that the
    limit of live enrolments refused here.
    """

    journey: Journey
    changes: Sequence[StatusChange]
    taken: Mapping[int, int]
    parked_at: datetime | None
    dropped: Sequence[DroppedMail]
    enrolments: Mapping[UUID, StoredEnrolment]
    entries: int
    now: datetime
    crowded: frozenset[tuple[int, int]] = frozenset()


class Explained(NamedTuple):
    """An event, what became of it, and the enrolment that it led to with its steps, where they were asked for; of a
    trigger of the API its data."""

    event_id: UUID
    why: Why
    occurred_at: datetime | None = None
    enrolment: StoredEnrolment | None = None
    steps: Sequence[KeptStep] = ()
    trigger_data: Mapping[str, str] = MappingProxyType({})
    message_faults: Sequence[FieldViolation] = ()
    """What is wrong now with messages that failed for their content."""


OF_CONTENT: Final = frozenset(
    {
        *("BOT_MODULE_MISSING", "CONTENT_INVALID", "TEMPLATE_NOT_APPROVED", "TEMPLATE_PARAMETERS"),
        *("TEMPLATE_PAUSED", "TEMPLATE_POLICY", "TEMPLATE_TOO_LONG", "WHATSAPP_TEMPLATE_MISSING"),
    }
)
"""Details of steps of messages that did not leave for what they say, whoever was to get them."""


def nodes_at_fault(steps: Iterable[KeptStep]) -> frozenset[str]:
    """Nodes whose messages did not leave for their content."""
    return frozenset(kept.step.node_id for kept in steps if kept.step.detail in OF_CONTENT)


LIVE_REFUSALS_KEPT: Final = 1_000
"""Refusals `LIVE_LIMIT` that are kept of a customer, a journey and a source of mail: the newest, some 0.1 kB each."""
_ENTERED: Final = (JourneyStatus.DRAFT, *OPEN)
NO_EVENT: Final = Why(
    EntryResult.UNKNOWN_SUBJECT,
    "the customer has no such event; one that repeats an earlier event is told under the id of that one",
    EntryCause.NO_SUCH_EVENT,
)


def explain(kept: Kept, mail: Mail) -> Explained:
    """What became of an event at the journey."""
    id_ = enrolment_id_of(kept.journey.journey_id, mail.customer_id, mail.event_id)
    enrolment = kept.enrolments.get(id_)
    why = (
        Why(EntryResult.ENROLLED, "the customer entered", EntryCause.NONE)
        if enrolment
        else why_not(kept, mail)
    )
    data = (mail.body.data if isinstance(mail.body, SystemTrigger) else None) or {}
    return Explained(mail.event_id, why, mail.occurred_at, enrolment, trigger_data=data)


def why_not(kept: Kept, mail: Mail) -> Why:
    """Why an event led to no enrolment: the first of the reasons, in the order in which a turn looks at them."""
    for reason in _REASONS:
        if (found := reason(kept, mail)) is not None:
            return found
    return Why(
        EntryResult.NOT_LIVE,
        "it was worked in the moment in which the journey was published, or dropped before drops were kept, or the"
        f" customer was inside too many journeys, before the last {LIVE_REFUSALS_KEPT} times",
        EntryCause.NOT_KEPT,
    )


def _age(kept: Kept, mail: Mail) -> Why | None:
    published = kept.journey.published_at
    if published is None:
        message = "the journey is a draft: it was never published"
        return Why(EntryResult.NOT_LIVE, message, EntryCause.NEVER_PUBLISHED, value="DRAFT")
    if not is_before_publishing(kept.journey, mail.occurred_at):
        return None
    message = f"it occurred before the journey was published, at {_time(published)}"
    value = _time(mail.occurred_at)
    return Why(EntryResult.TOO_OLD, message, EntryCause.BEFORE_PUBLISHING, value=value, at=published)


def _conditions(kept: Kept, mail: Mail) -> Why | None:
    found = unmet(kept.journey, mail.body)
    if found is None:
        return None
    return Why(EntryResult.NOT_MATCHED, found.message, found.cause, found.field, found.value)


def _status(kept: Kept, mail: Mail) -> Why | None:
    at, schedule = min(mail.occurred_at, kept.now), kept.journey.definition.schedule
    status = _status_at(kept, at)
    if status is JourneyStatus.ACTIVE:
        return None
    if status is JourneyStatus.SCHEDULED and schedule is not None:
        message = f"it occurred before the journey's start, at {_time(schedule.start)}"
        field, value = "schedule.start_time", _time(mail.occurred_at)
        return Why(EntryResult.TOO_OLD, message, EntryCause.BEFORE_START, field, value, at=schedule.start)
    message = f"the journey was {status.name} when it occurred: nobody entered from"
    return _closed(kept, message, EntryCause.NOT_ACTIVE, status)


def _not_worked(kept: Kept, mail: Mail) -> Why | None:
    if mail.number <= kept.taken.get(mail.source, 0):
        return None
    if kept.parked_at is None:
        return Why(EntryResult.PENDING, "it is not worked yet", EntryCause.NOT_WORKED)
    message = (
        "it waits: the customer was set aside after repeated faults, until an operator has them tried again"
    )
    return Why(EntryResult.PENDING, message, EntryCause.SET_ASIDE)


def _dropped(kept: Kept, mail: Mail) -> Why | None:
    for drop in kept.dropped:
        if drop.source == mail.source and drop.after_number < mail.number <= drop.through_number:
            message = f"an operator dropped it at {_time(drop.at)}, while the customer was set aside"
            return Why(EntryResult.DROPPED, message, EntryCause.DROPPED, at=drop.at)
    return None


def _limits(kept: Kept, mail: Mail) -> Why | None:
    """Limits never come back: one that is reached now was reached then, or the event had let the customer in."""
    refused, most = EntryResult.REFUSED, kept.journey.definition.enrolments_per_customer_max
    if (mail.source, mail.number) in kept.crowded:
        message = "the customer was inside as many journeys, or with as much data, as one may be at once"
        return Why(refused, message, EntryCause.TOO_MANY_LIVE, reason="LIVE_LIMIT")
    if mail.depth > DEPTH_MAX:
        message = f"journeys caused one another in a chain of more than {DEPTH_MAX}"
        value = str(mail.depth)
        return Why(refused, message, EntryCause.CHAIN_TOO_LONG, value=value, reason="CAUSATION_DEPTH")
    if most is not None and kept.entries >= most:
        message = f"the customer had entered {kept.entries} times, as often as the journey allows"
        field, value = "enrolments_per_customer_max", str(kept.entries)
        return Why(refused, message, EntryCause.ENTERED_TOO_OFTEN, field, value, reason="CUSTOMER_LIMIT")
    if (closed := _plan_closed(kept)) is not None and mail.occurred_at <= closed:
        message = (
            f"the enrolments of the team's plan were used up, which closed the journey at {_time(closed)}"
        )
        return Why(refused, message, EntryCause.PLAN_USED_UP, reason="PLAN_LIMIT", at=closed)
    return None


def _late(kept: Kept, _mail: Mail) -> Why | None:
    status = _status_at(kept, kept.now)
    if status is JourneyStatus.ACTIVE:
        return None
    message = "it was worked only when nobody could enter any more, which was from"
    return _closed(kept, message, EntryCause.WORKED_TOO_LATE, status)


_REASONS: Final[Sequence[Callable[[Kept, Mail], Why | None]]] = (
    _age,
    _conditions,
    _status,
    _not_worked,
    _dropped,
    _limits,
    _late,
)


def _status_at(kept: Kept, at: datetime) -> JourneyStatus:
    """What the journey was at an instant, by the label that was stored then.

    Of the second in which it was published, by the label after that. A plan closes it after the instant of the close.
    """
    instant = max(at, kept.journey.published_at or at)
    label = kept.changes[0].before if kept.changes else _before_changes_were_kept(kept.journey, instant)
    for change in kept.changes:
        by_plan = change.reason is StatusReason.PLAN_TRIGGER_LIMIT
        if change.at < instant or (change.at == instant and not by_plan):
            label = change.after
    return status_at(label, kept.journey.definition.schedule, at)


def _before_changes_were_kept(journey: Journey, at: datetime) -> JourneyStatus:
    """A journey that was published, and has no change that is kept, was open until its last change."""
    was_open = journey.published_at is not None and at < journey.updated_at
    return JourneyStatus.ACTIVE if was_open else journey.status


def _closed(kept: Kept, message: str, cause: EntryCause, status: JourneyStatus) -> Why:
    """By the field that closed the journey for good, if its definition did; since when, and why if it did by itself."""
    schedule, field, reason = kept.journey.definition.schedule, "", StatusReason.NONE
    closed = next((change for change in kept.changes if change.after not in _ENTERED), None)
    if schedule is not None and (closed is None or schedule.end <= closed.at):
        field, since = "schedule.end_time", schedule.end
    elif closed is None:
        since = kept.journey.updated_at
    else:
        since, reason = closed.at, closed.reason
    why, _ = MESSAGES.get(reason, ("", ""))
    message = f"{message} {_time(since)} on" + (f" ({why})" if why else "")
    return Why(EntryResult.NOT_LIVE, message, cause, field, status.name, at=since, closed=reason)


def _plan_closed(kept: Kept) -> datetime | None:
    """When the plan closed the journey, if it did."""
    by_plan = (change.at for change in kept.changes if change.reason is StatusReason.PLAN_TRIGGER_LIMIT)
    return next(by_plan, None)


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
