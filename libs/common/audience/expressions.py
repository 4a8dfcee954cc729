"""Audiences: what may be asked of a customer, as values; and the customer as it is judged.

One meaning everywhere: text is compared folded; a predicate on a missing value is false, so its negation is true; a
day of a duration is 24 hours, a date is a day of the team's zone (X-06).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec

DEPTH_MAX: Final = 8
PREDICATES_MAX: Final = 100


class AttributeType(IntEnum):
    """Data type of a custom attribute; numbers as in the contract and in mail."""

    TEXT = 1
    NUMBER = 2
    DATE = 3
    BOOLEAN = 4


class Balance(NamedTuple):
    """Points of a customer."""

    balance: int
    cumulative: int


class TextOperator(IntEnum):
    """How texts are compared; numbers as in the contract."""

    EQUALS = 1
    NOT_EQUALS = 2
    CONTAINS = 3
    NOT_CONTAINS = 4
    STARTS_WITH = 5


class CompareOperator(IntEnum):
    """How numbers and days are compared; numbers as in the contract."""

    EQUALS = 1
    NOT_EQUALS = 2
    LESS = 3
    LESS_OR_EQUAL = 4
    GREATER = 5
    GREATER_OR_EQUAL = 6
    BETWEEN = 7


class TagOperator(IntEnum):
    """How tags are compared; numbers as in the contract."""

    ANY_OF = 1
    ALL_OF = 2
    NONE_OF = 3


class BasicField(IntEnum):
    """A basic text; numbers as in the contract."""

    MEMBER_ID = 1
    PHONE = 2
    EMAIL = 3


class TimeField(IntEnum):
    """One of the four times; numbers as in the contract."""

    CUSTOMER_INTERACTED = 1
    TEAM_INTERACTED = 2
    MARKETED = 3
    CHECKOUT = 4


class Figure(IntEnum):
    """A figure of points; numbers as in the contract."""

    BALANCE = 1
    CUMULATIVE = 2


class MembershipOperator(IntEnum):
    """Whether a saved audience is to hold the customer or not; numbers as in the contract."""

    IN = 1
    NOT_IN = 2


class BindingOperator(IntEnum):
    """Whether an identity is asked for or its absence; numbers as in the contract."""

    BOUND = 1
    NOT_BOUND = 2


class ChannelNumber(IntEnum):
    """Channels; numbers as in the contract."""

    LINE = 1
    WHATSAPP = 2
    MESSENGER = 3
    INSTAGRAM = 4


class AllOf(msgspec.Struct, frozen=True):
    """Every one is true."""

    items: tuple[Expression, ...]


class AnyOf(msgspec.Struct, frozen=True):
    """At least one is true."""

    items: tuple[Expression, ...]


class Negation(msgspec.Struct, frozen=True):
    """It is false."""

    item: Expression


class HasTags(msgspec.Struct, frozen=True):
    """About tags, which are folded."""

    operator: TagOperator
    tags: frozenset[str]


class IsSet(msgspec.Struct, frozen=True):
    """There is a value."""


class TextTest(msgspec.Struct, frozen=True):
    """About a text; values are folded."""

    operator: TextOperator
    values: tuple[str, ...]


class NumberTest(msgspec.Struct, frozen=True):
    """About a number. `upper` is for BETWEEN."""

    operator: CompareOperator
    value: Decimal
    upper: Decimal | None = None


class DateTest(msgspec.Struct, frozen=True):
    """About a calendar day. `upper` is for BETWEEN."""

    operator: CompareOperator
    value: date
    upper: date | None = None


class BooleanTest(msgspec.Struct, frozen=True):
    """About a boolean."""

    value: bool


AttributeTest = IsSet | TextTest | NumberTest | DateTest | BooleanTest


class HasAttribute(msgspec.Struct, frozen=True):
    """About a custom attribute."""

    key: str
    test: AttributeTest
    path: str = ""
    """Where it stands in the audience, for faults."""


class HasBasic(msgspec.Struct, frozen=True):
    """About member id, phone or e-mail."""

    field: BasicField
    test: IsSet | TextTest


class WithinLast(msgspec.Struct, frozen=True):
    """Not longer ago than so many days of 24 hours."""

    days: int


class Before(msgspec.Struct, frozen=True):
    """Before an instant, or before a day began."""

    bound: datetime | date


class Between(msgspec.Struct, frozen=True):
    """From `start` on, and before the instant `end` or within the day `end`."""

    start: datetime | date
    end: datetime | date


class Never(msgspec.Struct, frozen=True):
    """Never happened."""


class HasTime(msgspec.Struct, frozen=True):
    """About one of the four times."""

    field: TimeField
    test: WithinLast | Before | Between | Never


class IsBound(msgspec.Struct, frozen=True):
    """About identities: bound (or not) to a channel, or to one account of it."""

    bound: bool
    channel: int
    account: str = ""


class HasPoints(msgspec.Struct, frozen=True):
    """About points. `upper` is for BETWEEN."""

    figure: Figure
    operator: CompareOperator
    value: int
    upper: int | None = None
    path: str = ""


class InAudience(msgspec.Struct, frozen=True):
    """About being in a saved audience. `inner` is that audience, once it was looked up (`memberships.expanded`)."""

    belongs: bool
    audience_id: str
    path: str = ""
    inner: Expression | None = None


Expression = (
    AllOf | AnyOf | Negation | HasTags | HasAttribute | HasBasic | HasTime | IsBound | HasPoints | InAudience
)


class Subject(msgspec.Struct, frozen=True):
    """A customer as it is judged. All texts are folded."""

    basics: dict[BasicField, str]
    """Those that are set."""
    times: dict[TimeField, datetime]
    """Those that ever happened."""
    tags: frozenset[str] = frozenset()
    values: dict[str, str] = {}
    """Values of active attributes; TEXT folded, others canonical."""
    bound: frozenset[tuple[int, str]] = frozenset()
    """Channel and account; and channel with an empty account for any account of it."""
    points: Balance = Balance(0, 0)


def predicates(expression: Expression) -> Iterator[Expression]:
    """All predicates of an audience, and those of saved audiences that it names, where these were looked up."""
    match expression:
        case AllOf(items) | AnyOf(items):
            for item in items:
                yield from predicates(item)
        case Negation(item):
            yield from predicates(item)
        case InAudience(inner=inner) if inner is not None:
            yield from predicates(inner)
        case _:
            yield expression


def attribute_keys(expression: Expression) -> set[str]:
    """The attributes that an audience names."""
    return {item.key for item in predicates(expression) if isinstance(item, HasAttribute)}


def names_points(expression: Expression) -> bool:
    """Whether an audience names points."""
    return any(isinstance(item, HasPoints) for item in predicates(expression))


def names(expression: Expression, *, attribute_key: str = "", tag: str = "", audience_id: str = "") -> bool:
    """Whether an audience names the attribute, the tag (folded) or the saved audience; empty: not asked for."""
    return any(
        (isinstance(item, HasAttribute) and item.key == attribute_key)
        or (isinstance(item, HasTags) and tag in item.tags)
        or (isinstance(item, InAudience) and item.audience_id == audience_id)
        for item in predicates(expression)
    )
