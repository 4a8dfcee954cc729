"""Whether a customer is in an audience: the one evaluator, of segment and of journeys.

`evaluate` is the reference; other ways of asking (SQL) must agree with it. Pure.
"""

from __future__ import annotations

import operator as operators
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    AttributeTest,
    Before,
    Between,
    BooleanTest,
    CompareOperator,
    DateTest,
    Expression,
    Figure,
    HasAttribute,
    HasBasic,
    HasPoints,
    HasTags,
    HasTime,
    InAudience,
    IsBound,
    IsSet,
    Negation,
    Never,
    NumberTest,
    Subject,
    TagOperator,
    TextOperator,
    TextTest,
    TimeField,
    WithinLast,
)

Comparable = TypeVar("Comparable", int, Decimal, date)

_COMPARISONS: Final[Mapping[CompareOperator, Callable[[Any, Any], bool]]] = {
    CompareOperator.EQUALS: operators.eq,
    CompareOperator.NOT_EQUALS: operators.ne,
    CompareOperator.LESS: operators.lt,
    CompareOperator.LESS_OR_EQUAL: operators.le,
    CompareOperator.GREATER: operators.gt,
    CompareOperator.GREATER_OR_EQUAL: operators.ge,
}
"""Those with one bound."""


def evaluate(  # noqa: C901, PLR0911 - one way out per kind of expression
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
            return text is not None and meets_value(test, text)
        case HasBasic(field, test):
            text = subject.basics.get(field)
            return text is not None and meets_value(test, text)
        case HasTime(field, test):
            return _evaluate_time(test, subject.times.get(field), now, zone)
        case IsBound(bound, channel, account):
            return bound == ((channel, account) in subject.bound)
        case HasPoints():
            balance = expression.figure == Figure.BALANCE
            points = subject.points.balance if balance else subject.points.cumulative
            return _compare(expression.operator, points, expression.value, expression.upper)
        case InAudience(belongs=belongs, inner=inner):
            assert inner is not None, "looked up before anybody is judged"
            return belongs == evaluate(inner, subject, now, zone)


def predicate_of(predicate: Expression, now: datetime, zone: str) -> Callable[[Subject], bool]:
    """`evaluate` of one predicate for many customers: what does not depend on the customer is worked out once."""
    match predicate:
        case HasTags(TagOperator.ANY_OF, tags):
            return lambda subject: not tags.isdisjoint(subject.tags)
        case HasTags(TagOperator.ALL_OF, tags):
            return lambda subject: tags <= subject.tags
        case HasTags(_, tags):
            return lambda subject: tags.isdisjoint(subject.tags)
        case HasTime(field, WithinLast() | Before() | Between() as test):
            return _happened(field, *time_span(test, now, zone))
        case HasAttribute(key, test):
            meets = _value_test(test)
            return lambda subject: (text := subject.values.get(key)) is not None and meets(text)
        case _:
            return lambda subject: evaluate(predicate, subject, now, zone)


def _value_test(test: AttributeTest) -> Callable[[str], bool]:
    """`meets_value` of one test for many values: what they are compared by is looked up once."""
    match test:
        case NumberTest(operator, value) if operator in _COMPARISONS:
            compare = _COMPARISONS[operator]
            return lambda text: compare(Decimal(text), value)
        case DateTest(operator, day) if operator in _COMPARISONS:
            compare = _COMPARISONS[operator]
            return lambda text: compare(date.fromisoformat(text), day)
        case _:
            return lambda text: meets_value(test, text)


def _happened(field: TimeField, start: datetime | None, end: datetime | None) -> Callable[[Subject], bool]:
    def happened(subject: Subject) -> bool:
        at = subject.times.get(field)
        return at is not None and (start is None or at >= start) and (end is None or at < end)

    return happened


def _evaluate_tags(predicate: HasTags, tags: frozenset[str]) -> bool:
    match predicate.operator:
        case TagOperator.ANY_OF:
            return not predicate.tags.isdisjoint(tags)
        case TagOperator.ALL_OF:
            return predicate.tags <= tags
        case TagOperator.NONE_OF:
            return predicate.tags.isdisjoint(tags)


def meets_value(test: AttributeTest, text: str) -> bool:
    """Whether a value, as its canonical text (a text folded), meets the test; it is of the test's type."""
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
