"""Customers in audiences: counted, and listed in order of their ids."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.common.audience.expressions import (
    BooleanTest,
    CompareOperator,
    DateTest,
    Expression,
    HasAttribute,
    HasBasic,
    HasPoints,
    HasTags,
    HasTime,
    IsBound,
    NumberTest,
    TextOperator,
    TextTest,
    names_points,
    predicates,
)
from libs.common.db.pool import Connection
from services.segment.store.audience_sets import SetCompiler, Span
from services.segment.store.audience_sql import BOOK, Compiler, Scope

NEAR_ROWS: Final = 2_000
"""Customers that are looked at one by one before the whole audience is made: where it is no rare one, a page is among
them."""
FAR_ROWS: Final = 20_000
"""The same where making the whole audience means to look at every customer."""
HALVED_FROM: Final = 10_000
"""Customers of a team from whom on an audience may be counted by two connections, among half of the customers each."""
SAMPLED_PERCENT: Final = 0.1
"""Of the pages of the table of customers, in which the middle of a team's is looked for."""
_FIRST: Final = UUID(int=0)


class Search:
    """Over the customers of one team, to which the transaction is bound."""

    def __init__(self, connection: Connection, team_id: UUID, expression: Expression, scope: Scope) -> None:
        """`expression` is expanded."""
        self._connection = connection
        self._team_id = team_id
        self._expression = expression
        self._scope = scope
        self._reads_all = any(map(_is_of_all, predicates(expression)))
        self._in_order = all(map(_is_in_order, predicates(expression)))

    def on(self, connection: Connection) -> Search:
        """The same in another transaction."""
        return Search(connection, self._team_id, self._expression, self._scope)

    async def count(self, span: Span) -> int:
        """How many are in the audience within `span`."""
        await self._prepare()
        if self._reads_all:
            await self._connection.execute(BOOK["plan_two_processes"])
        compiler = SetCompiler(self._team_id, self._scope, span)
        sql = compiler.count(self._expression)
        # `fetchval` asks for one row at most, and what may stop early is done by one process.
        ((count,),) = await self._connection.fetch(sql, *compiler.arguments)
        return int(count)

    async def middle(self) -> UUID | None:
        """A customer before whom there are about as many of the team as after; None where halves are not worth it:
        where customers are few, or an index does not hand out those of one half alone."""
        if not self._in_order or await self.span_end(None, HALVED_FROM) is None:
            return None
        query = BOOK.bind("middle", team=self._team_id, percent=SAMPLED_PERCENT)
        middle: UUID | None = await self._connection.fetchval(*query)
        return middle

    async def first(self, after: UUID | None, row_max: int) -> list[UUID]:
        """The first in the audience after one."""
        for rows in (NEAR_ROWS, FAR_ROWS) if self._reads_all else (NEAR_ROWS,):
            near = await self._near(after or _FIRST, rows, row_max)
            if near is not None:
                return near
        return await self.within(Span(after), row_max)

    async def within(self, span: Span, row_max: int) -> list[UUID]:
        """The first in the audience within `span`."""
        await self._prepare()
        compiler = SetCompiler(self._team_id, self._scope, span)
        sql = compiler.list(self._expression, row_max)
        return [row[0] for row in await self._connection.fetch(sql, *compiler.arguments)]

    async def written_within(self, span: Span, row_max: int) -> str:
        """The same as one text: ids in their canonical form, with commas between."""
        await self._prepare()
        compiler = SetCompiler(self._team_id, self._scope, span)
        sql = compiler.written(self._expression, row_max)
        written: str | None = await self._connection.fetchval(sql, *compiler.arguments)
        return written or ""

    async def _prepare(self) -> None:
        await self._connection.execute(BOOK["plan_sets"])
        if names_points(self._expression):
            await self._connection.execute(*BOOK.bind("note_known_points", team=self._team_id))

    async def span_end(self, after: UUID | None, rows: int) -> UUID | None:
        """The last of the next so many customers of the team; None when fewer are left."""
        query = BOOK.bind("window_end", team=self._team_id, after=after or _FIRST, rows=rows)
        end: UUID | None = await self._connection.fetchval(*query)
        return end

    async def _near(self, after: UUID, rows: int, row_max: int) -> list[UUID] | None:
        """Those among the next so many customers; None when that is not a full page, and more customers follow."""
        await self._connection.execute(BOOK["plan_window"])
        until = await self.span_end(after, rows)
        compiler = Compiler(self._scope)
        sql = compiler.window(self._expression, team=self._team_id, after=after, until=until, limit=row_max)
        found = [row[0] for row in await self._connection.fetch(sql, *compiler.arguments)]
        return found if until is None or len(found) == row_max else None


def _is_of_all(predicate: Expression) -> bool:
    """Whether everybody is looked at for it: no index finds those who meet it."""
    match predicate:
        case HasBasic() | HasTime() | HasPoints():
            return True
        case HasAttribute(test=TextTest(operator=operator)):
            return operator is not TextOperator.EQUALS
        case _:
            return False


def _is_in_order(predicate: Expression) -> bool:
    """Whether an index hands out those who meet it in the order of their ids, from any on."""
    match predicate:
        case HasTags() | IsBound() | HasAttribute(test=BooleanTest()):
            return True
        case HasAttribute(test=TextTest(operator=operator)):
            return operator is TextOperator.EQUALS
        case HasAttribute(test=NumberTest(operator=operator) | DateTest(operator=operator)):
            return operator is CompareOperator.EQUALS
        case _:
            return False
