"""Imports of contacts: what was asked, parts of files, lines of which there is something to say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from libs.common.clock import Clock
from libs.common.db.pool import Connection, Pool, transaction
from libs.common.errors import AlreadyExists, NotFound
from libs.common.text import fold
from services.segment.domain.changes import TagKey, ValueKey
from services.segment.domain.contact_files import Column, ContactLine, FileTerms
from services.segment.domain.contact_imports import (
    Asked,
    ContactImport,
    ContactRow,
    ImportKey,
    ImportState,
    Stand,
)
from services.segment.domain.contact_rows import RowContext, hinted, selector_of
from services.segment.domain.edits import EditContext
from services.segment.domain.facts import NOBODY
from services.segment.domain.model import Attribute, Event, TeamInteracted
from services.segment.store import attributes, teams
from services.segment.store.base import BOOK, Row
from services.segment.store.changes import load_traits
from services.segment.store.events import load_event_context

_ATTRIBUTES_MAX: Final = 10_000
_STALE: Final = timedelta(days=1)
_KEPT: Final = timedelta(days=90)


class ContactImportStore:
    """Keeps imports. Methods that take a connection work in the transaction of their caller."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        """`clock`: real time, by which old imports are forgotten."""
        self.pool = pool
        self._clock = clock

    async def insert(self, connection: Connection, asked: Asked, now: datetime) -> None:
        """Keeps one that is started. Raises AlreadyExists `IMPORT_FILE_REPEATED`."""
        *own, columns = msgspec.structs.astuple(asked)
        headings, fields = [each.heading for each in columns], [each.field for each in columns]
        query = BOOK.bind("insert_contact_import", asked=(*own, headings, fields), created_at=now)
        if not await connection.fetchval(*query):
            file = {"team_id": asked.team_id, "file_sha256": asked.file_sha256}
            other = await connection.fetchval(*BOOK.bind("contact_import_of_file", **file))
            raise AlreadyExists(
                "IMPORT_FILE_REPEATED",
                "this file was imported before",
                metadata={"import_id": str(other or "")},
            )

    async def bytes_of_team(self, connection: Connection, team_id: UUID) -> int:
        """Bytes of the files that are being uploaded or applied."""
        return int(await connection.fetchval(*BOOK.bind("bytes_of_contact_imports", team_id=team_id)))

    async def read(self, key: ImportKey) -> ContactImport:
        """One. Raises NotFound."""
        async with transaction(self.pool, [key[0]]) as connection:
            return _found(await connection.fetchrow(*BOOK.bind("read_contact_import", **_ids(key))), key)

    async def lock(self, connection: Connection, key: ImportKey) -> ContactImport:
        """One, locked until the transaction ends. Raises NotFound."""
        return _found(await connection.fetchrow(*BOOK.bind("lock_contact_import", **_ids(key))), key)

    async def take(self, connection: Connection, key: ImportKey) -> ContactImport | None:
        """One, locked; None while another process works on it."""
        row = await connection.fetchrow(*BOOK.bind("take_contact_import", **_ids(key)))
        return None if row is None else _import(row)

    async def page(
        self, team_id: UUID, state: ImportState | None, after: tuple[datetime, UUID] | None, limit: int
    ) -> list[ContactImport]:
        """Some, newest first."""
        created_at, id_ = after or (None, None)
        query = BOOK.bind(
            "list_contact_imports",
            team_id=team_id,
            state=state,
            after_created_at=created_at,
            after_id=id_,
            row_max=limit,
        )
        async with transaction(self.pool, [team_id]) as connection:
            return [_import(row) for row in await connection.fetch(*query)]

    async def move(self, connection: Connection, key: ImportKey, stand: Stand) -> None:
        """Notes how far a locked one is."""
        query = BOOK.bind("move_contact_import", **_ids(key), stand=msgspec.structs.astuple(stand))
        await connection.execute(*query)

    async def unfinished(self) -> list[ImportKey]:
        """Those of all teams that are to be gone on with."""
        rows = await self.pool.fetch(BOOK["unfinished_contact_imports"])
        return [(row["team_id"], row["contact_import_id"]) for row in rows]

    async def forget(self, row_max: int) -> int:
        """Ends uploads that were given up, and forgets what is old; how many rows."""
        now = self._clock.now()
        query = BOOK.bind(
            "forget_contact_imports", stale=now - _STALE, old=now - _KEPT, ended=now, row_max=row_max
        )
        return int(await self.pool.fetchval(*query))

    # ---- parts

    async def add_part(self, connection: Connection, key: ImportKey, start_byte: int, csv: bytes) -> None:
        """Keeps a part."""
        query = BOOK.bind("insert_contact_import_part", **_ids(key), start_byte=start_byte, csv=csv)
        await connection.execute(*query)

    async def part(self, key: ImportKey, start_byte: int, length: int) -> bytes:
        """Up to so many bytes of the file; none where its parts are gone."""
        query = BOOK.bind("read_contact_import_part", **_ids(key), start_byte=start_byte, length=length)
        async with transaction(self.pool, [key[0]]) as connection:
            return bytes(await connection.fetchval(*query) or b"")

    async def delete_parts(self, connection: Connection, key: ImportKey, byte: int) -> None:
        """Forgets parts that end at `byte` or before."""
        await connection.execute(*BOOK.bind("delete_contact_import_parts", **_ids(key), byte=byte))

    # ---- rows

    async def add_rows(self, connection: Connection, key: ImportKey, rows: Sequence[ContactRow]) -> None:
        """Keeps lines."""
        if rows:
            query = BOOK.bind("insert_contact_import_rows", **_ids(key), rows=[tuple(row) for row in rows])
            await connection.execute(*query)

    async def waiting(self, connection: Connection, key: ImportKey, limit: int) -> list[ContactRow]:
        """The next lines whose points are to be posted."""
        query = BOOK.bind("waiting_contact_import_rows", **_ids(key), row_max=limit)
        return [_row(row) for row in await connection.fetch(*query)]

    async def delete_rows(self, connection: Connection, key: ImportKey, lines: Sequence[int]) -> None:
        """Forgets lines."""
        await connection.execute(*BOOK.bind("delete_contact_import_rows", **_ids(key), lines=list(lines)))

    async def rows(self, key: ImportKey, status: int | None, after: int, limit: int) -> list[ContactRow]:
        """Lines that are decided, by number."""
        query = BOOK.bind(
            "list_contact_import_rows", **_ids(key), status=status, after_line=after, row_max=limit
        )
        async with transaction(self.pool, [key[0]]) as connection:
            return [_row(row) for row in await connection.fetch(*query)]


async def load_rows(
    connection: Connection, team_id: UUID, lines: Sequence[ContactLine], now: datetime
) -> RowContext:
    """Whom lines name, locked, with what the lines name of them; nobody else creates any meanwhile."""
    profiles = [line.profile for line in lines if not line.fault]
    events = [Event(team_id, "", selector_of(profile), now, TeamInteracted()) for profile in profiles]
    found = await load_event_context(connection, events, {team_id})
    edits = EditContext(customers=found.customers, members=found.members, identities=found.identities)
    context = RowContext(edits, found.phones, found.emails)
    tags: set[TagKey] = set()
    values: set[ValueKey] = {(team_id, NOBODY, key) for profile in profiles for key, _ in profile.attributes}
    for profile in profiles:
        if profile.tags or profile.attributes:
            for customer in hinted(context, team_id, selector_of(profile)):
                tags.update((team_id, customer, fold(tag)) for tag in profile.tags)
                values.update((team_id, customer, key) for key, _ in profile.attributes)
    edits.traits = await load_traits(connection, tags, values)
    return context


async def file_terms(
    connection: Connection, team_id: UUID, channel: int, account_id: UUID | None, columns: tuple[Column, ...]
) -> FileTerms:
    """How lines are understood now."""
    team = await teams.load_team(connection, team_id)
    types = {each.key: each.type for each in await attributes_of(connection, team_id)}
    return FileTerms(team.settings.country, channel, account_id, columns, types)


async def attributes_of(connection: Connection, team_id: UUID) -> list[Attribute]:
    """The attributes that columns may fill."""
    return await attributes.list_attributes(
        connection, team_id, after="", archived=False, row_max=_ATTRIBUTES_MAX
    )


def _ids(key: ImportKey) -> dict[str, Any]:
    return {"team_id": key[0], "contact_import_id": key[1]}


def _found(row: Row | None, key: ImportKey) -> ContactImport:
    if row is None:
        raise NotFound.of("contact_import", key[1])
    return _import(row)


def _import(row: Row) -> ContactImport:
    own: dict[str, Any] = {name: row[name] for name in Asked.__struct_fields__ if name != "columns"}
    columns = tuple(map(Column, row["headings"], row["fields"]))
    stand = Stand(*(row[name] for name in Stand.__struct_fields__))
    stand = msgspec.structs.replace(stand, state=ImportState(stand.state))
    return ContactImport(Asked(**own, columns=columns), stand, row["created_at"])


def _row(row: Row) -> ContactRow:
    return ContactRow(*row.values())._replace(cells=tuple(row["cells"]))
