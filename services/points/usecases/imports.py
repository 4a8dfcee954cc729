"""Imports: opened, given their rows, previewed, started, and worked off chunk by chunk."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

import structlog

from libs.common import crash
from libs.common.audit import note_before
from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, snapshot, transaction
from libs.common.db.requests import Reply, Write, answer_once
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.ids import epoch_ms, new_id
from libs.common.logging import about
from services.points.clients.modules import PointsModule
from services.points.clients.segment import CustomerFinder
from services.points.domain.import_preview import ImportPreview
from services.points.domain.imports import (
    ROWS_MAX,
    ImportState,
    ImportTerms,
    Line,
    PostedRow,
    RowOutcome,
    RowStatus,
    check_unchanged,
    not_posted,
    outcome_of,
    posting_of,
    read_file,
    undoing_of,
    undone_of,
)
from services.points.domain.model import Posting, PostingAnswer
from services.points.domain.views import Import, ImportCounts
from services.points.store.imports import ImportStore
from services.points.store.ledger import LedgerStore
from services.points.usecases.ledger import Ledger
from services.points.usecases.matching import match
from services.points.worker.imports import IMPORT_PASSING

CHUNK: Final = 500
"""Rows of one transaction: as many as a batch of postings may have."""

ImportKey = tuple[UUID, UUID]
"""Team and import."""
Move = tuple[ImportState, ImportState]
"""The state that an import must have, and the one that it gets."""
CountedImport = tuple[Import, ImportCounts]
WriteOutcomes = Callable[[Connection, Import, Sequence[tuple[int, RowOutcome]]], Awaitable[None]]
"""Writes what became of rows, by row number."""

_log = structlog.get_logger(__name__)


class Imports:
    """Writes imports, and foretells what they would do.

    A repeated request gets the first answer, see `answer_once`: `reply` is its message, `answer` makes it.
    """

    def __init__(
        self,
        pool: Pool,
        store: ImportStore,
        ledger: LedgerStore,
        finder: CustomerFinder,
        clock: Clock,
        *,
        modules: PointsModule,
    ) -> None:
        """`ledger` is read for previews; `finder` knows whom lines mean; `modules`, who has the module POINTS."""
        self._pool = pool
        self._store = store
        self._ledger = ledger
        self._finder = finder
        self._clock = clock
        self._modules = modules

    async def open(
        self,
        request: Write,
        team_id: UUID,
        terms: ImportTerms,
        reply: type[Reply],
        answer: Callable[[Import, ImportCounts], Reply],
    ) -> Reply:
        """Opens an import. Raises AlreadyExists `IMPORT_FILE_REPEATED`, FailedPrecondition `MODULE_MISSING`."""
        forbidden = await self._modules.refusal(team_id)

        async def create(connection: Connection) -> Reply:
            now = self._clock.now()
            opened = Import(team_id, new_id(epoch_ms(now)), terms, ImportState.OPEN, now, None)
            await self._store.insert(connection, opened)
            return answer(opened, ImportCounts())

        return await answer_once(self._pool, team_id, request, reply, create, forbidden=forbidden)

    async def read(self, key: ImportKey) -> CountedImport:
        """An import and its rows by outcome. Raises NotFound."""
        found = await self._store.read(*key)
        return found, (await self._store.counts(key[0], [key[1]]))[key[1]]

    async def upload(
        self,
        request: Write,
        key: ImportKey,
        content: bytes,
        *,
        reply: type[Reply],
        answer: Callable[[Import, ImportCounts], Reply],
    ) -> Reply:
        """Gives an open import the rows of its whole file, instead of any that it has.

        Raises NotFound; FailedPrecondition `IMPORT_STATE`, `MODULE_MISSING`; InvalidArgument for another file than the
        one it was opened with, or one that is wrong as a whole; Unavailable while customers cannot be looked up.
        """
        forbidden = await self._modules.refusal(key[0])
        found = await self._store.read(*key)
        if hashlib.sha256(content).digest() != found.terms.file_sha256:
            violation = FieldViolation("csv", "is not the file whose hash the import was opened with")
            raise InvalidArgument.of(violation)
        lines = await asyncio.to_thread(read_file, content)
        rows = await match(self._finder, key[0], lines)

        async def replace(connection: Connection) -> Reply:
            found = await self._store.lock(connection, *key, ImportState.OPEN)
            await self._store.delete_rows(connection, found)
            await self._store.add_rows(connection, found, rows)
            return answer(found, await self._counts(connection, key))

        return await answer_once(self._pool, key[0], request, reply, replace, forbidden=forbidden)

    async def add_rows(
        self,
        request: Write,
        key: ImportKey,
        lines: Sequence[Line],
        *,
        reply: type[Reply],
        answer: Callable[[Import, ImportCounts], Reply],
    ) -> Reply:
        """Adds lines to an open import; one that it has already must have the same content.

        Raises NotFound, FailedPrecondition `IMPORT_STATE` and `MODULE_MISSING`, InvalidArgument, Unavailable.
        """
        forbidden = await self._modules.refusal(key[0])
        rows = await match(self._finder, key[0], lines)

        async def add(connection: Connection) -> Reply:
            found = await self._store.lock(connection, *key, ImportState.OPEN)
            await self._store.add_rows(connection, found, rows)
            numbers = [line.row_number for line in lines]
            check_unchanged(lines, await self._store.lines(connection, found, numbers))
            counts = await self._counts(connection, key)
            if counts.total > ROWS_MAX:
                raise InvalidArgument.of(FieldViolation("rows", f"an import has at most {ROWS_MAX} rows"))
            return answer(found, counts)

        return await answer_once(self._pool, key[0], request, reply, add, forbidden=forbidden)

    async def _counts(self, connection: Connection, key: ImportKey) -> ImportCounts:
        return (await self._store.counts_in(connection, key[0], [key[1]]))[key[1]]

    async def preview(self, key: ImportKey, rows_max: int) -> ImportPreview:
        """What an open import would do to today's balances. Raises NotFound, FailedPrecondition `IMPORT_STATE`."""
        async with transaction(self._pool, [key[0]]) as connection:
            found = await self._store.lock(connection, *key, ImportState.OPEN)
        preview, after = ImportPreview(found, self._clock.now(), rows_max), 0
        async with snapshot(self._pool, [key[0]]) as connection:
            while page := await self._store.rows_in(connection, found, (), after, CHUNK):
                wanted = preview.accounts_to_read(page)
                preview.take(page, await self._ledger.balances_in(connection, wanted))
                after = page[-1].row.line.row_number
        return preview

    async def move(
        self,
        request: Write,
        key: ImportKey,
        move: Move,
        reply: type[Reply],
        answer: Callable[[Import, ImportCounts], Reply],
    ) -> Reply:
        """Gives an import another state. Raises NotFound, FailedPrecondition `IMPORT_STATE`, and `MODULE_MISSING`
        for all but giving it up."""
        gives_up = move[1] == ImportState.CANCELLED
        forbidden = None if gives_up else await self._modules.refusal(key[0])

        async def work(connection: Connection) -> Reply:
            found = await self._store.lock(connection, *key, move[0])
            note_before(answer(found, await self._counts(connection, key)))
            ended_at = self._clock.now() if gives_up else None
            moved = await self._store.set_state(connection, found, move[1], ended_at)
            return answer(moved, await self._counts(connection, key))

        return await answer_once(self._pool, key[0], request, reply, work, forbidden=forbidden)

    async def leave(
        self,
        request: Write,
        key: ImportKey,
        reply: type[Reply],
        answer: Callable[[Import, ImportCounts], Reply],
    ) -> Reply:
        """Leaves an import as it is, whoever asks it to end. Raises NotFound, and what `answer` raises."""

        async def work(connection: Connection) -> Reply:
            found = await self._store.read_in(connection, *key)
            return answer(found, await self._counts(connection, key))

        return await answer_once(self._pool, key[0], request, reply, work)


