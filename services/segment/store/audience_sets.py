"""Audiences as sets of customers: each predicate finds whom it describes by an index, and the sets are joined.

Says the same as the condition of `audience_sql`, without looking at every customer. A set is of those who are in it, or
of everybody else: nobody is looked for by what they have not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.common.audience.expressions import (
    AllOf,
    AnyOf,
    AttributeTest,
    AttributeType,
    CompareOperator,
    Expression,
    HasAttribute,
    HasBasic,
    HasPoints,
    HasTags,
    HasTime,
    InAudience,
    IsBound,
    Negation,
    NumberTest,
    TagOperator,
    TextOperator,
    TextTest,
    predicates,
)
from services.segment.store.audience_sql import Compiler, Scope

_SHORT_BYTES_MAX: Final = 200
"""Of texts that stand in the index of texts: what is longer would not fit one. In the index's definition as well."""
_SHORT: Final = f"octet_length(v.value_folded) <= {_SHORT_BYTES_MAX}"
_LONG: Final = f"octet_length(v.value_folded) > {_SHORT_BYTES_MAX}"
_TEXT: Final = 'v.value_folded COLLATE "C"'
"""As the index has them."""
_JOINED_TAGS_MAX: Final = 8
"""Tags of which a customer must have each, and that are joined; more of them are counted per customer."""


class Span(NamedTuple):
    """Ids of customers, `(after, until]`; None: open."""

    after: UUID | None = None
    until: UUID | None = None


class Found(NamedTuple):
    """Who is in an audience: those that `sql` selects, or everybody `else_` of the team."""

    sql: str
    else_: bool = False

    @property
    def opposite(self) -> Found:
        """Everybody else."""
        return self._replace(else_=not self.else_)


