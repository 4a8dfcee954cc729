"""Imports in PostgreSQL: what they were opened with, their rows, and what became of these."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.db.pool import Connection, Pool, transaction
from libs.common.db.queries import QueryBook
from libs.common.errors import NotFound
from services.points.domain.errors import import_file_repeated, import_state
from services.points.domain.imports import (
    Hints,
    ImportState,
    ImportTerms,
    Line,
    PostedRow,
    Row,
    RowOutcome,
    RowStatus,
)
from services.points.domain.views import Import, ImportCounts, ListPosition, ReportedRow

_WRITE_MAX: Final = 5_000
"""Rows of one statement."""


class ImportStore:
    """Keeps imports. Methods that take a connection work in the transaction of their caller."""

    def __init__(self, pool: Pool, queries: QueryBook) -> None:
        """`queries`: sql/queries/ of this service."""
        self._pool = pool
        self._sql = queries

    async def insert(self, connection: Connection, opened: Import) -> None:
        """Writes an import that is opened. Raises AlreadyExists `IMPORT_FILE_REPEATED`."""
        fields = {**_keys(opened), **msgspec.structs.asdict(opened.terms), "created_at": opened.created_at}
        if not await connection.fetchval(*self._sql.bind("insert_import", **fields)):
            file = {"team_id": opened.team_id, "file_sha256": opened.terms.file_sha256}
            other = await connection.fetchval(*self._sql.bind("read_import_of_file", **file))
            raise import_file_repeated(other)

    async def read(self, team_id: UUID, import_id: UUID) -> Import:
        """Reads an import. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            return await self.read_in(connection, team_id, import_id)

    async def read_in(self, connection: Connection, team_id: UUID, import_id: UUID) -> Import:
        """The same, as the caller's transaction sees it."""
        return await self._one(connection, "read_import", team_id, import_id)

    async def lock(
        self, connection: Connection, team_id: UUID, import_id: UUID, *states: ImportState
    ) -> Import:
        """Reads and locks an import in one of the states. Raises NotFound, FailedPrecondition `IMPORT_STATE`."""
        found = await self._one(connection, "lock_import", team_id, import_id)
        if found.state not in states:
            raise import_state(found.state)
        return found

    async def set_state(
        self, connection: Connection, found: Import, state: ImportState, ended_at: datetime | None
    ) -> Import:
        """Gives a locked import another state; returns it as it is then."""
        query = self._sql.bind("move_import", **_keys(found), state=state, ended_at=ended_at)
        await connection.execute(*query)
        return msgspec.structs.replace(found, state=state, ended_at=ended_at)

    async def end(self, connection: Connection, found: Import, state: ImportState, at: datetime) -> None:
        """Ends an import that is still in the state in which it was read; another worker may have been first."""
        query = self._sql.bind(
            "end_import", **_keys(found), state_before=found.state, state_after=state, ended_at=at
        )
        await connection.execute(*query)

    async def list_imports(self, team_id: UUID, after: ListPosition | None, limit: int) -> list[Import]:
        """A page of imports, newest first."""
        created_at, import_id = after or (None, None)
        query = self._sql.bind(
            "list_imports",
            team_id=team_id,
            after_created_at=created_at,
            after_import_id=import_id,
            row_max=limit,
        )
        async with transaction(self._pool, [team_id]) as connection:
            records = await connection.fetch(*query)
        return [_import(row) for row in records]

    async def unfinished(self) -> list[tuple[UUID, UUID]]:
        """Team and import of all that are RUNNING or UNDOING."""
        records = await self._pool.fetch(self._sql["unfinished_imports"])
        return [(row["team_id"], row["import_id"]) for row in records]

    async def counts(self, team_id: UUID, imports: Sequence[UUID]) -> dict[UUID, ImportCounts]:
        """Rows of imports by outcome."""
        async with transaction(self._pool, [team_id]) as connection:
            return await self.counts_in(connection, team_id, imports)

    async def counts_in(
        self, connection: Connection, team_id: UUID, imports: Sequence[UUID]
    ) -> dict[UUID, ImportCounts]:
        """The same, as the caller's transaction sees them."""
        query = self._sql.bind("count_import_rows", team_id=team_id, imports=list(imports))
        records = await connection.fetch(*query)
        found = {row["import_id"]: ImportCounts(*list(row.values())[1:]) for row in records}
        return dict.fromkeys(imports, ImportCounts()) | found

    async def add_rows(self, connection: Connection, found: Import, rows: Sequence[Row]) -> None:
        """Adds rows to a locked import; lines that are there already stay as they are."""
        for start in range(0, len(rows), _WRITE_MAX):
            part = [_input_row(row) for row in rows[start : start + _WRITE_MAX]]
            await connection.execute(*self._sql.bind("insert_import_rows", **_keys(found), rows=part))

    async def delete_rows(self, connection: Connection, found: Import) -> None:
        """Deletes all rows of a locked import."""
        await connection.execute(*self._sql.bind("delete_import_rows", **_keys(found)))

    async def lines(self, connection: Connection, found: Import, numbers: Sequence[int]) -> list[Line]:
        """Lines of these numbers, as they were added."""
        query = self._sql.bind("read_import_rows", **_keys(found), row_numbers=list(numbers))
        return [_line(row) for row in await connection.fetch(*query)]

    async def rows(
        self, found: Import, statuses: Sequence[RowStatus], after: int, limit: int
    ) -> list[ReportedRow]:
        """Rows with their outcomes, by line, after a line; no `statuses` are all of them."""
        async with transaction(self._pool, [found.team_id]) as connection:
            return await self.rows_in(connection, found, statuses, after, limit)

    async def rows_in(
        self,
        connection: Connection,
        found: Import,
        statuses: Sequence[RowStatus],
        after: int,
        limit: int,
    ) -> list[ReportedRow]:
        """The same, as the caller's transaction sees them."""
        query = self._sql.bind(
            "list_import_rows",
            **_keys(found),
            statuses=list(statuses) or None,
            after_row_number=after,
            row_max=limit,
        )
        return [_reported(row) for row in await connection.fetch(*query)]

    async def rows_to_post(
        self, connection: Connection, found: Import, status: RowStatus, limit: int
    ) -> list[PostedRow]:
        """The next rows of a status, by line: those that wait from the first on, applied ones from the last."""
        name = "last_import_rows" if status is RowStatus.APPLIED else "next_import_rows"
        query = self._sql.bind(name, **_keys(found), status=status, row_max=limit)
        return [PostedRow(*record.values()) for record in await connection.fetch(*query)]

    async def settle(
        self, connection: Connection, found: Import, outcomes: Sequence[tuple[int, RowOutcome]]
    ) -> None:
        """Writes what became of rows that were posted, by line. Only of those that wait."""
        rows = [(number, *msgspec.structs.astuple(outcome)) for number, outcome in outcomes]
        await connection.execute(*self._sql.bind("settle_import_rows", **_keys(found), rows=rows))

    async def take_back(
        self, connection: Connection, found: Import, outcomes: Sequence[tuple[int, RowOutcome]]
    ) -> None:
        """Writes what became of rows that were taken back, by line. Only of those that are applied."""
        rows = [(number, outcome.status, outcome.sequence) for number, outcome in outcomes]
        await connection.execute(*self._sql.bind("take_back_import_rows", **_keys(found), rows=rows))

    async def _one(self, connection: Connection, query: str, team_id: UUID, import_id: UUID) -> Import:
        row = await connection.fetchrow(*self._sql.bind(query, team_id=team_id, import_id=import_id))
        if row is None:
            raise NotFound.of("import", import_id)
        return _import(row)


