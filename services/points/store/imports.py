"""Imports in PostgreSQL: their rows, and the chunks in which rows are posted and taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common import crash
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, snapshot, transaction
from libs.common.db.queries import QueryBook
from libs.common.errors import NotFound
from libs.common.ids import epoch_ms, new_id
from services.points.domain.book import Book, Ref
from services.points.domain.errors import import_file_repeated, import_state
from services.points.domain.imports import (
    Hints,
    ImportState,
    Line,
    Outcome,
    PostedRow,
    Row,
    RowStatus,
    Terms,
    outcome_of,
    posting_of,
    undoing_of,
    undone_of,
)
from services.points.domain.model import Account, Answer, Posting
from services.points.store.ledger import LedgerStore

CHUNK: Final = 500
"""Rows of one transaction: as many as a batch of postings may have."""

Place = tuple[datetime, UUID]


class Import(msgspec.Struct, frozen=True):
    """An import as it stands."""

    team_id: UUID
    import_id: UUID
    terms: Terms
    state: ImportState
    created_at: datetime
    ended_at: datetime | None


class Counts(msgspec.Struct, frozen=True):
    """Rows by outcome; `delta_balance`: net change of balances."""

    total: int = 0
    waiting: int = 0
    applied: int = 0
    unchanged: int = 0
    invalid: int = 0
    insufficient: int = 0
    undone: int = 0
    not_undone: int = 0
    delta_balance: int = 0


class SeenRow(msgspec.Struct, frozen=True):
    """A row as the report shows it. `repeated`: its customer stands in another row, too."""

    row: Row
    outcome: Outcome
    repeated: bool


class ImportStore:
    """Keeps imports. Methods that take a connection work in the transaction of their caller."""

    def __init__(self, pool: Pool, queries: QueryBook, clock: Clock, ledger: LedgerStore) -> None:
        """`ledger` posts the rows."""
        self._pool = pool
        self._sql = queries
        self._clock = clock
        self._ledger = ledger

    async def create(self, connection: Connection, team_id: UUID, terms: Terms) -> Import:
        """Opens an import. Raises AlreadyExists `IMPORT_FILE_REPEATED`."""
        now = self._clock.now()
        import_id = new_id(epoch_ms(now))
        values = (team_id, import_id, *msgspec.structs.astuple(terms), now)
        if not await connection.fetchval(self._sql["insert_import"], *values):
            other = await connection.fetchval(self._sql["read_import_of_file"], team_id, terms.file_sha256)
            raise import_file_repeated(other)
        return Import(team_id, import_id, terms, ImportState.OPEN, now, None)

    async def read(self, team_id: UUID, import_id: UUID) -> Import:
        """Reads an import. Raises NotFound."""
        async with transaction(self._pool, [team_id]) as connection:
            return await self._one(connection, "read_import", team_id, import_id)

    async def lock(
        self, connection: Connection, team_id: UUID, import_id: UUID, *states: ImportState
    ) -> Import:
        """Reads and locks an import in one of the states. Raises NotFound, FailedPrecondition `IMPORT_STATE`."""
        found = await self._one(connection, "lock_import", team_id, import_id)
        if found.state not in states:
            raise import_state(found.state)
        return found

    async def move(self, connection: Connection, found: Import, state: ImportState) -> Import:
        """Gives a locked import another state."""
        ended_at = self._clock.now() if state == ImportState.CANCELLED else None
        keys = (found.team_id, found.import_id)
        await connection.execute(self._sql["move_import"], *keys, state, ended_at)
        return msgspec.structs.replace(found, state=state, ended_at=ended_at)

    async def list_imports(self, team_id: UUID, after: Place | None, limit: int) -> list[Import]:
        """A page of imports, newest first."""
        place = after or (None, None)
        async with transaction(self._pool, [team_id]) as connection:
            records = await connection.fetch(self._sql["list_imports"], team_id, *place, limit)
        return [_import(row) for row in records]

    async def counts(
        self, team_id: UUID, imports: Sequence[UUID], connection: Connection | None = None
    ) -> dict[UUID, Counts]:
        """Rows of imports by outcome; those without rows are missing."""
        if connection is None:
            async with transaction(self._pool, [team_id]) as own:
                return await self.counts(team_id, imports, own)
        records = await connection.fetch(self._sql["count_import_rows"], team_id, list(imports))
        return {row["import_id"]: Counts(*list(row.values())[1:]) for row in records}

    async def add(self, connection: Connection, found: Import, rows: Sequence[Row]) -> list[Line]:
        """Adds rows to a locked import; returns the lines that are there already, as they were added."""
        for start in range(0, len(rows), 5_000):
            columns = _row_columns(rows[start : start + 5_000])
            keys = (found.team_id, found.import_id)
            await connection.execute(self._sql["insert_import_rows"], *keys, *columns)
        numbers = [row.line.row_number for row in rows[:CHUNK]]
        records = await connection.fetch(
            self._sql["read_import_rows"], found.team_id, found.import_id, numbers
        )
        return [_line(row) for row in records]

    async def replace(self, connection: Connection, found: Import, rows: Sequence[Row]) -> None:
        """Gives a locked import these rows, and no others."""
        await connection.execute(self._sql["delete_import_rows"], found.team_id, found.import_id)
        await self.add(connection, found, rows)

    async def rows(
        self, found: Import, statuses: Sequence[RowStatus], after: int, limit: int
    ) -> list[SeenRow]:
        """Rows with their outcomes, by line, after a line."""
        arguments = (found.team_id, found.import_id, list(statuses) or None, after, limit)
        async with transaction(self._pool, [found.team_id]) as connection:
            records = await connection.fetch(self._sql["list_import_rows"], *arguments)
        return [_seen(row) for row in records]

    async def foretell(self, found: Import) -> AsyncIterator[SeenRow]:
        """Every row with what would become of it on the balances of now: the same fold as posting, written nowhere."""
        accounts: dict[Ref, Account] = {}
        after = 0
        async with snapshot(self._pool, [found.team_id]) as connection:
            while page := await connection.fetch(
                self._sql["list_import_rows"], found.team_id, found.import_id, None, after, CHUNK
            ):
                seen = [_seen(row) for row in page]
                after = seen[-1].row.line.row_number
                waiting = [each.row for each in seen if each.row.status == RowStatus.WAITING]
                await self._know(connection, found.team_id, waiting, accounts)
                postings = [posting_of(*_keys(found), _posted(row)) for row in waiting]
                book = Book(accounts, {}, {}, {}, self._clock.now())
                answers = iter(book.fold(postings))
                accounts.update(book.changed_accounts)
                for each in seen:
                    if each.row.status == RowStatus.WAITING:
                        yield msgspec.structs.replace(each, outcome=outcome_of(next(answers)))
                    else:
                        yield each

    async def _know(
        self, connection: Connection, team_id: UUID, rows: Sequence[Row], accounts: dict[Ref, Account]
    ) -> None:
        wanted = sorted({row.customer_id for row in rows if row.customer_id is not None})
        unknown = [customer for customer in wanted if (team_id, customer) not in accounts]
        records = await connection.fetch(self._sql["read_balances"], [team_id] * len(unknown), unknown)
        accounts.update({(team_id, customer): Account() for customer in unknown})
        for row in records:
            accounts[team_id, row["customer_id"]] = Account(
                row["balance"], row["cumulative"], row["sequence"]
            )

    async def unfinished(self) -> list[Ref]:
        """Team and import of all that are RUNNING or UNDOING."""
        records = await self._pool.fetch(self._sql["unfinished_imports"])
        return [(row["team_id"], row["import_id"]) for row in records]

    async def step(self, team_id: UUID, import_id: UUID) -> int:
        """Handles the next chunk of a RUNNING or UNDOING import, or ends it; returns the rows handled, 0 at its end.

        Raises what `LedgerStore.post` raises; the same step again is always safe.
        """
        found = await self.read(team_id, import_id)
        if found.state == ImportState.RUNNING:
            return await self._chunk(found, RowStatus.WAITING, ImportState.DONE, posting_of, self._settle)
        if found.state == ImportState.UNDOING:
            return await self._chunk(
                found, RowStatus.APPLIED, ImportState.UNDONE, undoing_of, self._take_back
            )
        return 0

    async def _chunk(
        self,
        found: Import,
        status: RowStatus,
        ended: ImportState,
        make: Callable[[UUID, UUID, Terms, PostedRow], Posting],
        write: Callable[..., Any],
    ) -> int:
        keys = (found.team_id, found.import_id)
        async with transaction(self._pool, [found.team_id]) as connection:
            records = await connection.fetch(self._sql["next_import_rows"], *keys, status, CHUNK)
            if not records:
                await connection.execute(
                    self._sql["end_import"], *keys, found.state, ended, self._clock.now()
                )
                return 0
        rows = [PostedRow(*record.values()) for record in records]

        async def then(connection: Connection, answers: Sequence[Answer]) -> None:
            await write(connection, keys, [row.row_number for row in rows], answers)
            crash.reach("points.before_chunk_commit")

        await self._ledger.post([make(*_keys(found), row) for row in rows], then)
        crash.reach("points.after_chunk")
        return len(rows)

    async def _settle(
        self, connection: Connection, keys: Ref, numbers: Sequence[int], answers: Sequence[Answer]
    ) -> None:
        outcomes = [outcome_of(answer) for answer in answers]
        columns = [[getattr(each, name) for each in outcomes] for name in Outcome.__struct_fields__]
        await connection.execute(self._sql["settle_import_rows"], *keys, numbers, *columns)

    async def _take_back(
        self, connection: Connection, keys: Ref, numbers: Sequence[int], answers: Sequence[Answer]
    ) -> None:
        outcomes = [undone_of(answer) for answer in answers]
        columns = ([each.status for each in outcomes], [each.sequence for each in outcomes])
        await connection.execute(self._sql["take_back_import_rows"], *keys, numbers, *columns)

    async def _one(self, connection: Connection, query: str, team_id: UUID, import_id: UUID) -> Import:
        row = await connection.fetchrow(self._sql[query], team_id, import_id)
        if row is None:
            raise NotFound.of("import", import_id)
        return _import(row)


def _keys(found: Import) -> tuple[UUID, UUID, Terms]:
    return found.team_id, found.import_id, found.terms


def _posted(row: Row) -> PostedRow:
    assert row.customer_id is not None, "a row that waits has its customer"
    return PostedRow(row.line.row_number, row.customer_id, row.points, 0, 0)


def _import(row: Any) -> Import:
    terms = Terms(*(row[name] for name in Terms.__struct_fields__))
    state = ImportState(row["state"])
    return Import(row["team_id"], row["import_id"], terms, state, row["created_at"], row["ended_at"])


def _line(row: Any) -> Line:
    hints = Hints(row["member_id"], row["email"], row["phone"])
    return Line(row["row_number"], hints, row["points_text"], row["customer_id"], row["fault"])


def _seen(row: Any) -> SeenRow:
    outcome = Outcome(*(row[name] for name in Outcome.__struct_fields__))
    found = Row(_line(row), row["customer_id"], row["points"], outcome.status, row["fault"])
    return SeenRow(
        found,
        msgspec.structs.replace(outcome, status=RowStatus(outcome.status)),
        row["repeated_customer"],
    )


def _row_columns(rows: Sequence[Row]) -> list[list[Any]]:
    values = [
        (
            row.line.row_number,
            row.line.hints.member_id,
            row.line.hints.email,
            row.line.hints.phone,
            row.line.points_text,
            row.customer_id,
            row.points,
            row.status,
            row.fault,
        )
        for row in rows
    ]
    return [list(column) for column in zip(*values, strict=True)]
