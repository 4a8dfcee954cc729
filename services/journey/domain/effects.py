"""What a turn asks of other services, and what they answer.

Every effect carries the key `enrolment : node : visit` (or that of the order or refund), never an attempt, worker or
revision: the owner answers a repeated key with its first answer.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

from libs.common.ids import derived_from, encoded_name
from libs.common.mailbox.mail import CustomerView
from services.journey.domain.enrolment import Enrolment
from services.journey.domain.model import Channel, Template
from services.journey.domain.plan import Month

VISITS_KEPT: Final = 4_096
"""Names of visits whose encoding is kept, some 0.2 kB each."""


def effect_key(enrolment_id: UUID, node_id: str, visit: int, part: str = "") -> UUID:
    """Key of the effect of one visit; `part` distinguishes several effects of a visit."""
    return derived_from(enrolment_id, _visit_name(node_id, visit, part))


@functools.lru_cache(maxsize=VISITS_KEPT)
def _visit_name(node_id: str, visit: int, part: str) -> bytes:
    """All enrolments of a journey visit the same nodes: the name of a visit is encoded once for them."""
    return encoded_name(f"{node_id}:{visit}:{part}")


class Recipient(msgspec.Struct, frozen=True):
    """The customer on the account that a send leaves through, bound and not blocked; and their name."""

    external_id: str
    name: str


class Send(msgspec.Struct, frozen=True):
    """Reserve and send a message. `not_after` is the start of the next quiet window; without a `recipient` the gateway
    asks whom it goes to."""

    key: UUID
    team_id: UUID
    customer_id: UUID
    enrolment_id: UUID
    journey_id: UUID
    node_id: str
    channel: Channel
    account_id: UUID
    bot_module_id: UUID | None
    template: Template | None
    cap: int | None
    not_after: datetime | None
    stop_epoch: int
    recipient: Recipient | None = None
    waits_for_room: bool = False
    """Where the team's frequency cap has none: else it is skipped."""
    trigger_data: Mapping[str, str] | None = None
    """What the trigger that let the customer in came with."""
    trace: bytes | None = None
    """Context of the sampled trace that it belongs to."""


class ChangeTags(msgspec.Struct, frozen=True):
    """Add and remove tags of the customer."""

    key: UUID
    team_id: UUID
    customer_id: UUID
    depth: int
    at: datetime
    add: tuple[str, ...]
    remove: tuple[str, ...]


class SetAttribute(msgspec.Struct, frozen=True):
    """Set a TEXT attribute of the customer."""

    key: UUID
    team_id: UUID
    customer_id: UUID
    depth: int
    at: datetime
    attribute: str
    text: str


class ChangePoints(msgspec.Struct, frozen=True):
    """Add (positive) or deduct (negative) points at a node. `has_phone` is None where it has to be asked for."""

    key: UUID
    team_id: UUID
    customer_id: UUID
    at: datetime
    delta: int
    journey_id: UUID
    journey_name: str
    enrolment_id: UUID
    node_id: str
    has_phone: bool | None = None


class EarnPoints(msgspec.Struct, frozen=True):
    """Post what an order earns."""

    key: UUID
    team_id: UUID
    customer_id: UUID
    at: datetime
    shop_id: str
    order_id: str
    amount_micros: int
    currency: str
    has_phone: bool
    order_number: str = ""


class RefundPoints(msgspec.Struct, frozen=True):
    """Take back what a refund no longer earns; `order_key` is None where it names no order."""

    key: UUID
    team_id: UUID
    customer_id: UUID
    at: datetime
    order_key: UUID | None
    shop_id: str
    refund_id: str
    amount_micros: int
    currency: str
    order_id: str = ""
    order_number: str = ""


class EvaluateAudience(msgspec.Struct, frozen=True):
    """Ask whether the customer belongs to an audience now.

    The first answer under a key holds until the turn is committed: what the branch did by then would change the next.
    `view` is what the turn knows of the customer, where it knows anything that is true now.
    """

    key: UUID
    team_id: UUID
    customer_id: UUID
    enrolment_id: UUID
    audience: bytes
    view: CustomerView | None = None


class TakePlace(msgspec.Struct, frozen=True):
    """Ask for one of the enrolments that the team's plan has in a month. `key` is the enrolment; `source` and `number`
    are of the mail that it is for. A place that an enrolment has stays its own, however often it asks."""

    key: UUID
    team_id: UUID
    customer_id: UUID
    month: Month
    most: int | None
    source: int
    number: int


class FindZone(msgspec.Struct, frozen=True):
    """Ask by whose clock a customer lives now; `attribute` may hold it, empty: none does."""

    team_id: UUID
    customer_id: UUID
    attribute: str
    at: datetime


Effect = (
    TakePlace
    | Send
    | ChangeTags
    | SetAttribute
    | ChangePoints
    | EarnPoints
    | RefundPoints
    | EvaluateAudience
    | FindZone
)

OF_NODES: Final = (Send, ChangeTags, SetAttribute, ChangePoints)
"""What nodes have done elsewhere, once a visit: each has a key."""


class SendState(IntEnum):
    """The gateway's answer to a send, and later the send's outcome. The numbers are those of the contract
    and, but for ACCEPTED, of outcomes in mail."""

    SENT = 1
    SKIPPED = 2
    FAILED = 3
    DEFERRED = 4
    UNKNOWN = 5
    EXHAUSTED = 6
    CANCELLED = 7
    ACCEPTED = 8


class SendAnswer(msgspec.Struct, frozen=True):
    """Answer to a `Send`, or its outcome that came by mail. `at` is when it was settled; of one that waits for room
    under the frequency cap, when to ask again."""

    state: SendState
    reason: str = ""
    at: datetime | None = None


class ChangeState(IntEnum):
    """Answer to a change of tags, attribute, points or times."""

    APPLIED = 1
    UNCHANGED = 2
    REFUSED = 3
    INSUFFICIENT = 4
    SKIPPED = 5


class ChangeAnswer(msgspec.Struct, frozen=True):
    """Answer to any change."""

    state: ChangeState
    reason: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """Answer to an `EvaluateAudience`. With a `reason` it could not be evaluated, and nobody belongs to it.

    `has_phone` is of that moment, None where segment did not say; it saves a question. `seen` is what decided it and
    what the customer had there, for people.
    """

    belongs: bool
    reason: str = ""
    has_phone: bool | None = None
    seen: str = ""


class Place(msgspec.Struct, frozen=True):
    """Answer to a `TakePlace`."""

    taken: bool


class Zone(msgspec.Struct, frozen=True):
    """Answer to a `FindZone`: an IANA name, empty where it is not known."""

    name: str


Answer = SendAnswer | ChangeAnswer | Verdict | Place | Zone


def send_key(enrolment: Enrolment) -> UUID:
    """Key of the send at the node where the enrolment stands."""
    return effect_key(enrolment.enrolment_id, enrolment.node_id, enrolment.visit)
