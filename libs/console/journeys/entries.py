"""Why an event let a customer into a journey, or did not, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from libs.console.journeys.reasons import reason_in_words
from libs.console.journeys.words import STATUSES
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.journey.v1 import explain_pb2 as pb
from omnijourney.journey.v1.journey_pb2 import JourneyStatus

RESULTS: Final[Mapping[int, tuple[str, str]]] = {
    pb.ENTRY_RESULT_PENDING: ("planned", noted("Not worked yet")),
    pb.ENTRY_RESULT_ENROLLED: ("good", noted("The customer entered")),
    pb.ENTRY_RESULT_NOT_MATCHED: ("closed", noted("Did not fit the trigger")),
    pb.ENTRY_RESULT_REFUSED: ("bad", noted("Not let in")),
    pb.ENTRY_RESULT_NOT_LIVE: ("stopped", noted("The journey was not active")),
    pb.ENTRY_RESULT_TOO_OLD: ("closed", noted("Before the journey began")),
    pb.ENTRY_RESULT_DUPLICATE: ("closed", noted("Seen before")),
    pb.ENTRY_RESULT_UNKNOWN_SUBJECT: ("warn", noted("Not known")),
    pb.ENTRY_RESULT_DROPPED: ("warn", noted("Dropped by an operator")),
}
"""The kind of badge, and the word."""
FIELDS: Final[Mapping[str, str]] = {
    "targets": noted("Target channels"),
    "trigger": noted("Trigger"),
    "trigger.checkout_completed": noted("Checkout completed"),
    "trigger.checkout_completed.amount.at_least": noted("Order amount at least"),
    "trigger.checkout_completed.amount.at_most": noted("Order amount at most"),
    "trigger.checkout_completed.item": noted("Item name"),
    "trigger.tag_applied": noted("Tags"),
    "trigger.attribute_changed.keys": noted("Attributes"),
    "trigger.attribute_changed.value": noted("New value"),
    "schedule.start_time": noted("Begins"),
    "schedule.end_time": noted("Ends"),
    "enrolments_per_customer_max": noted("Most triggers of each customer"),
}
"""What of a definition kept a customer out, as its form calls it; the longest that fits."""
_NO_VALUE: Final = frozenset(
    {"trigger", "trigger.checkout_completed", "schedule.start_time", "schedule.end_time"}
)
"""Where the value is a word of the service."""


class Entry(NamedTuple):
    """What one event led to."""

    at: Timestamp
    badge: str
    result: str
    why: str
    message: str
    """The same in a sentence, in English; empty for those who entered."""
    enrolment_id: str


def entry(visit: Visit, found: pb.EntryExplanation) -> Entry:
    """One event's."""
    badge, result = RESULTS.get(found.result, ("plain", ""))
    entered = found.result == pb.ENTRY_RESULT_ENROLLED
    return Entry(
        found.occur_time,
        badge,
        visit.say(result),
        _why(visit, found),
        "" if entered else found.message,
        found.enrolment_id,
    )


def _why(visit: Visit, found: pb.EntryExplanation) -> str:
    fitting = [path for path in FIELDS if found.field == path or found.field.startswith(f"{path}.")]
    field = visit.say(FIELDS[max(fitting, key=len)]) if fitting else ""
    parts = [reason_in_words(visit, found.reason), field, _value(visit, found)]
    return ": ".join(filter(None, parts))


def _value(visit: Visit, found: pb.EntryExplanation) -> str:
    if found.result == pb.ENTRY_RESULT_NOT_LIVE:
        status = JourneyStatus.keys().index(f"JOURNEY_STATUS_{found.value}") if found.value else 0
        return visit.say(STATUSES[JourneyStatus.ValueType(status)].label) if status else ""
    return "" if found.result == pb.ENTRY_RESULT_TOO_OLD or found.field in _NO_VALUE else found.value
