"""What segment stores: teams, customers, orders; and what comes in: events and changes.

Everything here is a value. Times are UTC, money is micros of the major unit, absent text is None.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

import msgspec

from libs.common.audience.expressions import AttributeType, ChannelNumber
from libs.common.phones import country_of_zone, phone_of_whatsapp


class Module(IntEnum):
    """An add-on of a team; numbers as in the contract."""

    JOURNEYS = 1
    POINTS = 2
    CUSTOM_ATTRIBUTES = 3
    SOCIAL_CDP = 4


class CurrencyRate(msgspec.Struct, frozen=True):
    """What one unit of a currency is worth in the team's own."""

    currency_code: str
    rate: str
    """Canonical positive decimal."""


class TeamSettings(msgspec.Struct, frozen=True):
    """What other services go by."""

    time_zone: str
    currency_code: str
    modules: tuple[int, ...] = ()
    plan_name: str = ""
    monthly_enrolments_max: int | None = None
    attribution_window: timedelta = timedelta(days=7)
    unsigned_orders_count: bool = False
    points_channels: tuple[int, ...] = (2,)
    currency_rates: tuple[CurrencyRate, ...] = ()
    country_code: str = ""
    """As it was set; see `country`."""
    stop_words: tuple[str, ...] = ()
    """By which customers say that they want no messages; none: the defaults."""
    start_words: tuple[str, ...] = ()

    @property
    def country(self) -> str:
        """ISO 3166-1 alpha-2 of the country in whose form phone numbers are read: by default that of the time zone,
        empty where that has none."""
        return self.country_code or country_of_zone(self.time_zone)


class Team(msgspec.Struct, frozen=True):
    """A tenant."""

    team_id: UUID
    name: str
    settings: TeamSettings
    revision: int
    create_time: datetime
    update_time: datetime


class IdentityKey(NamedTuple):
    """One person on one channel account."""

    channel: int
    account_id: UUID
    external_id: str

    @property
    def phone(self) -> str | None:
        """The phone number that it is, on WhatsApp; in E.164."""
        return phone_of_whatsapp(self.external_id) if self.channel == ChannelNumber.WHATSAPP else None


class Binding(NamedTuple):
    """Whose an identity is. Whether it is blocked follows from when the person was last there (followed, wrote) and
    when they last left, each by its own time; of what happened at one time, the order in which it is told decides."""

    customer_id: UUID
    blocked: bool
    seen_at: datetime | None = None
    left_at: datetime | None = None

    def seen(self, at: datetime) -> Binding:
        """As it is when the person was there at a time. A block whose time is not known is over."""
        seen_at = at if self.seen_at is None else max(self.seen_at, at)
        gone = self.left_at is not None and at < self.left_at
        return self._replace(seen_at=seen_at, blocked=self.blocked and gone)

    def left(self, at: datetime) -> Binding:
        """As it is when the person left at a time."""
        left_at = at if self.left_at is None else max(self.left_at, at)
        gone = self.seen_at is None or self.seen_at <= at
        return self._replace(left_at=left_at, blocked=self.blocked or gone)


class Identity(msgspec.Struct, frozen=True):
    """An identity as a customer has it."""

    key: IdentityKey
    blocked: bool
    bind_time: datetime


class Customer(msgspec.Struct):
    """The row of a customer: basic data, the four times, the last mail number. `CustomerChanges` changes a copy."""

    team_id: UUID
    customer_id: UUID
    member_id: str | None = None
    name: str = ""
    phone: str | None = None
    email: str | None = None
    customer_interact_time: datetime | None = None
    team_interact_time: datetime | None = None
    marketed_time: datetime | None = None
    checkout_time: datetime | None = None
    mail_number: int = 0
    """Number of the last mail of this source to this customer; 0 before the first."""
    revision: int = 0
    create_time: datetime | None = None
    update_time: datetime | None = None


class Attribute(msgspec.Struct, frozen=True):
    """Definition of a custom attribute."""

    team_id: UUID
    key: str
    display_name: str
    type: AttributeType
    archived: bool
    revision: int
    create_time: datetime
    update_time: datetime


class AttributeValue(NamedTuple):
    """A stored value; it counts only while the definition has the same type."""

    type: int
    text: str
    """Canonical form of the type."""


class CustomerView(msgspec.Struct, frozen=True):
    """A customer with all that belongs to it, for reading."""

    customer: Customer
    tags: tuple[str, ...] = ()
    attributes: dict[str, str] = {}
    identities: tuple[Identity, ...] = ()
    merged_into: UUID | None = None
    """Set of one who was merged: whom into."""


class Listed(msgspec.Struct, frozen=True):
    """Whom a line of a list names: nobody, one customer and the channels they are on, or several."""

    customer_id: UUID | None = None
    ambiguous: bool = False
    channels: tuple[int, ...] = ()


