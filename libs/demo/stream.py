"""The canonical stream of orders and refunds that both data sources are turned into."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum


class Kind(Enum):
    """What a checkout is told as."""

    ORDER = "order.completed"
    REFUND = "order.refunded"


@dataclass(frozen=True, slots=True)
class Item:
    """One line of an order; the name may be empty."""

    name: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Checkout:
    """One order or refund. `member` is None for an anonymous one; `amount` is negative for none but those."""

    kind: Kind
    reference: str
    """Id of the order or refund in the shop."""
    occurred_at: datetime
    """UTC."""
    amount: Decimal
    """In the stream's currency; of a refund what was given back."""
    member: int | None
    items: tuple[Item, ...] = ()


class SourceFault(Exception):
    """The source cannot be read at all; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the demo sets up differently for each source."""

    source: str
    """Name for people."""
    shop_id: str
    currency: str
    time_zone: str
    big_amount: Decimal
    """`big-basket`: the order's least amount."""
    big_points: int
    """`big-basket`: cumulative points for the yes branch."""
    favourite: str
    """`favourite-item`: part of an item's name."""
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    """What the currencies of messages' prices are worth in the stream's."""


@dataclass(frozen=True, slots=True)
class Stream:
    """All checkouts in order of time, then of the source, and what was left out."""

    profile: Profile
    checkouts: tuple[Checkout, ...]
    lines: int
    """Data lines read."""
    bad_lines: Counter[str] = field(default_factory=Counter)
    """Lines that could not be read, by reason."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Invoices that are neither order nor refund and not anonymous, by reason."""
    examples: tuple[str, ...] = ()
    """The first bad lines, for people."""

    @property
    def members(self) -> tuple[int, ...]:
        """Customers with at least one order or refund, ascending."""
        return tuple(sorted({c.member for c in self.checkouts if c.member is not None}))


def in_order(checkouts: Iterable[Checkout]) -> tuple[Checkout, ...]:
    """Sorted by time; what happened at one moment keeps the order of the source."""
    return tuple(sorted(checkouts, key=lambda checkout: checkout.occurred_at))


def phone_of(member: int) -> str:
    """The member's phone number in E.164 form."""
    return f"+447{member:09d}"


def line_user_of(member: int) -> str | None:
    """The member's LINE userId; only those with an even id have one."""
    return f"U{member:032x}" if member % 2 == 0 else None


def as_utc(at: datetime) -> datetime:
    """A time without zone, taken as UTC."""
    return at.replace(tzinfo=UTC)
