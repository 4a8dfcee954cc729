"""What a journey is.

All structs are frozen. Times are aware UTC datetimes in domain time; ids are UUIDs, except node ids, which the
author of a definition chooses.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from services.journey.domain.triggers import (
    AttributeTrigger,
    ButtonReply,
    CheckoutTrigger,
    ContactTrigger,
    ReplyEvent,
    SystemTriggerKind,
    TagTrigger,
    Trigger,
    ValueTest,
    Wait,
)

__all__ = [  # events have a module of their own, and are part of what a journey is
    "AttributeTrigger",
    "ButtonReply",
    "CheckoutTrigger",
    "ContactTrigger",
    "ReplyEvent",
    "SystemTriggerKind",
    "TagTrigger",
    "Trigger",
    "ValueTest",
    "Wait",
]


class ActorKey(NamedTuple):
    """Names an actor: its customer, and the partition in which it lives."""

    partition: int
    team_id: UUID
    customer_id: UUID


class JourneyStatus(IntEnum):
    """Where a journey stands in its life; the numbers are those of the contract."""

    DRAFT = 1
    SCHEDULED = 2
    ACTIVE = 3
    TRIGGER_CLOSED = 4
    STOPPING = 5
    STOPPED = 6


OPEN: Final = (JourneyStatus.ACTIVE, JourneyStatus.SCHEDULED)
"""Statuses in which customers enter, as far as the schedule allows it."""


class StatusReason(IntEnum):
    """Why a journey changed its status by itself."""

    NONE = 0
    LINE_QUOTA_EXHAUSTED = 1
    WHATSAPP_BALANCE_EXHAUSTED = 2
    LINE_CAP_REACHED = 3
    WHATSAPP_CAP_REACHED = 4
    BOT_MODULE_MISSING = 5
    WHATSAPP_TEMPLATE_MISSING = 6
    ATTRIBUTE_UNAVAILABLE = 7
    PLAN_TRIGGER_LIMIT = 8


class ExpiryAction(IntEnum):
    """What happens at the end of a schedule."""

    CLOSE_TRIGGER = 1
    STOP = 2


class Channel(IntEnum):
    """A messaging channel; the numbers are those of the contract."""

    LINE = 1
    WHATSAPP = 2
    MESSENGER = 3
    INSTAGRAM = 4


class Schedule(msgspec.Struct, frozen=True):
    """Active time `[start, end)`."""

    start: datetime
    end: datetime
    expiry: ExpiryAction


class QuietWindow(msgspec.Struct, frozen=True):
    """One do-not-disturb window of local time.

    Minutes of the day; an end that is not after the start lies on the next day. `weekdays` are ISO numbers
    (Monday is 1) of the day on which the window starts; empty means every day.
    """

    start_minute: int
    end_minute: int
    weekdays: tuple[int, ...] = ()


class QuietZone(IntEnum):
    """Whose clock do-not-disturb windows go by; the numbers are those of the contract."""

    UNSPECIFIED = 0
    TEAM = 1
    CUSTOMER = 2


class WindowSet:
    """Do-not-disturb windows as one value that is hashed once: each message looks its quiet time up by them."""

    __slots__ = ("_hash", "windows")

    def __init__(self, windows: Iterable[QuietWindow]) -> None:
        """In the order in which they were drawn."""
        self.windows = tuple(windows)
        self._hash = hash(self.windows)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WindowSet) and self.windows == other.windows

    def __len__(self) -> int:
        return len(self.windows)


class Target(msgspec.Struct, frozen=True):
    """A channel that the journey may use, with the journey's own cap of messages on it."""

    channel: Channel
    account_id: UUID | None
    cap: int | None = None


class MediaKind(StrEnum):
    """What stands in a template's header; the values are the contract's fields."""

    IMAGE = "image_url"
    VIDEO = "video_url"
    DOCUMENT = "document_url"


class HeaderMedia(msgspec.Struct, frozen=True):
    """A picture, a video or a document; its texts may hold variables."""

    kind: MediaKind
    url: str
    filename: str = ""
    """Of a document."""


class Template(msgspec.Struct, frozen=True):
    """A WhatsApp template and its parameters, which may hold variables.

    Those of buttons are in the order of the buttons, empty for one that takes none.
    """

    template_id: UUID
    parameters: tuple[str, ...] = ()
    header_parameters: tuple[str, ...] = ()
    button_parameters: tuple[str, ...] = ()
    header_media: HeaderMedia | None = None

    @property
    def texts(self) -> Iterator[tuple[str, str]]:
        """(path, text) of each parameter."""
        for field in ("parameters", "header_parameters", "button_parameters"):
            for place, text in enumerate(getattr(self, field)):
                yield f"{field}[{place}]", text
        if self.header_media is not None:
            yield f"header_media.{self.header_media.kind}", self.header_media.url
            yield "header_media.filename", self.header_media.filename


class CappedAction(IntEnum):
    """What becomes of a message that a frequency cap has no room for; the numbers are those of the contract."""

    UNSPECIFIED = 0
    SKIP = 1
    WAIT = 2


class Message(msgspec.Struct, frozen=True, tag="message"):
    """Sends one message; exactly one of module and template is set."""

    channel: Channel
    bot_module_id: UUID | None = None
    template: Template | None = None
    capped_action: CappedAction = CappedAction.UNSPECIFIED


class Delay(msgspec.Struct, frozen=True, tag="delay"):
    """Waits so many seconds of elapsed domain time."""

    seconds: int


