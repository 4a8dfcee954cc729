"""The mail that reaches a customer's actor: one contract for the wire, for Redis and for every source's
`ListMail`.

A mail is a msgpack array (`encode`/`decode`). Arrays are read by place, so a field may only ever be appended,
with a default; the number that tags a body is never used again for another one. Enums travel as plain
integers and are named here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Final
from uuid import UUID

import msgspec

from libs.common.times import EARLIEST, UNREADABLE, UnreadableTime


class MailSource(IntEnum):
    """Who numbers the mail. Numbers have no gaps within one (source, customer)."""

    SEGMENT = 1
    """Customer events: orders, refunds, contacts, tags, attributes."""
    GATEWAY = 2
    """Outcomes of sends."""
    JOURNEY = 3
    """System triggers, and enrolments that people end."""


class Outcome(IntEnum):
    """How a send ended (C-03)."""

    SENT = 1
    SKIPPED = 2
    FAILED = 3
    DEFERRED = 4
    UNKNOWN = 5
    EXHAUSTED = 6
    CANCELLED = 7
    """Reserved and not yet on the wire when its journey was stopped; its place was given back."""


class Checkout(msgspec.Struct, array_like=True, frozen=True, tag=1):
    """An order was completed; mailed once per (team, shop, order id)."""

    order_key: UUID
    shop_id: str
    order_id: str
    amount_micros: int
    currency: str
    items: list[str]
    """Names of the items, as the shop wrote them."""
    earns: bool
    """Whether the order may earn points and trigger journeys (an unsigned pixel order may not, C-21)."""
    has_phone: bool
    """Whether the customer had a phone number when the order was recorded (P-03)."""
    test: bool
    order_number: str = ""
    """The number that people know the order by, where it differs from its id."""
    cart_id: str = ""
    """The shopping cart that became the order, where the shop has told it."""


class Refund(msgspec.Struct, array_like=True, frozen=True, tag=2):
    """Money went back; mailed once per (team, shop, refund id)."""

    refund_key: UUID
    shop_id: str
    refund_id: str
    order_id: str | None
    order_key: UUID | None
    """Key of the order that the refund names; None if it names none."""
    amount_micros: int
    """Positive."""
    currency: str
    order_number: str = ""
    """The number that people know the order by, where the order is known and has one."""


class ContactAdded(msgspec.Struct, array_like=True, frozen=True, tag=3):
    """The customer newly joined an account of a channel (number of `common.v1.Channel`)."""

    channel: int
    account_id: UUID


class TagApplied(msgspec.Struct, array_like=True, frozen=True, tag=4):
    """A tag that the customer did not have."""

    tag: str
    before: tuple[str, ...] = ()
    """Tags that the same call applied before it, each by a mail of its own."""


class TagRemoved(msgspec.Struct, array_like=True, frozen=True, tag=5):
    """A tag that the customer had."""

    tag: str


class AttributeChanged(msgspec.Struct, array_like=True, frozen=True, tag=6):
    """A custom attribute got another value; None is no value. Values are canonical text of their kind
    (`libs.common.audience.expressions.AttributeType`).
    """

    key: str
    kind: int
    old: str | None
    new: str | None


class SendOutcome(msgspec.Struct, array_like=True, frozen=True, tag=7):
    """The final outcome (`Outcome`) of a send that had been accepted under `effect_key`."""

    effect_key: UUID
    enrolment_id: UUID
    outcome: int
    reason: str
    """Name of the reason, for example `BLOCKED`; empty for SENT."""
    settled_at: datetime
    messages: int
    """Messages that the channel bills, 0 unless SENT or UNKNOWN."""


class End(msgspec.Struct, array_like=True, frozen=True):
    """A person ends one enrolment of the customer; `note` says why, in their words."""

    enrolment_id: UUID
    note: str = ""


class SystemTrigger(msgspec.Struct, array_like=True, frozen=True, tag=8):
    """Another function enrols the customer into one journey (J-24); or, with the nil UUID for a journey, a person ends
    an enrolment, of which releases before that know nothing."""

    journey_id: UUID
    request_key: UUID
    end: End | None = None
    data: dict[str, str] | None = None
    """What the trigger came with, for the variables of messages; None is nothing."""


class Said(msgspec.Struct, array_like=True, frozen=True):
    """What the customer wrote to an account of a channel (number of `common.v1.Channel`), or pressed there."""

    channel: int
    account_id: UUID
    text: str = ""
    """What was written, or what stands on the button, cut at 500 characters."""
    button_data: str = ""
    effect_key: UUID | None = None
    """Of the send whose button was pressed."""


class ProfileChanged(msgspec.Struct, array_like=True, frozen=True, tag=10):
    """Basic data of the customer, on which accounts they can be reached, or when they last did something, changed. It
    starts nothing: it says that earlier views (`CustomerView`) are out of date."""

    said: Said | None = None
    """What the customer said, which those who are inside a journey may wait for. A body of its own would park customers
    in processes of the release before; what stands behind the end of theirs they pass over."""


class Unreadable(msgspec.Struct, array_like=True, frozen=True, tag=9):
    """Its source could not read the row that the mail is of (it is of a later release, or spoiled). Nobody can act on
    it: its customer is parked, and an operator decides."""

    reason: str


Body = (
    Checkout
    | Refund
    | ContactAdded
    | TagApplied
    | TagRemoved
    | AttributeChanged
    | SendOutcome
    | SystemTrigger
    | ProfileChanged
    | Unreadable
)


class KnownIdentity(msgspec.Struct, array_like=True, frozen=True):
    """The customer on one channel account."""

    channel: int
    account_id: UUID
    external_id: str
    blocked: bool


class CustomerView(msgspec.Struct, array_like=True, frozen=True):
    """What segment knew of the customer when it committed a mail of its own; it goes with that mail.

    It holds only what does not change without later mail: of no time, point or attribute (ADR 27).
    """

    number: int
    """Number of the mail of segment up to which it is true."""
    as_of: datetime
    """Domain time of the commit."""
    name: str
    member_id: str | None
    phone: str | None
    email: str | None
    identities: list[KnownIdentity]
    """Those that the event named; there may be others, unless it is `whole`."""
    whole: bool = False
    """The commit made the customer: they have no other identities, and no tags."""


class Mail(msgspec.Struct, array_like=True, frozen=True):
    """One message to one customer."""

    source: int
    """`MailSource`."""
    number: int
    """1, 2, 3 … within (source, team, customer), without gaps."""
    position: int
    """Position in the partition of the source's history; rises with `number`."""
    partition: int
    """Partition of the customer, 0 to 63."""
    team_id: UUID
    customer_id: UUID
    event_id: UUID
    """Id of the event that the mail is about; stable over any repetition."""
    occurred_at: datetime
    """Domain time, UTC."""
    depth: int
    """Causation depth: 0 for the outside world, one more than the journey's effect that caused it (J-25)."""
    body: Body
    view: CustomerView | None = None
    """The customer, where segment had them before it; never in mail that was read from a history."""
    trace: bytes | None = None
    """Context of a sampled trace (`libs.common.tracing`); nor this."""