class Selector(msgspec.Struct, frozen=True, array_like=True):
    """Ways to find a customer; `candidates` says which is stronger."""

    customer_id: UUID | None = None
    member_id: str | None = None
    phone: str | None = None
    email: str | None = None
    identity: IdentityKey | None = None
    browser_token: str | None = None

    def is_empty(self) -> bool:
        """No event is emitted."""
        return self == _NOBODY

    @property
    def is_id_alone(self) -> bool:
        """Whether nothing but the customer's id is said."""
        return (
            self.member_id is None
            and self.phone is None
            and self.email is None
            and self.identity is None
            and self.browser_token is None
        )


_NOBODY = Selector()


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One line of an order."""

    name: str
    quantity: str = "1"
    price_micros: int | None = None
    price_currency: str = ""
    product_id: str = ""
    sku: str = ""


class OrderCompleted(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A checkout was completed."""

    shop_id: str
    order_id: str
    amount_micros: int
    currency: str
    order_number: str = ""
    items: tuple[Item, ...] = ()
    signed: bool = False
    test: bool = False
    click_id: str = ""
    cart_id: str = ""


class OrderRefunded(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Money of an order was given back."""

    shop_id: str
    refund_id: str
    amount_micros: int
    currency: str
    order_id: str = ""
    signed: bool = False
    left_micros: int | None = None
    """The shop did not say what was given back, but what was left of the order; the amount is what that took."""
    known_micros: int = 0
    """What of the amount was taken before, when the shop said what was left."""


class ContactAdded(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The customer joined a channel account."""

    identity: IdentityKey


class ContactBlocked(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The customer blocked or left a channel account."""

    identity: IdentityKey


class MessageReceived(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """The customer wrote, or pressed a button."""

    identity: IdentityKey
    text: str = ""
    button_data: str = ""
    effect_key: UUID | None = None
    """Of the send whose button was pressed."""


class CustomerInteracted(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The customer did something else."""


class TeamInteracted(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Somebody of the team wrote to the customer."""


class ContactMoved(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """The customer is known on a channel account by another id from now on."""

    identity: IdentityKey
    """As they were known before."""
    external_id: str

    @property
    def moved_to(self) -> IdentityKey:
        """As they are known now."""
        return self.identity._replace(external_id=self.external_id)


EventBody = (
    OrderCompleted
    | OrderRefunded
    | ContactAdded
    | ContactBlocked
    | MessageReceived
    | CustomerInteracted
    | TeamInteracted
    | ContactMoved
)


_OF_NO_IDENTITY = frozenset({OrderCompleted, OrderRefunded, CustomerInteracted, TeamInteracted})


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One report of something that happened."""

    team_id: UUID
    event_key: str
    selector: Selector
    occurred_at: datetime
    body: EventBody
    customer_name: str = ""
    trace: bytes | None = None
    """Context of a sampled trace; no part of the report."""

    @property
    def may_name_identity(self) -> bool:
        """Whether it says by which identity somebody was there, or may."""
        return self.selector.identity is not None or type(self.body) not in _OF_NO_IDENTITY

    @property
    def hints(self) -> Selector:
        """The selector, with the phone number that an identity on WhatsApp is where no other is told."""
        selector = self.selector
        if selector.phone is not None or not self.may_name_identity:
            return selector
        body = self.body
        own = body.moved_to if isinstance(body, ContactMoved) else getattr(body, "identity", None)
        for identity in (own, selector.identity):
            if identity is not None and (phone := identity.phone) is not None:
                return msgspec.structs.replace(selector, phone=phone)
        return selector

    def with_hints(self) -> Event:
        """The event with its `hints` for a selector."""
        hints = self.hints
        return self if hints is self.selector else msgspec.structs.replace(self, selector=hints)


class Uncounted(IntEnum):
    """Why an order or refund does not count; numbers as in the contract."""

    COUNTS = 0
    ANONYMOUS = 1
    UNSIGNED = 2
    TEST = 3
    ORDER_UNCOUNTED = 4
    """Of a refund. An order with it is not reported yet: a refund named it, and it holds the place."""


class Order(msgspec.Struct, frozen=True):
    """An order as it is known from all reports so far."""

    order_key: UUID
    customer_id: UUID | None
    body: OrderCompleted
    uncounted: Uncounted
    occurred_at: datetime


class Refund(msgspec.Struct, frozen=True):
    """A refund as it is known."""

    refund_key: UUID
    customer_id: UUID | None
    body: OrderRefunded
    uncounted: Uncounted
    occurred_at: datetime


class TagChange(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Tags to add and to remove; no tag is in both."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class AttributeChange(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A text attribute to set."""

    key: str
    text: str


class MarketedChange(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The team marketed to the customer."""

    at: datetime


ChangeBody = TagChange | AttributeChange | MarketedChange


class Change(msgspec.Struct, frozen=True, array_like=True):
    """An effect of a journey on a customer."""

    effect_key: UUID
    team_id: UUID
    customer_id: UUID
    depth: int
    occurred_at: datetime
    body: ChangeBody
