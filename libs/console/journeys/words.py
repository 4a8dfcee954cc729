"""What things of journeys are called, and which actions each status allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from libs.console.languages import noted
from omnijourney.common.v1 import channel_pb2
from omnijourney.journey.v1 import journey_pb2
from omnijourney.journey.v1.journey_pb2 import Definition, JourneyStatus

DRAFT: Final = journey_pb2.JOURNEY_STATUS_DRAFT
SCHEDULED: Final = journey_pb2.JOURNEY_STATUS_SCHEDULED
ACTIVE: Final = journey_pb2.JOURNEY_STATUS_ACTIVE
TRIGGER_CLOSED: Final = journey_pb2.JOURNEY_STATUS_TRIGGER_CLOSED
STOPPING: Final = journey_pb2.JOURNEY_STATUS_STOPPING
STOPPED: Final = journey_pb2.JOURNEY_STATUS_STOPPED


class Status(NamedTuple):
    """How one is shown."""

    label: str
    badge: str
    means: str
    """What it is, in a sentence."""


STATUSES: Final[Mapping[JourneyStatus.ValueType, Status]] = {
    DRAFT: Status(noted("Draft"), "draft", noted("Not published yet: everything can be changed.")),
    SCHEDULED: Status(
        noted("Scheduled"),
        "planned",
        noted(
            "It begins by itself at its start. What the nodes do can be changed; trigger, target channels, active time"
            " and the shape of the tree stay."
        ),
    ),
    ACTIVE: Status(
        noted("Active"),
        "live",
        noted(
            "Customers enter and walk. What the nodes do can be changed; trigger, target channels, active time and the"
            " shape of the tree stay."
        ),
    ),
    TRIGGER_CLOSED: Status(
        noted("Trigger closed"),
        "closed",
        noted("No new customers enter; those who are inside go on to the end. Nothing can be changed."),
    ),
    STOPPING: Status(
        noted("Stopping"),
        "stopping",
        noted("Nobody enters, and those who are inside are being halted. Nothing can be changed."),
    ),
    STOPPED: Status(
        noted("Stopped"),
        "stopped",
        noted(
            "It is over for good: copy it to go on. What the nodes do can be changed; target channels stay."
        ),
    ),
}
TRIGGERS: Final[Mapping[str, str]] = {
    "CHECKOUT_COMPLETED": noted("Checkout completed"),
    "CONTACT_ADDED": noted("Contact added"),
    "TAG_APPLIED": noted("Any of these tags applied"),
    "ATTRIBUTE_CHANGED": noted("Custom attribute changed"),
    "SYSTEM": noted("Triggered by the system"),
    "CUSTOMER_REPLIED": noted("Customer replied"),
}
CAPPED: Final = frozenset({channel_pb2.CHANNEL_LINE, channel_pb2.CHANNEL_WHATSAPP})
"""Channels whose messages a journey can limit."""
NODES: Final[Mapping[str, str]] = {
    "message": noted("Message"),
    "delay": noted("Time delay"),
    "condition": noted("Segment condition"),
    "tags": noted("Add or remove tags"),
    "attribute": noted("Change a custom attribute"),
    "points": noted("Add or deduct points"),
    "wait": noted("Wait for an event"),
    "split": noted("Split by shares"),
}
WEEKDAYS: Final = (
    noted("Monday"),
    noted("Tuesday"),
    noted("Wednesday"),
    noted("Thursday"),
    noted("Friday"),
    noted("Saturday"),
    noted("Sunday"),
)

BEGUN: Final = frozenset(STATUSES) - {DRAFT}
"""Where customers may have entered."""
EDITABLE: Final = frozenset({DRAFT, SCHEDULED, ACTIVE, STOPPED})
"""Where the content of nodes may be changed."""


def labels_of(definition: Definition) -> dict[str, str]:
    """What each node does, in English as the catalogue has it, by its id."""
    return {node.node_id: NODES.get(node.WhichOneof("kind") or "", "") for node in definition.nodes}


class Action(NamedTuple):
    """Something that can be done with a journey."""

    name: str
    """Part of its address: `/journeys/<id>/<name>`."""
    label: str
    asks: str
    """What is asked first; empty: nothing."""
    done: str
    """What is said afterwards."""
    allowed: frozenset[JourneyStatus.ValueType]
    danger: bool = False


ACTIONS: Final = (
    Action(
        "close",
        noted("Close the trigger"),
        noted(
            "No new customers will enter. Those who are inside go on to the end. This cannot be taken back."
        ),
        noted("The trigger is closed."),
        frozenset({ACTIVE}),
    ),
    Action(
        "stop",
        noted("Stop the journey"),
        noted(
            "Nobody enters any more, and everybody inside is halted where they stand. This cannot be taken back."
        ),
        noted("The journey is stopped. Whatever was on its way to a channel is settled first."),
        frozenset({SCHEDULED, ACTIVE, TRIGGER_CLOSED}),
        danger=True,
    ),
    Action("copy", noted("Copy"), "", noted("This is the copy, a draft."), frozenset(STATUSES)),
    Action(
        "delete",
        noted("Delete"),
        noted("It goes from the list; its figures are kept."),
        noted("The journey is deleted."),
        frozenset({DRAFT, SCHEDULED, STOPPED}),
        danger=True,
    ),
)
"""In the order in which they are shown; viewing and editing are links."""