def _keys(found: Import) -> dict[str, Any]:
    return {"team_id": found.team_id, "import_id": found.import_id}


def _import(row: Any) -> Import:
    terms = ImportTerms(*(row[name] for name in ImportTerms.__struct_fields__))
    state = ImportState(row["state"])
    return Import(row["team_id"], row["import_id"], terms, state, row["created_at"], row["ended_at"])


def _line(row: Any) -> Line:
    hints = Hints(row["member_id"], row["email"], row["phone"])
    return Line(row["row_number"], hints, row["points_text"], row["customer_id"], row["fault"])


def _reported(row: Any) -> ReportedRow:
    outcome = RowOutcome(*(row[name] for name in RowOutcome.__struct_fields__))
    outcome = msgspec.structs.replace(outcome, status=RowStatus(outcome.status))
    found = Row(_line(row), row["customer_id"], row["points"], outcome.status, row["fault"])
    return ReportedRow(found, outcome, row["repeated_customer"])


def _input_row(row: Row) -> tuple[object, ...]:
    """A value of `import_input_row`."""
    line = row.line
    return (
        line.row_number,
        line.hints.member_id,
        line.hints.email,
        line.hints.phone,
        line.points_text,
        row.customer_id,
        row.points,
        row.status,
        row.fault,
    )
