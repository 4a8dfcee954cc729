"""Audiences as SQL: the same answer as `libs.common.audience.evaluation`, over all customers of a team at once.

The text is put together from the pieces in `sql/conditions.sql`; whatever an audience holds becomes a parameter.
Points are not stored here, so audiences that name them cannot be turned into SQL (`can_compile`).
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
    TextTest,
    TimeField,
    names_points,
)
from libs.common.db.pool import Connection, replanned
from libs.common.db.queries import QueryBook, numbered

_BOOK: Final = QueryBook.load("services.segment", "sql/conditions.sql")
_JOINED_TAGS_MAX: Final = 4
"""Tags of which a customer must have each, and that are looked up one by one: as joins, so that the rarest leads. Each
costs time to plan; more of them are counted per customer."""
_FIRST: Final = UUID(int=0)
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


def can_compile(expression: Expression) -> bool:
    """Whether everything that the audience names is stored here."""
    return not names_points(expression)


class Scope:
    """What an audience depends on beside the customers."""

    def __init__(self, types: dict[str, AttributeType], now: datetime, zone: str) -> None:
        """`types` of the team's active attributes; all that the audience names must be there."""
        self.types = types
        self.now = now
        self.zone = zone


async def count_customers(connection: Connection, team_id: UUID, expression: Expression, scope: Scope) -> int:
    """How many customers are in the audience."""
    await replanned(connection)
    compiler = _Compiler(scope)
    sql = compiler.query("count", expression, team=team_id)
    count: int = await connection.fetchval(sql, *compiler.arguments)
    return count


async def list_customers(
    connection: Connection,
    team_id: UUID,
    expression: Expression,
    scope: Scope,
    *,
    after: UUID | None,
    row_max: int,
) -> list[UUID]:
    """Customers in the audience in order of their ids."""
    await replanned(connection)
    compiler = _Compiler(scope)
    sql = compiler.query("list", expression, team=team_id, after=after or _FIRST, limit=row_max)
    return [row[0] for row in await connection.fetch(sql, *compiler.arguments)]


class _Compiler:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.arguments: list[Any] = []

    def query(self, name: str, expression: Expression, **arguments: Any) -> str:
        return self._piece(name, **arguments).replace("/* condition */", self._condition(expression))

    def _piece(self, name: str, value: str = "", /, **arguments: Any) -> str:
        """A piece of SQL with its own parameters; `value` is the column that it looks at."""
        piece = numbered(_BOOK.written(name), after=len(self.arguments))
        self.arguments += [arguments[parameter] for parameter in piece.parameters]
        return piece.sql.replace("/* value */", value)

    def _condition(self, expression: Expression) -> str:
        match expression:
            case AllOf(items):
                return self._joined(items, " AND ")
            case AnyOf(items):
                return self._joined(items, " OR ")
            case Negation(item):
                return f"(NOT {self._condition(item)})"
            case InAudience(belongs=belongs, inner=inner):
                assert inner is not None, "looked up before"
                return self._condition(inner if belongs else Negation(inner))
            case HasPoints():
                raise AssertionError("points are not stored here; asked before")
            case _:
                return f"({self._predicate(expression)})"

    def _joined(self, items: tuple[Expression, ...], word: str) -> str:
        return "(" + word.join(map(self._condition, items)) + ")"

    def _predicate(self, expression: HasTags | HasAttribute | HasBasic | HasTime | IsBound) -> str:
        match expression:
            case HasTags(TagOperator.ALL_OF, tags) if len(tags) <= _JOINED_TAGS_MAX:
                return " AND ".join(self._piece("tags_any_of", tags=[tag]) for tag in sorted(tags))
            case HasTags(operator, tags):
                return self._piece(f"tags_{operator.name.lower()}", tags=sorted(tags))
            case HasAttribute():
                return self._attribute(expression)
            case HasBasic(field, test):
                column = _BASICS[field]
                return f"{column} IS NOT NULL" if isinstance(test, IsSet) else self._text(test, column)
            case HasTime():
                return self._time(expression)
            case IsBound(bound, channel, account):
                piece = (
                    self._piece("bound_to_account", channel=int(channel), account=UUID(account))
                    if account
                    else self._piece("bound_to_channel", channel=int(channel))
                )
                return piece if bound else f"NOT {piece}"

    def _attribute(self, expression: HasAttribute) -> str:
        key = expression.key
        outer = self._piece("attribute", key=key, type=int(self._scope.types[key]))
        return outer.replace("/* test */", self._value(expression.test))

    def _value(self, test: AttributeTest) -> str:
        match test:
            case IsSet():
                return "true"
            case TextTest():
                return self._text(test, "v.value_folded")
            case NumberTest(operator, value, upper):
                bounds = {"value": value} if upper is None else {"value": value, "upper": upper}
                return self._piece(f"number_{operator.name.lower()}", **bounds)
            case DateTest(operator, day, last):
                days = {"value": day.isoformat()}
                if last is not None:
                    days["upper"] = last.isoformat()
                return self._piece(f"date_{operator.name.lower()}", **days)
            case BooleanTest(wanted):
                return self._piece("boolean", value="true" if wanted else "false")

    def _text(self, test: TextTest, column: str) -> str:
        return self._piece(f"text_{test.operator.name.lower()}", column, values=list(test.values))

    def _time(self, expression: HasTime) -> str:
        column = _TIMES[expression.field]
        if isinstance(expression.test, Never):
            return f"{column} IS NULL"
        start, end = time_span(expression.test, self._scope.now, self._scope.zone)
        if start is None:
            return self._piece("time_before", column, end=end)
        if end is None:
            return self._piece("time_from", column, start=start)
        return self._piece("time_within", column, start=start, end=end)
