"""The contract's audiences → expressions of the domain, with every fault of form and its path."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec

from libs.common.audience import expressions as domain
from libs.common.audience.expressions import CompareOperator, Expression
from libs.common.audience.faults import Fault
from libs.common.audience.spellings import spelled
from libs.common.audience.values import KEY, ValueFault, parse_date, parse_number
from libs.common.rpc.values import datetime_of
from libs.common.text import as_seen, fold
from omnijourney.segment.v1 import audience_pb2 as pb

Choice = TypeVar("Choice", bound=IntEnum)

_VALUES_MAX: Final = 100
_VALUE_LENGTH_MAX: Final = 2_000
_DAYS_MAX: Final = 3_650
_TEXT_OPERATORS: Final[frozenset[int]] = frozenset(domain.TextOperator)
_NOTHING: Final = domain.AnyOf(())
"""Stands for a part that has faults; never judged."""
_TESTS_WITH_FAULTS: Final[dict[str, domain.AttributeTest]] = {
    "text": domain.TextTest(domain.TextOperator.EQUALS, ()),
    "number": domain.NumberTest(CompareOperator.EQUALS, Decimal(0), None),
    "date": domain.DateTest(CompareOperator.EQUALS, date.min, None),
}
"""The same for tests: which attribute is asked for, and as which type, is looked at all the same."""


class Reading(msgspec.Struct):
    """An audience that was read."""

    expression: Expression
    """With faults it judges nobody: parts of it are left out. What it names may still be looked at."""
    faults: list[Fault]


def read_audience(message: pb.Audience) -> Reading:
    """Reads an audience and notes everything that is wrong with its form."""
    reader = _Reader()
    expression = reader.audience(message, "", 1)
    if reader.predicates > domain.PREDICATES_MAX:
        reader.fault("", f"has {reader.predicates} predicates; at most {domain.PREDICATES_MAX} are allowed")
    return Reading(expression, reader.faults)


class _Reader:
    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.predicates = 0

    def fault(self, path: str, message: str) -> None:
        self.faults.append(Fault(path, "AUDIENCE_INVALID", message))

    def audience(self, message: pb.Audience, path: str, depth: int) -> Expression:
        kind = message.WhichOneof("expression")
        if kind is None:
            self.fault(path, "says nothing")
            return _NOTHING
        if depth > domain.DEPTH_MAX:
            self.fault(path, f"is nested deeper than {domain.DEPTH_MAX}")
            return _NOTHING
        path = f"{path}.{kind}" if path else kind
        if kind in {"all_of", "any_of"}:
            return self._list(kind, getattr(message, kind), path, depth)
        if kind == "negation":
            return domain.Negation(self.audience(message.negation, path, depth + 1))
        self.predicates += 1
        return _PREDICATES[kind](self, getattr(message, kind), path)

    def _list(self, kind: str, message: pb.AudienceList, path: str, depth: int) -> Expression:
        if not message.items:
            self.fault(f"{path}.items", "needs one condition at least")
        items = tuple(
            self.audience(item, f"{path}.items[{index}]", depth + 1)
            for index, item in enumerate(message.items)
        )
        return domain.AllOf(items) if kind == "all_of" else domain.AnyOf(items)

    def choice(self, kind: type[Choice], number: int, path: str) -> Choice | None:
        try:
            return kind(number)
        except ValueError:
            self.fault(path, "is unknown" if number else "is required")
            return None

    def tags(self, message: pb.TagPredicate, path: str) -> Expression:
        operator = self.choice(domain.TagOperator, message.operator, f"{path}.operator")
        tags = self._texts([as_seen(tag) for tag in message.tags], f"{path}.tags")
        return _NOTHING if operator is None else domain.HasTags(operator, frozenset(tags))

    def attribute(self, message: pb.AttributePredicate, path: str) -> Expression:
        if not KEY.fullmatch(message.key):
            self.fault(f"{path}.key", "is no key of an attribute")
        kind = message.WhichOneof("test")
        if kind is None:
            self.fault(path, "needs a test")
            return domain.HasAttribute(message.key, domain.IsSet(), path)
        test = _TESTS[kind](self, getattr(message, kind), f"{path}.{kind}")
        return domain.HasAttribute(message.key, test or _TESTS_WITH_FAULTS[kind], path)

    def basic(self, message: pb.BasicPredicate, path: str) -> Expression:
        field = self.choice(domain.BasicField, message.field, f"{path}.field")
        kind = message.WhichOneof("test")
        if kind is None:
            self.fault(path, "needs a test")
            return _NOTHING
        test = domain.IsSet() if kind == "is_set" else self._basic_text(field, message.text, f"{path}.text")
        return _NOTHING if test is None or field is None else domain.HasBasic(field, test)

    def time(self, message: pb.TimePredicate, path: str) -> Expression:
        field = self.choice(domain.TimeField, message.field, f"{path}.field")
        test = self._time_test(message, path)
        return _NOTHING if test is None or field is None else domain.HasTime(field, test)

    def binding(self, message: pb.BindingPredicate, path: str) -> Expression:
        operator = self.choice(domain.BindingOperator, message.operator, f"{path}.operator")
        channel = self.choice(domain.ChannelNumber, message.channel, f"{path}.channel")
        account = message.account_id
        try:
            account = account and str(UUID(account))
        except ValueError:
            self.fault(f"{path}.account_id", "must be a UUID")
        if operator is None or channel is None:
            return _NOTHING
        return domain.IsBound(operator == domain.BindingOperator.BOUND, channel, account)

    def points(self, message: pb.PointsPredicate, path: str) -> Expression:
        figure = self.choice(domain.Figure, message.figure, f"{path}.figure")
        operator = self.choice(CompareOperator, message.operator, f"{path}.operator")
        if message.value < 0:
            self.fault(f"{path}.value", "must not be negative")
        upper: int | None = None
        if operator == CompareOperator.BETWEEN:
            upper = message.upper
            if upper < message.value:
                self.fault(f"{path}.upper", "must not be less than the value")
        elif message.upper:
            self.fault(f"{path}.upper", "is for BETWEEN only")
        figure, operator = figure or domain.Figure.BALANCE, operator or CompareOperator.EQUALS
        return domain.HasPoints(figure, operator, message.value, upper, path)

    def saved_audience(self, message: pb.SavedAudiencePredicate, path: str) -> Expression:
        operator = self.choice(domain.MembershipOperator, message.operator, f"{path}.operator")
        try:
            audience_id = str(UUID(message.saved_audience_id))
        except ValueError:
            self.fault(f"{path}.saved_audience_id", "must be the UUID of a saved audience")
            return _NOTHING
        if operator is None:
            return _NOTHING
        return domain.InAudience(operator == domain.MembershipOperator.IN, audience_id, path)

    # ---- tests

    def is_set(self, _message: pb.IsSet, _path: str) -> domain.IsSet:
        return domain.IsSet()

    def text(self, message: pb.TextTest, path: str) -> domain.TextTest | None:
        values = self._texts(message.values, f"{path}.values")
        operator = self.choice(domain.TextOperator, message.operator, f"{path}.operator")
        return None if operator is None else domain.TextTest(operator, values)

    def _basic_text(
        self, field: domain.BasicField | None, message: pb.TextTest, path: str
    ) -> domain.TextTest | None:
        if field is None or message.operator not in _TEXT_OPERATORS:
            return self.text(message, path)
        operator = domain.TextOperator(message.operator)
        values = [spelled(field, operator, text) for text in message.values]
        return domain.TextTest(operator, self._texts(values, f"{path}.values"))

    def number(self, message: pb.NumberTest, path: str) -> domain.NumberTest | None:
        found = self._compared(message, path, parse_number)
        if found is None:
            return None
        operator, value, upper = found
        assert isinstance(value, Decimal)
        return domain.NumberTest(operator, value, upper)

    def day(self, message: pb.DateTest, path: str) -> domain.DateTest | None:
        found = self._compared(message, path, parse_date)
        if found is None:
            return None
        operator, value, upper = found
        return domain.DateTest(operator, value, upper)

    def boolean(self, message: pb.BooleanTest, _path: str) -> domain.BooleanTest:
        return domain.BooleanTest(message.value)

    def _compared(
        self, message: pb.NumberTest | pb.DateTest, path: str, parse: Callable[[str], Any]
    ) -> tuple[CompareOperator, Any, Any] | None:
        value = self._parsed(message.value, f"{path}.value", parse)
        operator = self.choice(CompareOperator, message.operator, f"{path}.operator")
        upper = None
        if operator == CompareOperator.BETWEEN:
            upper = self._parsed(message.upper, f"{path}.upper", parse)
            if value is not None and upper is not None and upper < value:
                self.fault(f"{path}.upper", "must not be less than the value")
        elif message.upper:
            self.fault(f"{path}.upper", "is for BETWEEN only")
        if operator is None or value is None or (upper is None and operator == CompareOperator.BETWEEN):
            return None
        return operator, value, upper

    def _parsed(self, text: str, path: str, parse: Callable[[str], Any]) -> Any:
        try:
            return parse(text)
        except ValueFault as fault:
            self.fault(path, str(fault))
            return None

    def _texts(self, texts: Any, path: str) -> tuple[str, ...]:
        if not 0 < len(texts) <= _VALUES_MAX:
            self.fault(path, f"must have 1 to {_VALUES_MAX} entries")
        for index, text in enumerate(texts):
            if not text or len(text) > _VALUE_LENGTH_MAX or "\x00" in text:
                self.fault(f"{path}[{index}]", f"must have 1 to {_VALUE_LENGTH_MAX} characters")
        return tuple(fold(text) for text in texts)

    def _time_test(
        self, message: pb.TimePredicate, path: str
    ) -> domain.WithinLast | domain.Before | domain.Between | domain.Never | None:
        match message.WhichOneof("test"):
            case "within_last_days":
                if not 1 <= message.within_last_days <= _DAYS_MAX:
                    self.fault(f"{path}.within_last_days", f"must be 1 to {_DAYS_MAX}")
                return domain.WithinLast(message.within_last_days)
            case "before":
                bound = self._bound(message.before, f"{path}.before")
                return None if bound is None else domain.Before(bound)
            case "between":
                start = self._bound(message.between.start, f"{path}.between.start")
                end = self._bound(message.between.end, f"{path}.between.end")
                return self._between(start, end, f"{path}.between")
            case "never":
                return domain.Never()
            case _:
                self.fault(path, "needs a test")
                return None

    def _between(
        self, start: datetime | date | None, end: datetime | date | None, path: str
    ) -> domain.Between | None:
        if start is None or end is None:
            return None
        # An instant and a day can only be put in order by a zone; then the range may just be empty.
        if isinstance(start, datetime) == isinstance(end, datetime) and end < start:
            self.fault(f"{path}.end", "must not be before the start")
        return domain.Between(start, end)

    def _bound(self, message: pb.TimeBound, path: str) -> datetime | date | None:
        match message.WhichOneof("bound"):
            case "instant":
                try:
                    return datetime_of(message.instant)
                except (ValueError, OverflowError):
                    self.fault(f"{path}.instant", "is no time between the years 1 and 9999")
                    return None
            case "date":
                day = self._parsed(message.date, f"{path}.date", parse_date)
                assert day is None or isinstance(day, date)
                return day
            case _:
                self.fault(path, "is required")
                return None


_PREDICATES: Final[dict[str, Callable[[_Reader, Any, str], Expression]]] = {
    "tags": _Reader.tags,
    "attribute": _Reader.attribute,
    "basic": _Reader.basic,
    "time": _Reader.time,
    "binding": _Reader.binding,
    "points": _Reader.points,
    "saved_audience": _Reader.saved_audience,
}
_TESTS: Final[dict[str, Callable[[_Reader, Any, str], domain.AttributeTest | None]]] = {
    "is_set": _Reader.is_set,
    "text": _Reader.text,
    "number": _Reader.number,
    "date": _Reader.day,
    "boolean": _Reader.boolean,
}
