"""Applying files of contacts, step by step: each is read through, then its lines are applied with the cursor."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec

from libs.common import crash, tables
from libs.common.clock import Clock
from libs.common.db.faults import PASSING
from libs.common.db.pool import Connection, transaction
from libs.common.db.requests import forget_by_batches
from libs.common.errors import Aborted, InvalidArgument, NotFound, ResourceExhausted, Unavailable
from libs.common.mailbox.intake import Intake
from libs.common.rpc.operations import Progress
from libs.common.stepping import StepWorker
from services.segment import metrics
from services.segment.clients.ledger import POSTINGS_MAX, Ledger, Posted
from services.segment.domain.contact_files import ContactLine, FileTerms, headings_of, read_line
from services.segment.domain.contact_imports import (
    LINES_MAX,
    LINES_OF_A_STEP,
    Asked,
    ContactImport,
    ContactRow,
    ImportKey,
    ImportState,
    Stand,
)
from services.segment.domain.contact_rows import ContactRows, RowOutcome, RowStatus
from services.segment.domain.facts import Fact
from services.segment.store.conflicts import note_conflicts
from services.segment.store.contact_imports import ContactImportStore, file_terms, load_rows
from services.segment.store.customers import save_edited
from services.segment.worker.writers import FactPublisher, Writer, ids_of

SLICE: Final = 256 * 1024
"""Bytes that are read at once."""
_PASSED_BY_S: Final = 0.5
_PASSING: Final = (ResourceExhausted, Unavailable, Aborted, *PASSING)
"""Too much mail waits, points or the database are away, or others were faster: the step is done again."""


class _FileFault(Exception):
    """Why a file cannot be imported at all, for people."""


@dataclass
class _Reading:
    """A file that is being applied, as far as this process has read it."""

    terms: FileTerms
    reader: tables.TableReader
    at: int
    """Where the first line begins that is not applied."""
    byte: int
    """From where the next slice is read."""
    lines: deque[tables.Line] = field(default_factory=deque)
    """Read and not applied."""


class ContactImportSteps:
    """See `Steps`. Several processes may work; each step is one's."""

    def __init__(
        self,
        store: ContactImportStore,
        clock: Clock,
        writer: Writer,
        publisher: FactPublisher,
        *,
        intake: Intake,
        ledger: Ledger,
    ) -> None:
        """One per process."""
        self._store = store
        self._clock = clock
        self._writer = writer
        self._publisher = publisher
        self._intake = intake
        self._ledger = ledger
        self._readings: dict[ImportKey, _Reading] = {}

    async def unfinished(self) -> Sequence[ImportKey]:
        """Those whose file is there."""
        found = await self._store.unfinished()
        self._readings = {key: each for key, each in self._readings.items() if key in found}
        return found

    async def step(self, team_id: UUID, id_: UUID) -> int:
        """Posts what waits for its points, or reads a file through, or applies the next lines of it."""
        try:
            found = await self._store.read((team_id, id_))
        except NotFound:
            return 0
        if found.stand.waiting_count:
            return await self._post(found)
        if found.stand.state is ImportState.RUNNING:
            return await self._apply(found)
        if found.stand.state is ImportState.PENDING:
            await self._look_through(found)
        return 0

    # ---- reading through

    async def _look_through(self, found: ContactImport) -> None:
        """Decides the encoding, and whether it is the file that was promised; then its lines can be applied."""
        try:
            stand = await self._looked_through(found)
        except (_FileFault, InvalidArgument) as error:
            violations = getattr(error, "violations", ())
            said = "; ".join(f"the file {each.description}" for each in violations) or str(error)
            stand = msgspec.structs.replace(
                found.stand, state=ImportState.FAILED, message=said, ended_at=self._clock.now()
            )
        async with transaction(self._store.pool, [found.asked.team_id]) as connection:
            present = await self._store.lock(connection, found.asked.key)
            if present.stand == found.stand:
                await self._store.move(connection, found.asked.key, stand)

    async def _looked_through(self, found: ContactImport) -> Stand:
        asked = found.asked
        finder, digest = tables.EncodingFinder(), hashlib.sha256()
        async for part in self._slices(asked, 0):
            digest.update(part)
            finder.feed(part)
        if digest.digest() != asked.file_sha256:
            raise _FileFault("the file is not the one whose SHA-256 the import was started with")
        encoding = finder.found(whole=True)
        reader = tables.TableReader(encoding)
        heading: tables.Line | None = None
        count = 0
        async for part in self._slices(asked, encoding.mark_length):
            for line in reader.feed(part):
                heading = heading or line
                count += 1
        for line in reader.end():
            heading = heading or line
            count += 1
        if heading is None:
            raise _FileFault("the file is empty")
        if count - 1 > LINES_MAX:
            raise _FileFault(f"the file has more than {LINES_MAX:,} lines")
        _check_heading(heading, asked)
        return msgspec.structs.replace(
            found.stand,
            state=ImportState.RUNNING,
            encoding=encoding.name,
            separator=reader.separator,
            line_count=count - 1,
            next_byte=heading.end_byte,
            next_line=heading.next_number,
        )

    async def _slices(self, asked: Asked, byte: int) -> AsyncIterator[bytes]:
        """The file from a byte on, a slice after the other."""
        while byte < asked.file_bytes and (part := await self._store.part(asked.key, byte, SLICE)):
            yield part
            byte += len(part)

    # ---- applying

    async def _apply(self, found: ContactImport) -> int:
        self._intake.check()
        reading = await self._reading(found)
        await self._fill(found, reading)
        lines = [read_line(line, reading.terms) for line in list(reading.lines)[:LINES_OF_A_STEP]]
        if not lines:
            await self._end(found)
            return 0
        taken, facts = await self._writer.until_alone("edits", lambda: self._write(found, reading, lines))
        if taken == 0:
            self._readings.pop(found.asked.key, None)
            await asyncio.sleep(_PASSED_BY_S)
            return 0
        for _ in range(taken):
            reading.at = reading.lines.popleft().end_byte
        crash.reach("segment.after_import_step")
        self._publisher.publish(facts, taken)
        return taken

    async def _write(
        self, found: ContactImport, reading: _Reading, lines: Sequence[ContactLine]
    ) -> tuple[int, list[Fact]]:
        """Applies the first of the lines, most often all, and moves the cursor behind them; 0 lines if another process
        was first."""
        asked = found.asked
        async with transaction(self._store.pool, [asked.team_id]) as connection:
            present = await self._store.take(connection, asked.key)
            if present is None or present.stand != found.stand:
                return 0, []
            now = self._clock.now()
            context = await load_rows(connection, asked.team_id, lines, now)
            rows = ContactRows(asked.team_id, context, now, ids_of(now), triggers=asked.triggers)
            outcomes: list[RowOutcome] = []
            for line in lines:
                if not rows.is_ready(line):
                    break
                outcomes.append(rows.apply(line))
            last = reading.lines[len(outcomes) - 1]
            stand = _moved(found.stand, outcomes, last)
            await self._store.add_rows(connection, asked.key, list(_kept(lines, outcomes)))
            await self._store.move(connection, asked.key, stand)
            await self._store.delete_parts(connection, asked.key, stand.next_byte)
            await note_conflicts(connection, rows.conflicts(), now)
            facts = await save_edited(connection, rows.edited(), context.edits.customers, now)
            crash.reach("segment.before_import_commit")
        return len(outcomes), facts

    async def _reading(self, found: ContactImport) -> _Reading:
        """What this process has read, if it goes on where the import stands; else it is read anew from there."""
        asked, stand = found.asked, found.stand
        reading = self._readings.get(asked.key)
        if reading is not None and reading.at == stand.next_byte:
            return reading
        async with transaction(self._store.pool, [asked.team_id]) as connection:
            terms = await file_terms(
                connection, asked.team_id, asked.channel, asked.account_id, asked.columns
            )
        reader = tables.TableReader(
            found.text_encoding, separator=stand.separator, byte=stand.next_byte, number=stand.next_line
        )
        reading = self._readings[asked.key] = _Reading(terms, reader, stand.next_byte, stand.next_byte)
        return reading

    async def _fill(self, found: ContactImport, reading: _Reading) -> None:
        asked = found.asked
        while len(reading.lines) < LINES_OF_A_STEP and reading.byte < asked.file_bytes:
            part = await self._store.part(asked.key, reading.byte, SLICE)
            if not part:
                break
            reading.byte += len(part)
            reading.lines.extend(reading.reader.feed(part))
            if reading.byte == asked.file_bytes:
                reading.lines.extend(reading.reader.end())

    async def _end(self, found: ContactImport) -> None:
        asked = found.asked
        async with transaction(self._store.pool, [asked.team_id]) as connection:
            present = await self._store.lock(connection, asked.key)
            if present.stand != found.stand:
                return
            ended = msgspec.structs.replace(
                present.stand, state=ImportState.SUCCEEDED, ended_at=self._clock.now()
            )
            await self._store.move(connection, asked.key, ended)
            await self._store.delete_parts(connection, asked.key, asked.file_bytes)

    # ---- points

    async def _post(self, found: ContactImport) -> int:
        """Posts the points of lines that are applied. Whoever does it again gets the first answers."""
        key = found.asked.key
        async with transaction(self._store.pool, [key[0]]) as connection:
            rows = await self._store.waiting(connection, key, POSTINGS_MAX)
        posted = await self._ledger.post(found.asked, rows) if rows else []
        crash.reach("segment.after_import_posting")
        async with transaction(self._store.pool, [key[0]]) as connection:
            present = await self._store.lock(connection, key)
            if present.stand == found.stand:
                await self._settle(connection, present, rows, posted)
        return len(rows)

    async def _settle(
        self,
        connection: Connection,
        found: ContactImport,
        rows: Sequence[ContactRow],
        posted: Sequence[Posted],
    ) -> None:
        key, stand = found.asked.key, found.stand
        said: list[ContactRow] = []
        for row, each in zip(rows, posted, strict=True):
            if not each.applied:
                said.append(row._replace(status=RowStatus.FAILED, reason=each.reason, message=each.message))
            elif each.message:
                said.append(row._replace(status=RowStatus.APPLIED, message=each.message))
        failed = sum(not each.applied for each in posted)
        await self._store.delete_rows(connection, key, [row.line for row in rows])
        await self._store.add_rows(connection, key, said)
        moved = msgspec.structs.replace(
            stand,
            waiting_count=stand.waiting_count - len(rows),
            applied_count=stand.applied_count + len(rows) - failed,
            failed_count=stand.failed_count + failed,
        )
        await self._store.move(connection, key, moved)