def with_sound_time(mail: Mail) -> Mail:
    """The mail; one whose time cannot be read as `Unreadable`, of the beginning of time."""
    if not isinstance(mail.occurred_at, UnreadableTime):
        return mail
    return msgspec.structs.replace(mail, occurred_at=EARLIEST, body=Unreadable(UNREADABLE))


_ENCODER: Final = msgspec.msgpack.Encoder(uuid_format="bytes")
_DECODER: Final = msgspec.msgpack.Decoder(Mail)


class _Envelope(msgspec.Struct, array_like=True, frozen=True):
    """A mail whose body, or whose view, is of a form that this release does not know."""

    source: int
    number: int
    position: int
    partition: int
    team_id: UUID
    customer_id: UUID
    event_id: UUID
    occurred_at: datetime
    depth: int
    body: msgspec.Raw


_ENVELOPES: Final = msgspec.msgpack.Decoder(_Envelope)
_BODIES: Final[msgspec.msgpack.Decoder[Body]] = msgspec.msgpack.Decoder(Body)


def encode(mail: Mail) -> bytes:
    """Write a mail for the wire (about 200 bytes)."""
    return _ENCODER.encode(mail)


def decode(data: bytes) -> Mail:
    """Read one mail. Raises `msgspec.DecodeError` (or `ValidationError`, which is one) if it is none."""
    return _DECODER.decode(data)


def decode_all(data: Sequence[bytes]) -> list[Mail]:
    """Read many mails, in order; a body that cannot be read is `Unreadable`, a view that cannot be is none. Raises as
    `decode` for what is no mail."""
    return [_decode_any(item) for item in data]


def _decode_any(data: bytes) -> Mail:
    try:
        return _DECODER.decode(data)
    except msgspec.ValidationError:
        fields = msgspec.structs.asdict(_ENVELOPES.decode(data))
        return Mail(**{**fields, "body": _body(fields["body"])})


def _body(data: msgspec.Raw) -> Body:
    try:
        return _BODIES.decode(data)
    except msgspec.ValidationError as error:
        return Unreadable(str(error))
