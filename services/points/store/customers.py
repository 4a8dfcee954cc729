"""The copy of customers' basic data in PostgreSQL: kept by the projection, read by the history report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.feeds.cursors import steps
from libs.common.feeds.follower import CursorMovedError
from libs.common.rpc.followers import Taken
from libs.common.text import fold
from services.points.domain.customers import CustomerBasics
from services.points.domain.views import CustomerName, RowSetAside

_SEPARATOR: Final = "\x1f"


class CustomerStore:
    """Keeps the copy. Raises the driver's errors."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries

    async def cursors(self) -> dict[int, int]:
        """Partition → position up to which segment's history is taken."""
        records = await self._pool.fetch(self._sql["read_customer_cursors"])
        return {row["partition"]: row["position"] for row in records}

    async def taken(self, _team_id: UUID) -> Taken:
        """See `libs.common.rpc.followers.Reader`."""
        return Taken(await self.cursors())

    async def write(
        self, before: Mapping[int, int], after: Mapping[int, int], customers: Sequence[CustomerBasics]
    ) -> None:
        """Writes customers and moves the cursors at once. Raises CursorMovedError if they are not at `before`."""
        async with transaction(self._pool, {each.team_id for each in customers}) as connection:
            await self._move(connection, before, after)
            await self._put(connection, customers)

    async def _put(self, connection: Connection, customers: Sequence[CustomerBasics]) -> None:
        kept = [each for each in customers if each.found]
        gone = [each for each in customers if not each.found]
        if kept:
            await connection.execute(*self._sql.bind("write_customers", rows=_rows(kept)))
        if gone:
            teams, ids = [each.team_id for each in gone], [each.customer_id for each in gone]
            await connection.execute(*self._sql.bind("delete_customers", teams=teams, customers=ids))

    async def set_aside(
        self, before: Mapping[int, int], after: Mapping[int, int], at: tuple[int, int], reason: str
    ) -> None:
        """Moves the cursors past the row `at` (partition, position), which cannot be applied, and keeps the reason.
        Raises as `write`."""
        place = {"partition": at[0], "position": at[1]}
        async with transaction(self._pool, ()) as connection:
            await self._move(connection, before, after)
            await connection.execute(*self._sql.bind("set_row_aside", **place, reason=reason))

    async def list_set_aside(self, after: tuple[int, int], row_max: int) -> list[RowSetAside]:
        """Rows that could not be applied, in order of partition and position."""
        place = {"after_partition": after[0], "after_position": after[1]}
        rows = await self._pool.fetch(*self._sql.bind("list_rows_aside", **place, row_max=row_max))
        return [RowSetAside(*row) for row in rows]

    async def count_set_aside(self) -> int:
        """Rows that could not be applied."""
        count: int = await self._pool.fetchval(self._sql["count_rows_aside"])
        return count

    async def write_again(self, row: RowSetAside, taken: int, customer: CustomerBasics) -> bool:
        """Writes the customer of a row that was set aside, as read while the row's partition was `taken` up to there.

        False if the row is not set aside any more. Raises CursorMovedError if more is taken now: what was read may be
        older than what was written since."""
        place = {"partition": row.partition, "position": row.position}
        async with transaction(self._pool, [customer.team_id]) as connection:
            held = await connection.fetchval(*self._sql.bind("hold_customer_cursor", partition=row.partition))
            if held != taken:
                raise CursorMovedError
            if not await connection.fetchval(*self._sql.bind("drop_row_aside", **place)):
                return False
            await self._put(connection, [customer])
            return True

    async def _move(
        self, connection: Connection, before: Mapping[int, int], after: Mapping[int, int]
    ) -> None:
        rows = steps(before, after)
        done = await connection.fetch(*self._sql.bind("move_customer_cursors", rows=rows))
        if len(done) != len(rows):
            raise CursorMovedError

    async def names(self, team_id: UUID, customers: Iterable[UUID]) -> dict[UUID, CustomerName]:
        """What customers are called; those without a copy are missing."""
        async with transaction(self._pool, [team_id]) as connection:
            records = await connection.fetch(
                *self._sql.bind("read_names", team_id=team_id, customers=sorted(set(customers)))
            )
        return {row["customer_id"]: CustomerName(row["name"], row["member_id"]) for row in records}


def pattern_of(keyword: str) -> str:
    """The pattern of LIKE that finds a folded keyword anywhere."""
    for special in ("\\", "%", "_"):
        keyword = keyword.replace(special, "\\" + special)
    return f"%{keyword}%"


def _rows(customers: Sequence[CustomerBasics]) -> list[tuple[object, ...]]:
    """Values of `customer_row`."""
    # In one order, so that two writers do not wait for each other in a circle.
    rows: list[tuple[object, ...]] = []
    for each in sorted(customers, key=lambda each: (each.team_id, each.customer_id)):
        texts = (each.name, each.member_id, each.email, each.phone)
        rows.append((each.team_id, each.customer_id, *texts, _SEPARATOR.join(map(fold, texts))))
    return rows
