"""What points holds of a person, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.ids import CustomerKey
from services.points.domain.identity import chained
from services.points.domain.model import Entry, Source
from services.points.store import rows

ROWS_MAX: Final = 5_000
"""Lines of imports that one step looks at; entries read at once."""
NO_ID: Final = UUID(int=0)
Line = tuple[UUID, int]
"""Import and line."""


class PersonStore:
    """Raises the driver's errors."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self.pool = pool
        self._sql = queries

    async def delete_copy(self, key: CustomerKey) -> None:
        """Removes the copy of the customer's basic data."""
        query = self._sql.bind("delete_person", team_id=key[0], customer_id=key[1])
        async with transaction(self.pool, [key[0]]) as connection:
            await connection.execute(*query)

    async def erase_notes(self, key: CustomerKey) -> None:
        """Empties what people noted at entries of the customer; the chain of hashes is made anew from there on."""
        of = {"team_id": key[0], "customer_id": key[1]}
        async with transaction(self.pool, [key[0]]) as connection:
            await connection.execute(*self._sql.bind("hold_account", **of))
            first = await connection.fetchval(*self._sql.bind("first_note", **of))
            if first is None:
                return
            before = await self._entries(connection, key, first - 1, 1) if first > 1 else []
            last = before[0].hash if before else None
            while page := await self._entries(connection, key, first, ROWS_MAX):
                hashes: list[bytes] = []
                for each in page:
                    last = chained(last, replace(each, note="") if each.source is Source.MANUAL else each)
                    hashes.append(last)
                sequences = [each.sequence for each in page]
                query = self._sql.bind("erase_notes", **of, sequences=sequences, hashes=hashes)
                await connection.execute(*query)
                first = page[-1].sequence + 1

    async def blank_lines(self, key: CustomerKey, texts: Sequence[str], after: Line) -> Line | None:
        """Empties of the next lines of imports those that name the person; the last, None at the end."""
        query = self._sql.bind(
            "blank_import_rows",
            team_id=key[0],
            customer_id=key[1],
            texts=list(texts),
            import_id=after[0],
            row_number=after[1],
            row_max=ROWS_MAX,
        )
        async with transaction(self.pool, [key[0]]) as connection:
            row = await connection.fetchrow(*query)
        return None if row is None else (row["import_id"], row["row_number"])

    async def entries(self, key: CustomerKey, after: int) -> list[Entry]:
        """The next entries of the customer after a sequence."""
        async with transaction(self.pool, [key[0]]) as connection:
            return await self._entries(connection, key, after + 1, ROWS_MAX // 10)

    async def claims(self, key: CustomerKey) -> list[dict[str, Any]]:
        """Coupons that the customer claimed."""
        query = self._sql.bind("read_claims_of_person", team_id=key[0], customer_id=key[1])
        async with transaction(self.pool, [key[0]]) as connection:
            return [dict(row) for row in await connection.fetch(*query)]

    async def _entries(
        self, connection: Connection, key: CustomerKey, sequence: int, row_max: int
    ) -> list[Entry]:
        query = self._sql.bind(
            "entries_from", team_id=key[0], customer_id=key[1], sequence=sequence, row_max=row_max
        )
        return [rows.entry(row) for row in await connection.fetch(*query)]