class Condition(msgspec.Struct, frozen=True, tag="condition"):
    """Branches on an audience (a serialised `segment.v1.Audience`). A branch that is None ends the journey."""

    audience: bytes
    yes: str | None
    no: str | None


class Way(msgspec.Struct, frozen=True):
    """One way of a split: per cent of the customers, and where they go on; None ends the journey. A holdout ends it."""

    share: int
    target: str | None = None
    holdout: bool = False


class Split(msgspec.Struct, frozen=True, tag="split"):
    """Divides the customers by shares, which add up to 100."""

    ways: tuple[Way, ...] = ()


class Tags(msgspec.Struct, frozen=True, tag="tags"):
    """Adds and removes tags."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class Attribute(msgspec.Struct, frozen=True, tag="attribute"):
    """Sets a TEXT attribute."""

    key: str
    text: str


class Points(msgspec.Struct, frozen=True, tag="points"):
    """Adds (positive) or deducts (negative) points."""

    delta: int


Action = Message | Delay | Condition | Tags | Attribute | Points | Wait | Split


class Node(msgspec.Struct, frozen=True):
    """One node of the tree; `next` None ends the journey. A condition, a wait and a split have branches instead."""

    node_id: str
    action: Action | None
    next: str | None = None


class Draft(msgspec.Struct, frozen=True):
    """A draft that is not whole yet, as it was sent: the rest of the definition is what can be read of it."""

    sent: bytes
    """A serialised `journey.v1.Definition`."""
    gaps: tuple[tuple[str, str], ...]
    """Path of each field that is missing, and what it needs."""


class Definition(msgspec.Struct, frozen=True, dict=True):
    """Everything that a marketer draws. The first node is the start. A draft may lack anything but the name."""

    name: str
    trigger: Trigger | None = None
    nodes: tuple[Node, ...] = ()
    targets: tuple[Target, ...] = ()
    schedule: Schedule | None = None
    quiet: tuple[QuietWindow, ...] = ()
    enrolments_per_customer_max: int | None = None
    draft: Draft | None = None
    """Of what is not whole yet, and cannot be live."""
    quiet_zone: QuietZone = QuietZone.UNSPECIFIED
    zone_attribute_key: str = ""
    """Attribute that holds the customer's zone; empty: by their phone."""
    priority: int = 0
    """Of journeys that compete for room under the team's frequency cap, the higher goes first."""
    goal: Trigger | None = None
    """The event that ends an enrolment."""

    @cached_property
    def in_own_zone(self) -> bool:
        """Whether quiet time depends on the customer."""
        return bool(self.quiet) and self.quiet_zone is QuietZone.CUSTOMER

    @cached_property
    def by_id(self) -> Mapping[str, Node]:
        """The nodes by their ids."""
        return {node.node_id: node for node in self.nodes}

    @property
    def do_not_disturb(self) -> tuple[object, ...]:
        """All that says when nobody is to be disturbed."""
        return self.quiet, self.quiet_zone, self.zone_attribute_key

    @cached_property
    def waits(self) -> Mapping[str, Wait]:
        """The nodes that wait for an event, by their ids."""
        return {node.node_id: node.action for node in self.nodes if isinstance(node.action, Wait)}

    @cached_property
    def messages(self) -> tuple[str, ...]:
        """Ids of the nodes that send messages."""
        return tuple(node.node_id for node in self.nodes if isinstance(node.action, Message))

    @cached_property
    def listens(self) -> bool:
        """Whether events are of interest to those who are inside."""
        return self.goal is not None or bool(self.waits)

    @cached_property
    def quiet_set(self) -> WindowSet:
        """The do-not-disturb windows, to be asked by."""
        return WindowSet(self.quiet)

    def target(self, channel: Channel) -> Target | None:
        """The target on `channel`, or None."""
        return next((target for target in self.targets if target.channel == channel), None)

    def lacks(self, path: str) -> bool:
        """Whether something is missing at `path` or below it, which is told by itself."""
        gaps = self.draft.gaps if self.draft else ()
        return any(field == path or field.startswith((f"{path}.", f"{path}[")) for field, _ in gaps)

    @property
    def target_paths(self) -> Iterator[str]:
        """Where the author has each target, in turn and without end: one whose channel is missing is none of them."""
        places = (f"targets[{place}]" for place in itertools.count())
        return (place for place in places if not self.lacks(f"{place}.channel"))


class Journey(msgspec.Struct, frozen=True):
    """A journey with its present definition.

    `status` is the label that is stored; `status_at` says what the journey is at an instant. `version` changes with
    every change of the row; a turn that used an older one is not committed. `stop_epoch` grows with each stop, and
    with each change of do-not-disturb, of which `recall_epoch` is the last: the gateway starts no attempt of an older
    one once it has acknowledged, which `braked_epoch` says.
    """

    journey_id: UUID
    team_id: UUID
    status: JourneyStatus
    reason: StatusReason
    revision: int
    version: int
    stop_epoch: int
    definition: Definition
    zone: str
    created_at: datetime
    updated_at: datetime
    published_at: datetime | None = None
    braked_epoch: int = 0
    recall_epoch: int = 0
    deleted_at: datetime | None = None

    @property
    def is_braked(self) -> bool:
        """True if nothing of it leaves that a stop, or a change of do-not-disturb, forbids."""
        return self.braked_epoch >= self.stop_epoch

    @property
    def was_stopped(self) -> bool:
        """True if the last epoch is that of a stop."""
        return self.stop_epoch > self.recall_epoch
