"""Imports of contacts: what each was asked, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID, uuid5

import msgspec

from libs.common.tables import Encoding
from services.segment.domain.contact_files import Column

LINES_MAX: Final = 2_000_000
TEAM_BYTES_MAX: Final = 1024**3
"""Of files that are being uploaded or applied."""
LINES_OF_A_STEP: Final = 500

ImportKey = tuple[UUID, UUID]
"""Team and import."""


class FileHead(NamedTuple):
    """A file, or its first part, with what people say of it."""

    csv: bytes
    channel: int
    account_id: UUID | None
    mapping: Mapping[str, str]
    """Heading → field."""
    is_whole: bool


class Wish(NamedTuple):
    """What else an import is started with."""

    file_name: str
    file_sha256: bytes
    file_bytes: int
    deduct_cumulative: bool
    triggers: bool
    repeat: bool


class ImportState(IntEnum):
    """As an OperationState; stored."""

    PENDING = 1
    RUNNING = 2
    SUCCEEDED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def has_ended(self) -> bool:
        """Whether it stays as it is."""
        return self > ImportState.RUNNING


class Asked(msgspec.Struct, frozen=True):
    """What an import was started with."""

    team_id: UUID
    contact_import_id: UUID
    file_name: str
    file_sha256: bytes
    file_bytes: int
    channel: int
    account_id: UUID | None
    deduct_cumulative: bool
    triggers: bool
    repeat: bool
    actor: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> ImportKey:
        """Which it is."""
        return self.team_id, self.contact_import_id


class Stand(msgspec.Struct, frozen=True):
    """How far an import is."""

    state: ImportState = ImportState.PENDING
    uploaded_bytes: int = 0
    encoding: str = ""
    """Empty until the file was read through."""
    separator: str = ""
    line_count: int = 0
    """Lines of contacts in the file; 0 while not known."""
    next_byte: int = 0
    """Where the first line begins that is not applied."""
    next_line: int = 1
    waiting_count: int = 0
    """Lines that are applied but for their points."""
    applied_count: int = 0
    unchanged_count: int = 0
    failed_count: int = 0
    message: str = ""
    """Why it failed."""
    ended_at: datetime | None = None

    @property
    def done_count(self) -> int:
        """Lines with an outcome."""
        return self.applied_count + self.unchanged_count + self.failed_count


class ContactImport(NamedTuple):
    """One import."""

    asked: Asked
    stand: Stand
    created_at: datetime

    @property
    def text_encoding(self) -> Encoding:
        """Of the file, once it was read through."""
        return Encoding(self.stand.encoding)


class ContactRow(NamedTuple):
    """A line of which there is something to say, or whose points are to be posted; stored in this order."""

    line: int
    status: int
    reason: str
    message: str
    customer_id: UUID | None
    points: int
    cells: tuple[str, ...]


def posting_key(contact_import_id: UUID, line: int) -> UUID:
    """Under which the ledger counts the points of a line once."""
    return uuid5(contact_import_id, f"row {line}")
