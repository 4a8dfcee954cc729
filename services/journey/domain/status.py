"""What a journey is at an instant: one function, for entering, walking, handing over and showing alike (ADR 33).

The label that is stored follows the schedule by up to a second, and after an outage by as long as that took. Nobody
looks at the label alone, so that a late one changes nothing for a customer.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

import msgspec

from services.journey.domain.enrolment import Enrolment
from services.journey.domain.model import (
    Definition,
    ExpiryAction,
    Journey,
    JourneyStatus,
    Schedule,
    StatusReason,
)

_MOVED_BY_TIME: Final = frozenset(
    {JourneyStatus.SCHEDULED, JourneyStatus.ACTIVE, JourneyStatus.TRIGGER_CLOSED}
)
_OVER: Final = frozenset({JourneyStatus.STOPPING, JourneyStatus.STOPPED})


def status_at(stored: JourneyStatus, schedule: Schedule | None, at: datetime) -> JourneyStatus:
    """What a journey with this label and schedule is at `at`."""
    if schedule is None or stored not in _MOVED_BY_TIME:
        return stored
    if at >= schedule.end:
        stops = schedule.expiry is ExpiryAction.STOP
        return JourneyStatus.STOPPING if stops else JourneyStatus.TRIGGER_CLOSED
    if stored is JourneyStatus.TRIGGER_CLOSED:
        return stored
    return JourneyStatus.SCHEDULED if at < schedule.start else JourneyStatus.ACTIVE


def labels_of(statuses: Collection[int]) -> set[JourneyStatus]:
    """Labels that a journey may have which is in one of these statuses at some instant; no status: all."""
    if not statuses:
        return set(JourneyStatus)
    return {JourneyStatus(status) for status in statuses} | _MOVED_BY_TIME


def journey_status_at(journey: Journey, at: datetime) -> JourneyStatus:
    """What a journey is at `at`."""
    return status_at(journey.status, journey.definition.schedule, at)


def as_it_is(journey: Journey, at: datetime) -> Journey:
    """The journey with what it is at `at` in place of its label."""
    status = journey_status_at(journey, at)
    return journey if status is journey.status else msgspec.structs.replace(journey, status=status)


def goes_on(journey: Journey, now: datetime) -> bool:
    """True if customers inside walk on at `now`. Nobody is inside before the start, whatever a clock says."""
    return journey_status_at(journey, now) not in _OVER


def accepts(journey: Journey, at: datetime, now: datetime) -> bool:
    """True if what occurred at `at` lets a customer enter at `now`.

    It must be active at both: what is worked on late enters no more, whoever comes first, worker or schedule. A time
    to come counts as now. Nobody enters by what occurred before the journey was published (J-26a).
    """
    at = min(at, now)
    if is_before_publishing(journey, at):
        return False
    active = JourneyStatus.ACTIVE
    return journey_status_at(journey, now) is active and journey_status_at(journey, at) is active


def is_before_publishing(journey: Journey, at: datetime) -> bool:
    """True if what occurred at `at` is older than the journey's publishing."""
    return journey.published_at is not None and occurred_before(at, journey.published_at)


def occurred_before(at: datetime, instant: datetime) -> bool:
    """True if what occurred at `at` is older than `instant`; a time in whole seconds is compared with its second."""
    return at < instant and (at.microsecond != 0 or at < instant.replace(microsecond=0))


def sends_until(journey: Journey) -> datetime | None:
    """The instant from which on no message of the journey leaves, None if the schedule names none."""
    schedule = journey.definition.schedule
    return schedule.end if schedule is not None and schedule.expiry is ExpiryAction.STOP else None


def gone(enrolment: Enrolment) -> Journey:
    """Stands for a journey that is not there any more, whoever took it away while somebody was inside."""
    return Journey(
        journey_id=enrolment.journey_id,
        team_id=enrolment.team_id,
        status=JourneyStatus.STOPPED,
        reason=StatusReason.NONE,
        revision=0,
        version=0,
        stop_epoch=0,
        definition=Definition(""),
        zone="UTC",
        created_at=enrolment.created_at,
        updated_at=enrolment.created_at,
    )
