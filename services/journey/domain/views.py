"""Rows that the edge and the stores both name: what is read to be shown, and what a listing is narrowed to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from services.journey.domain.enrolment import Enrolment, EnrolmentState, Step, WaitReason
from services.journey.domain.model import (
    AttributeTrigger,
    CheckoutTrigger,
    ContactTrigger,
    Definition,
    Journey,
    JourneyStatus,
    StatusReason,
    SystemTriggerKind,
    TagTrigger,
)

TRIGGER_TYPES: Mapping[type, str] = {
    CheckoutTrigger: "CHECKOUT_COMPLETED",
    ContactTrigger: "CONTACT_ADDED",
    TagTrigger: "TAG_APPLIED",
    AttributeTrigger: "ATTRIBUTE_CHANGED",
    SystemTriggerKind: "SYSTEM",
}
"""Name of each kind of trigger, as lists are filtered by it."""


class Lease(NamedTuple):
    """Who owns a partition, until when (real time)."""

    owner: str
    epoch: int
    expires_at: datetime


class WorkerRow(NamedTuple):
    """A process that hosts actors, until when it counts as alive (real time), and whether it is draining."""

    worker_id: str
    expires_at: datetime
    draining: bool


class JourneyFilter(NamedTuple):
    """What a list of journeys is narrowed to; empty means all."""

    statuses: Sequence[JourneyStatus] = ()
    trigger_type: str = ""
    name_contains: str = ""


class ListedJourney(NamedTuple):
    """A journey as lists show it: of its definition name and schedule, and its last change of status, if any."""

    journey: Journey
    trigger_type: str
    subject: str | None
    actor: str | None
    changed_at: datetime | None


class EnrolmentFilter(NamedTuple):
    """Which enrolments are listed: of a journey, of a customer, or of both; no states mean all. With a node or a
    reason only live ones, parked ones among them: those that stand there, and those that wait for it."""

    journey_id: UUID | None
    customer_id: UUID | None
    states: Sequence[EnrolmentState] = ()
    node_id: str = ""
    wait: WaitReason = WaitReason.NONE

    @property
    def by_place(self) -> bool:
        """Whether it depends on where customers stand."""
        return bool(self.node_id or self.wait)


class VisitFilter(NamedTuple):
    """Whose steps are looked at for visits of a node: of a journey those that stand at one of `nodes`, the node and
    all behind it, and those that have ended; no states mean all."""

    journey_id: UUID
    node_id: str
    nodes: Sequence[str]
    states: Sequence[EnrolmentState] = ()


class Visitor(NamedTuple):
    """An enrolment, and when it was at a node last."""

    stored: StoredEnrolment
    at: datetime


class WaitRow(NamedTuple):
    """How many wait at a node for one reason, and when the first of them goes on by itself, if one does."""

    node_id: str | None
    wait: WaitReason
    number: int
    wake_at: datetime | None


class StoredEnrolment(NamedTuple):
    """An enrolment with the time of its last change, and the keys of the commits whose records tell of it."""

    enrolment: Enrolment
    updated_at: datetime
    commits: Sequence[int] = ()


class StoredStatusChange(NamedTuple):
    """A change of a journey's status. `version` is the journey's after it; `subject` names what was gone elsewhere."""

    version: int
    before: JourneyStatus
    after: JourneyStatus
    reason: StatusReason
    subject: str
    actor: str
    changed_at: datetime


class KeptStep(NamedTuple):
    """A step, and the revision of the definition by which it was done; 0 where that was not kept."""

    step: Step
    revision: int = 0


class StoredRevision(NamedTuple):
    """A definition as it was saved, by whom and when."""

    revision: int
    definition: Definition
    actor: str
    created_at: datetime


class Referring(NamedTuple):
    """A journey that names something, and at which paths."""

    journey_id: UUID
    name: str
    status: JourneyStatus
    fields: Sequence[str]
    created_at: datetime


class EndRow(NamedTuple):
    """That an enrolment of a customer is to be ended, to be mailed once by its key; `note` says why."""

    customer_id: UUID
    enrolment_id: UUID
    request_key: UUID
    note: str


class SystemTriggerRow(NamedTuple):
    """A system trigger to be mailed; the request key is the caller's, each is mailed once. `data` are keys and values,
    ordered by key."""

    customer_id: UUID
    journey_id: UUID
    request_key: UUID
    data: tuple[tuple[str, str], ...] = ()
