"""Why an event let a customer into a journey, or did not, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from google.protobuf.timestamp_pb2 import Timestamp

from libs.console.journeys.reasons import in_words, reason_in_words
from libs.console.journeys.words import STATUSES
from libs.console.languages import noted
from libs.console.visits import Visit
from omnijourney.journey.v1 import explain_pb2 as pb
from omnijourney.journey.v1.journey_pb2 import (
    STATUS_REASON_PLAN_TRIGGER_LIMIT,
    JourneyStatus,
    StatusReason,
)

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
CAUSES: Final[Mapping[int, str]] = {
    pb.ENTRY_CAUSE_NEVER_PUBLISHED: noted("The journey was never published."),
    pb.ENTRY_CAUSE_BEFORE_PUBLISHING: noted("It happened before the journey was published, at %(at)s."),
    pb.ENTRY_CAUSE_BEFORE_START: noted("It happened before the journey's start, at %(at)s."),
    pb.ENTRY_CAUSE_OTHER_ACCOUNT: noted(
        "The customer joined an account that is no target channel of the journey."
    ),
    pb.ENTRY_CAUSE_OTHER_TAG: noted("Another tag was applied."),
    pb.ENTRY_CAUSE_OTHER_JOURNEY: noted("Another journey was triggered."),
    pb.ENTRY_CAUSE_UNREADABLE_EVENT: noted("The event could not be read."),
    pb.ENTRY_CAUSE_OTHER_EVENT: noted("The trigger waits for another kind of event."),
    pb.ENTRY_CAUSE_TEST_ORDER: noted("A test order starts no journeys."),
    pb.ENTRY_CAUSE_UNCOUNTED_ORDER: noted(
        "An order that does not count starts no journeys, such as one of an unsigned source."
    ),
    pb.ENTRY_CAUSE_OTHER_CURRENCY: noted("The order was in another currency."),
    pb.ENTRY_CAUSE_AMOUNT_TOO_LOW: noted("The order's amount was lower."),
    pb.ENTRY_CAUSE_AMOUNT_TOO_HIGH: noted("The order's amount was higher."),
    pb.ENTRY_CAUSE_NO_SUCH_ITEM: noted("No item of the order has such a name."),
    pb.ENTRY_CAUSE_OTHER_ATTRIBUTE: noted("Another attribute was changed."),
    pb.ENTRY_CAUSE_VALUE_REMOVED: noted("The value of the attribute was removed."),
    pb.ENTRY_CAUSE_VALUE_NOT_MET: noted("The new value does not meet the condition."),
    pb.ENTRY_CAUSE_NOT_ACTIVE: noted("Nobody could enter any more from %(at)s on."),
    pb.ENTRY_CAUSE_NOT_WORKED: noted("It will be worked in a moment."),
    pb.ENTRY_CAUSE_SET_ASIDE: noted(
        "The customer was set aside after repeated faults: it waits until an operator has them tried again."
    ),
    pb.ENTRY_CAUSE_DROPPED: noted("It was dropped at %(at)s, while the customer was set aside."),
    pb.ENTRY_CAUSE_TOO_MANY_LIVE: noted(
        "The customer was inside as many journeys, or with as much data, as one may be at once."
    ),
    pb.ENTRY_CAUSE_CHAIN_TOO_LONG: noted("Journeys had triggered one another in too long a chain."),
    pb.ENTRY_CAUSE_ENTERED_TOO_OFTEN: noted("The customer had entered as often as the journey allows."),
    pb.ENTRY_CAUSE_PLAN_USED_UP: noted(
        "The plan's journey triggers were used up, which closed the trigger at %(at)s."
    ),
    pb.ENTRY_CAUSE_WORKED_TOO_LATE: noted(
        "When it was worked nobody could enter any more, which was from %(at)s on."
    ),
    pb.ENTRY_CAUSE_NOT_KEPT: noted(
        "Why is not kept any more: it came in the moment of publishing, or was refused very long ago."
    ),
    pb.ENTRY_CAUSE_NO_SUCH_EVENT: noted("The customer has no such event."),
}
"""What kept a customer out, in a sentence."""
_WITH_REASON: Final = noted("%(said)s (%(why)s)")
_SAID_BY_REASON: Final = frozenset(
    {
        pb.ENTRY_CAUSE_TOO_MANY_LIVE,
        pb.ENTRY_CAUSE_CHAIN_TOO_LONG,
        pb.ENTRY_CAUSE_ENTERED_TOO_OFTEN,
        pb.ENTRY_CAUSE_PLAN_USED_UP,
    }
)
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
    """The same in a sentence; empty for those who entered."""
    enrolment_id: str


def entry(visit: Visit, found: pb.EntryExplanation) -> Entry:
    """One event's."""
    badge, result = RESULTS.get(found.result, ("plain", ""))
    return Entry(
        found.occur_time,
        badge,
        visit.say(result),
        _why(visit, found),
        _sentence(visit, found),
        found.enrolment_id,
    )


def _sentence(visit: Visit, found: pb.EntryExplanation) -> str:
    if found.cause not in CAUSES:
        return ""
    said = visit.say(CAUSES[found.cause], at=visit.formats.moment(found.cause_time))
    closed = StatusReason.Name(found.closed_reason).removeprefix("STATUS_REASON_")
    reason = "PLAN_LIMIT" if found.closed_reason == STATUS_REASON_PLAN_TRIGGER_LIMIT else closed
    return visit.say(_WITH_REASON, said=said, why=in_words(visit, reason)) if found.closed_reason else said


def _why(visit: Visit, found: pb.EntryExplanation) -> str:
    fitting = [path for path in FIELDS if found.field == path or found.field.startswith(f"{path}.")]
    field = visit.say(FIELDS[max(fitting, key=len)]) if fitting else ""
    reason = "" if found.cause in _SAID_BY_REASON else reason_in_words(visit, found.reason)
    parts = [reason, field, _value(visit, found)]
    return ": ".join(filter(None, parts))


def _value(visit: Visit, found: pb.EntryExplanation) -> str:
    if found.result == pb.ENTRY_RESULT_NOT_LIVE:
        status = JourneyStatus.keys().index(f"JOURNEY_STATUS_{found.value}") if found.value else 0
        return visit.say(STATUSES[JourneyStatus.ValueType(status)].label) if status else ""
    return "" if found.result == pb.ENTRY_RESULT_TOO_OLD or found.field in _NO_VALUE else found.value
