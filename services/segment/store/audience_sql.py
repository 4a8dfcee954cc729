"""Audiences as SQL: the same answer as `libs.common.audience.evaluation`, as a condition on each of some customers.

The text is put together from the pieces in `sql/audiences`; whatever an audience holds becomes a parameter. Over all
customers of a team audiences are sets (`audience_sets`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from libs.common.audience.evaluation import time_span
from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    AttributeTest,
    AttributeType,
    BasicField,
    BooleanTest,
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
    TagOperator,
    TextOperator,
    TextTest,
    TimeField,
)
from libs.common.db.queries import QueryBook, numbered

BOOK: Final = QueryBook.load("services.segment", "sql/audiences")
_JOINED_TAGS_MAX: Final = 4
"""Tags of which a customer must have each, and that are looked up one by one; more of them are counted per customer."""
_BASICS: Final = {
    BasicField.MEMBER_ID: "c.member_id_folded",
    BasicField.PHONE: "c.phone",
    BasicField.EMAIL: "c.email_folded",
}
_TIMES: Final = {
    TimeField.CUSTOMER_INTERACTED: "c.customer_interact_time",
    TimeField.TEAM_INTERACTED: "c.team_interact_time",
    TimeField.MARKETED: "c.marketed_time",
    TimeField.CHECKOUT: "c.checkout_time",
}
_FIGURES: Final = {Figure.BALANCE: "balance", Figure.CUMULATIVE: "cumulative"}
_COLUMNS: Final = {
    AttributeType.TEXT: "v.value_folded",
    AttributeType.NUMBER: "v.number_value",
    # Canonical days are in the order of their texts.
    AttributeType.DATE: 'v.value COLLATE "C"',
    AttributeType.BOOLEAN: "v.value",
}


class Scope:
    """What an audience depends on beside the customers."""

    def __init__(self, types: dict[str, AttributeType], now: datetime, zone: str) -> None:
        """`types` of the team's active attributes; all that the audience names must be there."""
        self.types = types
        self.now = now
        self.zone = zone


class Compiler:
    """Of one statement: what it is made of, with its arguments."""

    def __init__(self, scope: Scope) -> None:
        """An empty one."""
        self._scope = scope
        self.arguments: list[Any] = []

    def window(self, expression: Expression, **arguments: Any) -> str:
        """The statement that lists those of a window of customers (`team`, `after`, `until`, `limit`)."""
        return self.piece("list", **arguments).replace("/* condition */", self.condition(expression))

    def piece(self, name: str, value: str = "", /, *, kind: str = "", **arguments: Any) -> str:
        """A piece of SQL with its own parameters; `value` is the column that it looks at, `kind` the type of what
        that is compared with."""
        piece = numbered(BOOK.written(name), after=len(self.arguments))
        self.arguments += [arguments[parameter] for parameter in piece.parameters]
        return piece.sql.replace("/* value */", value).replace("/* type */", kind)

    def condition(self, expression: Expression) -> str:
        """True or false of the customer `c`, never null."""
        match expression:
            case AllOf(items):
                return self._joined(items, " AND ")
            case AnyOf(items):
                return self._joined(items, " OR ")
            case Negation(item):
                return f"(NOT {self.condition(item)})"
            case InAudience(belongs=belongs, inner=inner):
                assert inner is not None, "looked up before"
                return self.condition(inner if belongs else Negation(inner))
            case _:
                return f"({self._predicate(expression)})"

    def _joined(self, items: tuple[Expression, ...], word: str) -> str:
        return "(" + word.join(map(self.condition, items)) + ")"

    def _predicate(
        self, expression: HasTags | HasAttribute | HasBasic | HasTime | IsBound | HasPoints
    ) -> str:
        match expression:
            case HasTags(TagOperator.ALL_OF, tags) if len(tags) <= _JOINED_TAGS_MAX:
                return " AND ".join(self.piece("tags_any_of", tags=[tag]) for tag in sorted(tags))
            case HasTags(operator, tags):
                return self.piece(f"tags_{operator.name.lower()}", tags=sorted(tags))
            case HasAttribute():
                return self._attribute(expression)
            case HasBasic(field, test):
                column = _BASICS[field]
                return f"{column} IS NOT NULL" if isinstance(test, IsSet) else self.value(test, column)
            case HasTime():
                return self._time(expression)
            case HasPoints():
                # The test stands there twice, and its parameters once.
                return self.piece("points").replace("/* test */", self.points(expression, "p"))
            case IsBound(bound, channel, account):
                piece = (
                    self.piece("bound_to_account", channel=int(channel), account=UUID(account))
                    if account
                    else self.piece("bound_to_channel", channel=int(channel))
                )
                return piece if bound else f"NOT {piece}"

    def _attribute(self, expression: HasAttribute) -> str:
        kind = self._scope.types[expression.key]
        outer = self.piece("attribute", key=expression.key, type=int(kind))
        return outer.replace("/* test */", self.value(expression.test, _COLUMNS[kind]))

    def points(self, test: HasPoints, row: str) -> str:
        """A test of the points in the row of that name."""
        bounds = {"value": test.value} if test.upper is None else {"value": test.value, "upper": test.upper}
        column = f"{row}.{_FIGURES[test.figure]}"
        return self.piece(f"compare_{test.operator.name.lower()}", column, kind="bigint", **bounds)

    def value(self, test: AttributeTest, column: str) -> str:
        """A test of the value in a column."""
        match test:
            case IsSet():
                return "true"
            case TextTest():
                return self._text(test, column)
            case NumberTest(operator, value, upper):
                bounds: dict[str, Any] = (
                    {"value": value} if upper is None else {"value": value, "upper": upper}
                )
                return self.piece(f"compare_{operator.name.lower()}", column, kind="numeric", **bounds)
            case DateTest(operator, day, last):
                days = {"value": day.isoformat()}
                if last is not None:
                    days["upper"] = last.isoformat()
                return self.piece(f"compare_{operator.name.lower()}", column, kind="text", **days)
            case BooleanTest(wanted):
                return self.piece("boolean", column, value="true" if wanted else "false")

    def _text(self, test: TextTest, column: str) -> str:
        match test.operator:
            case TextOperator.EQUALS if len(test.values) == 1:
                return self.piece("text_equals_one", column, text=test.values[0])
            case TextOperator.EQUALS | TextOperator.NOT_EQUALS:
                return self.piece(f"text_{test.operator.name.lower()}", column, values=list(test.values))
            case TextOperator.CONTAINS | TextOperator.STARTS_WITH:
                found = self._any_part(test, f"text_{test.operator.name.lower()}", column)
                return f"COALESCE({found}, false)"
            case TextOperator.NOT_CONTAINS:
                return f"COALESCE(NOT ({self._any_part(test, 'text_contains', column)}), false)"

    def _any_part(self, test: TextTest, piece: str, column: str) -> str:
        return " OR ".join(self.piece(piece, column, part=part) for part in test.values)

    def _time(self, expression: HasTime) -> str:
        column = _TIMES[expression.field]
        if isinstance(expression.test, Never):
            return f"{column} IS NULL"
        start, end = time_span(expression.test, self._scope.now, self._scope.zone)
        if start is None:
            return self.piece("time_before", column, end=end)
        if end is None:
            return self.piece("time_from", column, start=start)
        return self.piece("time_within", column, start=start, end=end)
