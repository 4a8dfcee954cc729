"""Audiences: what may be asked of a customer, and the answer.

One meaning everywhere: text is compared folded; a predicate on a missing value is false, so its negation is true; a
day of a duration is 24 hours, a date is a day of the team's zone (X-06). `evaluate` is the reference; other ways of
asking must agree with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from services.segment.domain.model import AttributeType, Balance

DEPTH_MAX: Final = 8
PREDICATES_MAX: Final = 100


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


Expression = AllOf | AnyOf | Negation | HasTags | HasAttribute | HasBasic | HasTime | IsBound | HasPoints


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


Comparable = TypeVar("Comparable", int, Decimal, date)


def evaluate(  # noqa: PLR0911 - one way out per kind of expression
    expression: Expression, subject: Subject, now: datetime, zone: str
) -> bool:
    """Whether the customer is in the audience at the time `now`, for a team of the zone."""
    match expression:
        case AllOf(items):
            return all(evaluate(item, subject, now, zone) for item in items)
        case AnyOf(items):
            return any(evaluate(item, subject, now, zone) for item in items)
        case Negation(item):
            return not evaluate(item, subject, now, zone)
        case HasTags():
            return _evaluate_tags(expression, subject.tags)
        case HasAttribute(key, test):
            text = subject.values.get(key)
            return text is not None and _evaluate_value(test, text)
        case HasBasic(field, test):
            text = subject.basics.get(field)
            return text is not None and _evaluate_value(test, text)
        case HasTime(field, test):
            return _evaluate_time(test, subject.times.get(field), now, zone)
        case IsBound(bound, channel, account):
            return bound == ((channel, account) in subject.bound)
        case HasPoints():
            balance = expression.figure == Figure.BALANCE
            points = subject.points.balance if balance else subject.points.cumulative
            return _compare(expression.operator, points, expression.value, expression.upper)


def _evaluate_tags(predicate: HasTags, tags: frozenset[str]) -> bool:
    match predicate.operator:
        case TagOperator.ANY_OF:
            return not predicate.tags.isdisjoint(tags)
        case TagOperator.ALL_OF:
            return predicate.tags <= tags
        case TagOperator.NONE_OF:
            return predicate.tags.isdisjoint(tags)


def _evaluate_value(test: AttributeTest, text: str) -> bool:
    match test:
        case IsSet():
            return True
        case TextTest():
            return _evaluate_text(test, text)
        case NumberTest(operator, value, upper):
            return _compare(operator, Decimal(text), value, upper)
        case DateTest(operator, day, last):
            return _compare(operator, date.fromisoformat(text), day, last)
        case BooleanTest(wanted):
            return (text == "true") == wanted


def _evaluate_text(test: TextTest, text: str) -> bool:
    match test.operator:
        case TextOperator.EQUALS:
            return text in test.values
        case TextOperator.NOT_EQUALS:
            return text not in test.values
        case TextOperator.CONTAINS:
            return any(value in text for value in test.values)
        case TextOperator.NOT_CONTAINS:
            return not any(value in text for value in test.values)
        case TextOperator.STARTS_WITH:
            return text.startswith(test.values)


def _compare(
    operator: CompareOperator, present: Comparable, value: Comparable, upper: Comparable | None
) -> bool:
    match operator:
        case CompareOperator.EQUALS:
            return present == value
        case CompareOperator.NOT_EQUALS:
            return present != value
        case CompareOperator.LESS:
            return present < value
        case CompareOperator.LESS_OR_EQUAL:
            return present <= value
        case CompareOperator.GREATER:
            return present > value
        case CompareOperator.GREATER_OR_EQUAL:
            return present >= value
        case CompareOperator.BETWEEN:
            assert upper is not None, "checked when the audience is read"
            return value <= present <= upper


def _evaluate_time(
    test: WithinLast | Before | Between | Never, at: datetime | None, now: datetime, zone: str
) -> bool:
    if isinstance(test, Never):
        return at is None
    if at is None:
        return False
    start, end = time_span(test, now, zone)
    return (start is None or at >= start) and (end is None or at < end)


def time_span(
    test: WithinLast | Before | Between, now: datetime, zone: str
) -> tuple[datetime | None, datetime | None]:
    """The span [start, end) of instants for which a test is true; None: open."""
    match test:
        case WithinLast(days):
            return _ago(now, days), None
        case Before(bound):
            return None, _begin(bound, zone)
        case Between(start, end):
            return _begin(start, zone), _end(end, zone)


def _ago(now: datetime, days: int) -> datetime:
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _begin(bound: datetime | date, zone: str) -> datetime:
    return bound if isinstance(bound, datetime) else day_start(bound, zone)


def _end(bound: datetime | date, zone: str) -> datetime:
    if isinstance(bound, datetime):
        return bound
    return (
        day_start(bound + timedelta(days=1), zone) if bound < date.max else datetime.max.replace(tzinfo=UTC)
    )


@lru_cache(maxsize=1_024)
def day_start(day: date, zone: str) -> datetime:
    """The first instant of a day of the zone, UTC."""
    local = datetime.combine(day, time(), tzinfo=ZoneInfo(zone))
    try:
        return local.astimezone(UTC)
    except OverflowError:
        return datetime.combine(day, time(), tzinfo=UTC)


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with an audience."""

    path: str
    reason: str
    """Name of an `ErrorReason`."""
    message: str


def predicates(expression: Expression) -> Iterator[Expression]:
    """All predicates of an audience."""
    match expression:
        case AllOf(items) | AnyOf(items):
            for item in items:
                yield from predicates(item)
        case Negation(item):
            yield from predicates(item)
        case _:
            yield expression


def attribute_keys(expression: Expression) -> set[str]:
    """The attributes that an audience names."""
    return {item.key for item in predicates(expression) if isinstance(item, HasAttribute)}


def names_points(expression: Expression) -> bool:
    """Whether an audience names points."""
    return any(isinstance(item, HasPoints) for item in predicates(expression))


_TYPE_OF_TEST: Final[dict[type, AttributeType]] = {
    TextTest: AttributeType.TEXT,
    NumberTest: AttributeType.NUMBER,
    DateTest: AttributeType.DATE,
    BooleanTest: AttributeType.BOOLEAN,
}


def attribute_faults(expression: Expression, usable: dict[str, AttributeType]) -> list[Fault]:
    """Attributes that the audience names and that are missing, archived or of another type.

    `usable` are the team's active attributes with their types.
    """
    faults: list[Fault] = []
    for item in predicates(expression):
        if not isinstance(item, HasAttribute):
            continue
        wanted = _TYPE_OF_TEST.get(type(item.test))
        if item.key not in usable:
            message = f"the attribute {item.key} is missing or archived"
            faults.append(Fault(f"{item.path}.key", "ATTRIBUTE_UNAVAILABLE", message))
        elif wanted is not None and usable[item.key] != wanted:
            message = f"the attribute {item.key} has the type {usable[item.key].name}"
            faults.append(Fault(item.path, "ATTRIBUTE_UNAVAILABLE", message))
    return faults


def module_faults(expression: Expression, *, has_points: bool) -> list[Fault]:
    """Predicates on points of a team without the module."""
    if has_points:
        return []
    message = "the team lacks the module POINTS"
    return [
        Fault(item.path, "MODULE_MISSING", message)
        for item in predicates(expression)
        if isinstance(item, HasPoints)
    ]
