"""Imports of contacts as they are asked for, uploaded, previewed, cancelled and read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from libs.common import tables
from libs.common.audit import note_before
from libs.common.callers import caller
from libs.common.clock import Clock
from libs.common.db.pool import Connection, transaction
from libs.common.db.requests import Reply, Write, answer_once
from libs.common.errors import (
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from libs.common.ids import epoch_ms, new_id
from services.segment.domain.accounts import of_channel
from services.segment.domain.contact_files import (
    POINTS,
    POINTS_CLOSED,
    Column,
    columns_fault,
    columns_of,
    read_line,
)
from services.segment.domain.contact_imports import (
    TEAM_BYTES_MAX,
    Asked,
    ContactImport,
    ContactRow,
    FileHead,
    ImportKey,
    ImportState,
    Stand,
    Wish,
)
from services.segment.domain.contact_rows import ContactRows, RowOutcome
from services.segment.domain.model import Module
from services.segment.store import teams
from services.segment.store.accounts import find_accounts
from services.segment.store.contact_imports import ContactImportStore, attributes_of, file_terms, load_rows
from services.segment.worker.writers import ids_of

PREVIEWED_MAX: Final = 100
_RETRY_S: Final = 30.0


class ContactImports:
    """Raises NotFound for a team, an account or an import that is not there."""

    def __init__(self, store: ContactImportStore, clock: Clock, started: Callable[[], None]) -> None:
        """`started` is called when there is one to be gone on with."""
        self._store = store
        self._clock = clock
        self._started = started

    async def start(
        self,
        request: Write,
        team_id: UUID,
        head: FileHead,
        wish: Wish,
        *,
        reply: type[Reply],
        answer: Callable[[ContactImport], Reply],
    ) -> Reply:
        """Keeps the head of a file. Raises InvalidArgument, FailedPrecondition `MODULE_MISSING`, AlreadyExists
        `IMPORT_FILE_REPEATED`, ResourceExhausted."""

        async def keep(connection: Connection) -> Reply:
            columns, closed, _ = await self._columns(connection, team_id, head)
            if fault := columns_fault(columns, head.channel):
                raise InvalidArgument.of(FieldViolation("csv", fault))
            if closed:
                raise FailedPrecondition.module_missing("POINTS")
            if await self._store.bytes_of_team(connection, team_id) + wish.file_bytes > TEAM_BYTES_MAX:
                raise ResourceExhausted.overloaded("import_bytes_max", _RETRY_S)
            now = self._clock.now()
            asked = Asked(
                team_id=team_id,
                contact_import_id=new_id(epoch_ms(now)),
                file_name=wish.file_name,
                file_sha256=hashlib.sha256(head.csv).digest() if head.is_whole else wish.file_sha256,
                file_bytes=wish.file_bytes,
                channel=head.channel,
                account_id=head.account_id,
                deduct_cumulative=wish.deduct_cumulative,
                triggers=wish.triggers,
                repeat=wish.repeat,
                actor=caller().name,
                columns=columns,
            )
            await self._store.insert(connection, asked, now)
            await self._store.add_part(connection, asked.key, 0, head.csv)
            stand = Stand(uploaded_bytes=len(head.csv))
            await self._store.move(connection, asked.key, stand)
            return answer(ContactImport(asked, stand, now))

        answered = await answer_once(self._store.pool, team_id, request, reply, keep)
        self._started()
        return answered

    async def upload(
        self,
        request: Write,
        key: ImportKey,
        start_byte: int,
        csv: bytes,
        *,
        reply: type[Reply],
        answer: Callable[[ContactImport], Reply],
    ) -> Reply:
        """Adds a part. Raises FailedPrecondition `IMPORT_STATE`, InvalidArgument."""

        async def add(connection: Connection) -> Reply:
            found = await self._store.lock(connection, key)
            note_before(answer(found))
            there, end = found.stand.uploaded_bytes, start_byte + len(csv)
            if found.stand.state.has_ended:
                state = found.stand.state.name
                raise FailedPrecondition("IMPORT_STATE", f"the import is {state}", metadata={"state": state})
            if start_byte > there:
                raise InvalidArgument.of(
                    FieldViolation("start_byte", f"must be {there}: what is before is missing")
                )
            if end > found.asked.file_bytes:
                raise InvalidArgument.of(
                    FieldViolation("csv", f"must end with the file, at byte {found.asked.file_bytes}")
                )
            if end > there:
                await self._store.add_part(connection, key, there, csv[there - start_byte :])
                found = found._replace(stand=msgspec.structs.replace(found.stand, uploaded_bytes=end))
                await self._store.move(connection, key, found.stand)
            return answer(found)

        answered = await answer_once(self._store.pool, key[0], request, reply, add)
        self._started()
        return answered

    async def preview(
        self, team_id: UUID, head: FileHead
    ) -> tuple[tuple[Column, ...], str, list[tuple[int, RowOutcome]]]:
        """What columns are, what is wrong with them, and, if that is nothing, what the first lines would do, by number.
        Raises as `start`, but for what another mapping may mend."""
        now = self._clock.now()
        async with transaction(self._store.pool, [team_id]) as connection:
            columns, closed, found = await self._columns(connection, team_id, head)
            if fault := columns_fault(columns, head.channel) or (POINTS_CLOSED if closed else ""):
                return columns, fault, []
            terms = await file_terms(connection, team_id, head.channel, head.account_id, columns)
            lines = [read_line(line, terms) for line in found[:PREVIEWED_MAX]]
            context = await load_rows(connection, team_id, lines, now)
            rows = ContactRows(team_id, context, now, ids_of(now), triggers=False)
            return columns, "", [(line.number, rows.apply(line)) for line in lines]

    async def _columns(
        self, connection: Connection, team_id: UUID, head: FileHead
    ) -> tuple[tuple[Column, ...], bool, list[tables.Line]]:
        """What columns are, whether there are points among them that the team does not have, and the lines behind the
        heading."""
        team = await teams.load_team(connection, team_id)
        if head.account_id is not None:
            found = await find_accounts(connection, [(team_id, head.account_id)])
            if not found:
                raise NotFound.of("account", head.account_id)
            if (own := found[team_id, head.account_id]) not in (None, head.channel):
                raise InvalidArgument.of(FieldViolation("channel_account_id", of_channel(own or 0)))
        lines = _lines(head)
        if not lines:
            raise InvalidArgument.of(FieldViolation("csv", "is empty"))
        columns = columns_of(lines[0], await attributes_of(connection, team_id), head.mapping)
        moves_points = any(column.field == POINTS for column in columns)
        return columns, moves_points and Module.POINTS not in team.settings.modules, lines[1:]

    async def cancel(
        self,
        request: Write,
        key: ImportKey,
        reply: type[Reply],
        answer: Callable[[ContactImport], Reply],
    ) -> Reply:
        """Ends one early; one that has ended stays. Points of lines that are applied are still posted."""

        async def work(connection: Connection) -> Reply:
            found = await self._store.lock(connection, key)
            note_before(answer(found))
            if not found.stand.state.has_ended:
                stand = msgspec.structs.replace(
                    found.stand, state=ImportState.CANCELLED, ended_at=self._clock.now()
                )
                found = found._replace(stand=stand)
                await self._store.move(connection, key, stand)
            return answer(found)

        return await answer_once(self._store.pool, key[0], request, reply, work)

    async def read(self, key: ImportKey) -> ContactImport:
        """One as it stands."""
        return await self._store.read(key)

    async def page(
        self, team_id: UUID, state: ImportState | None, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[ContactImport]:
        """Some, newest first."""
        return await self._store.page(team_id, state, after, limit)

    async def rows(self, key: ImportKey, status: int | None, after: int, limit: int) -> list[ContactRow]:
        """Lines of which there is something to say, by number."""
        return await self._store.rows(key, status, after, limit)

    async def has_points(self, team_id: UUID) -> bool:
        """Whether the team has points."""
        async with transaction(self._store.pool, [team_id]) as connection:
            return Module.POINTS in (await teams.load_team(connection, team_id)).settings.modules


def _lines(head: FileHead) -> list[tables.Line]:
    """The first lines; of a file that goes on without one that may be cut."""
    finder = tables.EncodingFinder()
    finder.feed(head.csv)
    encoding = finder.found(whole=head.is_whole)
    reader = tables.TableReader(encoding)
    lines: list[tables.Line] = []
    for line in reader.feed(head.csv[encoding.mark_length :]):
        lines.append(line)
        if len(lines) > PREVIEWED_MAX:
            return lines
    return [*lines, *reader.end()] if head.is_whole or not lines else lines