class ImportChunks:
    """Posts and takes back the rows of imports, a chunk a transaction."""

    def __init__(self, pool: Pool, store: ImportStore, ledger: Ledger, clock: Clock) -> None:
        """`ledger` posts the rows."""
        self._pool = pool
        self._store = store
        self._ledger = ledger
        self._clock = clock

    async def unfinished(self) -> Sequence[ImportKey]:
        """All imports that are RUNNING or UNDOING."""
        return await self._store.unfinished()

    async def step(self, team_id: UUID, import_id: UUID) -> int:
        """Handles the next chunk of a RUNNING or UNDOING import, or ends it; returns the rows handled, 0 at its end.

        Raises what `Ledger.post_with` raises; the same step again is always safe.
        """
        found = await self._store.read(team_id, import_id)
        if found.state == ImportState.RUNNING:
            rows = await self._next(found, RowStatus.WAITING, ImportState.DONE)
            await self._post(found, rows, posting_of, outcome_of, self._store.settle)
        elif found.state == ImportState.UNDOING:
            rows = await self._next(found, RowStatus.APPLIED, ImportState.UNDONE)
            await self._post(found, rows, undoing_of, undone_of, self._store.take_back)
        else:
            return 0
        return len(rows)

    async def _next(self, found: Import, status: RowStatus, ended: ImportState) -> list[PostedRow]:
        """The rows of the next chunk; where there are none, the import ends."""
        async with transaction(self._pool, [found.team_id]) as connection:
            rows = await self._store.rows_to_post(connection, found, status, CHUNK)
            if not rows:
                await self._store.end(connection, found, ended, self._clock.now())
        return rows

    async def _post(
        self,
        found: Import,
        rows: Sequence[PostedRow],
        posting_for: Callable[[UUID, UUID, ImportTerms, PostedRow], Posting],
        outcome_for: Callable[[PostingAnswer], RowOutcome],
        write: WriteOutcomes,
    ) -> None:
        if not rows:
            return
        try:
            await self._post_at_once(found, rows, posting_for, outcome_for, write)
        except IMPORT_PASSING:
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is a row's: the others are posted
            if len(rows) == 1:
                await self._pass_over(found, rows[0], write)
                return
            _log.exception("a chunk of an import cannot be posted; its rows go one by one", **about(found))
            for row in rows:
                await self._post(found, [row], posting_for, outcome_for, write)

    async def _pass_over(self, found: Import, row: PostedRow, write: WriteOutcomes) -> None:
        """The row's outcome says that it was not posted, and the import goes on."""
        _log.exception("a row cannot be posted", id=str(found.import_id), row=row.row_number, **about(found))
        async with transaction(self._pool, [found.team_id]) as connection:
            await write(connection, found, [(row.row_number, not_posted(row))])

    async def _post_at_once(
        self,
        found: Import,
        rows: Sequence[PostedRow],
        posting_for: Callable[[UUID, UUID, ImportTerms, PostedRow], Posting],
        outcome_for: Callable[[PostingAnswer], RowOutcome],
        write: WriteOutcomes,
    ) -> None:
        async def write_outcomes(connection: Connection, answers: Sequence[PostingAnswer]) -> None:
            numbers = (row.row_number for row in rows)
            await write(connection, found, list(zip(numbers, map(outcome_for, answers), strict=True)))
            crash.reach("points.before_chunk_commit")

        postings = [posting_for(found.team_id, found.import_id, found.terms, row) for row in rows]
        await self._ledger.post_with(postings, write_outcomes)
        crash.reach("points.after_chunk")