def _check_heading(heading: tables.Line, asked: Asked) -> None:
    """Raises _FileFault where the whole file has another heading than its first part alone."""
    if heading.broken or headings_of(heading) != [column.heading for column in asked.columns]:
        raise _FileFault("the file is in an encoding that its first part does not show: save it as UTF-8")


def _moved(stand: Stand, outcomes: Sequence[RowOutcome], last: tables.Line) -> Stand:
    counts = [sum(each.status is status for each in outcomes) for status in RowStatus]
    return msgspec.structs.replace(
        stand,
        next_byte=last.end_byte,
        next_line=last.next_number,
        waiting_count=stand.waiting_count + counts[RowStatus.WAITING],
        applied_count=stand.applied_count + counts[RowStatus.APPLIED],
        unchanged_count=stand.unchanged_count + counts[RowStatus.UNCHANGED],
        failed_count=stand.failed_count + counts[RowStatus.FAILED],
    )


def _kept(lines: Sequence[ContactLine], outcomes: Sequence[RowOutcome]) -> list[ContactRow]:
    """Lines that failed, and those whose points are to be posted."""
    return [
        ContactRow(
            line.number,
            outcome.status,
            outcome.reason,
            outcome.message if outcome.status is RowStatus.FAILED else "",
            outcome.customer_id,
            outcome.points,
            line.cells,
        )
        for line, outcome in zip(lines, outcomes, strict=False)
        if outcome.status in {RowStatus.WAITING, RowStatus.FAILED}
    ]


def contact_importer(steps: ContactImportSteps) -> StepWorker:
    """Works on imports of contacts."""
    return StepWorker(
        "contact import",
        steps,
        Progress(),
        passing=_PASSING,
        done=metrics.IMPORTED_LINES.inc,
        failed=metrics.IMPORT_FAULTS.inc,
    )


async def forget_imports(store: ContactImportStore, stop: asyncio.Event) -> None:
    """Forgets imports that are old until `stop` is set."""
    await forget_by_batches(store.forget, "contact imports", stop)