class SetCompiler:
    """Of one statement."""

    def __init__(self, team_id: UUID, scope: Scope, span: Span) -> None:
        """Only customers within `span` are looked for."""
        self._team_id = team_id
        self._scope = scope
        self._span = span
        self._pieces = Compiler(scope)

    @property
    def arguments(self) -> Sequence[Any]:
        """Of the parameters of the statement."""
        return self._pieces.arguments

    def count(self, expression: Expression) -> str:
        """The statement that counts."""
        found = self._found(expression)
        if found.else_:
            return self._piece("count_others", team=self._team_id).replace("/* set */", found.sql)
        return self._piece("count_set").replace("/* set */", found.sql)

    def list(self, expression: Expression, row_max: int) -> str:
        """The statement that lists the first by their ids."""
        found = self._found(expression)
        if found.else_:
            listed = self._piece("list_others", team=self._team_id, limit=row_max)
        else:
            listed = self._piece("list_set", limit=row_max)
        return listed.replace("/* set */", found.sql)

    def written(self, expression: Expression, row_max: int) -> str:
        """The statement that lists them as one text, ids with commas between."""
        listed = self.list(expression, row_max)
        return self._piece("written").replace("/* list */", listed)

    def _piece(self, name: str, **arguments: Any) -> str:
        """A piece with its parameters, and the bounds of the ids."""
        sql = self._pieces.piece(name, **arguments)
        for row in "ctvip":
            mark = f"/* within {row} */"
            if mark in sql:
                sql = sql.replace(mark, self._within(row))
        return sql

    def _within(self, row: str) -> str:
        after, until = self._span
        bounds = []
        if after is not None:
            bounds.append(self._pieces.piece("after", after=after))
        if until is not None:
            bounds.append(self._pieces.piece("until", until=until))
        return " ".join(bounds).replace("/* row */", row)

    def _of_team(self, name: str, **arguments: Any) -> str:
        return self._piece(name, team=self._team_id, **arguments)

    def _found(self, expression: Expression) -> Found:
        if _is_of_row(expression):
            condition = self._pieces.condition(expression)
            return Found(self._of_team("set_customers").replace("/* condition */", condition))
        match expression:
            case AllOf(items):
                return self._all(items)
            case AnyOf(items):
                return self._all([Negation(item) for item in items]).opposite
            case Negation(item):
                return self._found(item).opposite
            case InAudience(belongs=belongs, inner=inner):
                assert inner is not None, "looked up before"
                return self._found(inner) if belongs else self._found(inner).opposite
            case _:
                return self._predicate(expression)

    def _all(self, items: Iterable[Expression]) -> Found:
        """Those in each. What is asked of the customer's own row is asked of it once."""
        every = list(chain.from_iterable(map(_conjuncts, items)))
        of_row = [item for item in every if _is_of_row(item)]
        found = [self._found(item) for item in every if not _is_of_row(item)]
        if of_row:
            found.append(self._of_row(of_row))
        inside = [each for each in found if not each.else_]
        outside = [each for each in found if each.else_]
        if not inside:
            union = " UNION ".join(f"({each.sql})" for each in outside) or self._of_team("set_nobody")
            return Found(union, else_=True)
        return Found(self._joined(inside, outside))

    def _of_row(self, items: Sequence[Expression]) -> Found:
        """Those of whom all of this is true by their own rows. Where all of it is negated the others are found:
        as a rule they are fewer (who shopped lately), and each one has to be compared with the other sets."""
        negated = [item.item for item in items if isinstance(item, Negation)]
        if len(negated) == len(items):
            return self._found(AnyOf(tuple(negated))).opposite
        return self._found(AllOf(tuple(items)))

    def _joined(self, inside: Sequence[Found], outside: Sequence[Found]) -> str:
        """Those in each of `inside` and in none of `outside`."""
        first, *others = (each.sql for each in inside)
        if not others and not outside:
            return first
        parts = [
            self._piece("join").replace("/* row */", f"s{place}").replace("/* set */", sql)
            for place, sql in enumerate(others, start=2)
        ]
        if outside:
            without = (self._piece("without").replace("/* set */", each.sql) for each in outside)
            parts.append("WHERE " + " AND ".join(without))
        return self._piece("joined").replace("/* joins */", " ".join(parts)).replace("/* set */", first)

    def _predicate(self, expression: Expression) -> Found:
        match expression:
            case HasTags(operator, tags):
                return self._tags(operator, sorted(tags))
            case HasAttribute():
                return Found(self._attribute(expression))
            case IsBound(bound, channel, account):
                sql = (
                    self._of_team("set_bound_to_account", channel=int(channel), account=UUID(account))
                    if account
                    else self._of_team("set_bound_to_channel", channel=int(channel))
                )
                return Found(sql, else_=not bound)
            case HasPoints():
                return self._points(expression)
            case _:
                raise TypeError(f"no predicate of a set: {expression!r}")

    def _tags(self, operator: TagOperator, tags: Sequence[str]) -> Found:
        if operator is TagOperator.ALL_OF:
            if len(tags) > _JOINED_TAGS_MAX:
                return Found(self._of_team("set_tags_all", tags=tags))
            return Found(self._joined([Found(self._of_team("set_tag", tag=tag)) for tag in tags], []))
        sql = (
            self._of_team("set_tag", tag=tags[0])
            if len(tags) == 1
            else self._of_team("set_tags_any", tags=tags)
        )
        return Found(sql, else_=operator is TagOperator.NONE_OF)

    def _points(self, expression: HasPoints) -> Found:
        """A customer without entries has 0, and no row: if that is meant, everybody is but those with other figures."""
        test = self._pieces.points(expression, "p")
        zero = _is_of_zero(expression)
        sql = self._of_team("set_points").replace("/* test */", f"NOT ({test})" if zero else test)
        return Found(sql, else_=zero)

    def _attribute(self, expression: HasAttribute) -> str:
        key, test = expression.key, expression.test
        kind = self._scope.types[key]
        if kind is AttributeType.NUMBER:
            tested = [self._pieces.value(test, "v.number_value") if isinstance(test, NumberTest) else "true"]
        elif kind is not AttributeType.TEXT or _is_short(test):
            tested = [f"{_SHORT} AND {self._pieces.value(test, _TEXT)}"]
        else:
            tested = [f"{part} AND {self._pieces.value(test, _TEXT)}" for part in (_SHORT, _LONG)]
        return " UNION ALL ".join(
            self._of_team("set_attribute", key=key, type=int(kind)).replace("/* test */", each)
            for each in tested
        )


def _conjuncts(expression: Expression) -> Iterable[Expression]:
    """What must be true each, for the audience to be."""
    match expression:
        case AllOf(items):
            return chain.from_iterable(map(_conjuncts, items))
        case Negation(AnyOf(items)):
            return chain.from_iterable(_conjuncts(Negation(item)) for item in items)
        case Negation(Negation(item)):
            return _conjuncts(item)
        case InAudience(belongs=belongs, inner=inner) if inner is not None:
            return _conjuncts(inner if belongs else Negation(inner))
        case _:
            return (expression,)


def _is_of_row(expression: Expression) -> bool:
    """Whether it asks about what stands in the customer's own row, and nothing else."""
    named = set(map(type, predicates(expression)))
    return bool(named) and named <= {HasBasic, HasTime}


def _is_short(test: AttributeTest) -> bool:
    """Whether a text that passes is short: it equals one that is."""
    return (
        isinstance(test, TextTest)
        and test.operator is TextOperator.EQUALS
        and all(len(value.encode()) <= _SHORT_BYTES_MAX for value in test.values)
    )


def _is_of_zero(test: HasPoints) -> bool:
    """Whether no points at all pass."""
    match test.operator:
        case CompareOperator.EQUALS | CompareOperator.GREATER_OR_EQUAL | CompareOperator.BETWEEN:
            return test.value == 0
        case CompareOperator.NOT_EQUALS | CompareOperator.LESS:
            return test.value > 0
        case CompareOperator.LESS_OR_EQUAL:
            return True
        case CompareOperator.GREATER:
            return False
