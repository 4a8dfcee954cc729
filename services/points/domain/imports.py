"""Imports of point changes (P-10): a file's lines, whom they name, what they ask, and what became of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import IntEnum, StrEnum
from typing import Final
from uuid import UUID, uuid5

import msgspec

from libs.common import tables
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.headings import HEADINGS, field_meant
from libs.common.text import as_key
from services.points.domain.model import (
    POINTS_MAX,
    ImportRow,
    ImportUndo,
    Posting,
    PostingAnswer,
    Reason,
    Status,
)

ROWS_MAX: Final = 100_000
"""Most rows of an import: a report that a person can still read, and a preview that ends within seconds."""
CELL_LENGTH_MAX: Final = 320
"""Longest member id, address or number that is kept of a line."""
POINTS_LENGTH_MAX: Final = 100
FILE_BYTES_MAX: Final = 16 * 1024 * 1024

POINTS_COLUMN: Final = HEADINGS["points"][0]
HINT_COLUMNS: Final = {field: HEADINGS[field][0] for field in ("member_id", "email", "phone")}
"""Field of `Hints` → heading of its column."""
_FIELDS: Final = frozenset({"points", *HINT_COLUMNS})
_SHORT_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,6}", re.ASCII)
"""No phone: in a line that lacks its last cells, points that have slipped into another column."""

_UNREADABLE: Final = re.compile(r"[\0\ud800-\udfff]")
"""What no table holds: U+0000, and what bytes that are no UTF-8 are read as."""
_WHOLE: Final = re.compile(r"[+-]?[0-9]{1,100}", re.ASCII)


class ImportState(IntEnum):
    """Where an import stands; stored, and as in the contract."""

    OPEN = 1
    RUNNING = 2
    DONE = 3
    UNDOING = 4
    UNDONE = 5
    CANCELLED = 6


class RowStatus(IntEnum):
    """What became of a row; stored, and as in the contract. WAITING rows have no outcome yet."""

    WAITING = 0
    APPLIED = 1
    UNCHANGED = 2
    INVALID = 3
    INSUFFICIENT = 4
    UNDONE = 5
    NOT_UNDONE = 6


class Fault(StrEnum):
    """Why a row is INVALID; stored, and as in the contract."""

    MALFORMED = "MALFORMED"
    NOT_A_NUMBER = "NOT_A_NUMBER"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    NO_CUSTOMER = "NO_CUSTOMER"
    NOT_FOUND = "NOT_FOUND"
    AMBIGUOUS = "AMBIGUOUS"
    NOT_ON_WHATSAPP = "NOT_ON_WHATSAPP"
    NOT_POSTED = "NOT_POSTED"
    MANGLED_NUMBER = "MANGLED_NUMBER"
    MODULE_MISSING = "MODULE_MISSING"


EXPLAINED: Final = {
    Fault.MALFORMED: "the line has too many cells, lacks its points, has a quote that is not closed, or has a cell"
    " that is too long or cannot be read",
    Fault.NOT_A_NUMBER: f"{POINTS_COLUMN} must be a whole number such as 50 or -50, in plain digits",
    Fault.OUT_OF_RANGE: "more points than one change, or one customer, may have",
    Fault.NO_CUSTOMER: "the line names no customer: no member id, e-mail address or phone",
    Fault.NOT_FOUND: "no customer has this member id, e-mail address or phone",
    Fault.AMBIGUOUS: "several customers share what the line names them by",
    Fault.NOT_ON_WHATSAPP: "the customer is no WhatsApp contact",
    Fault.MANGLED_NUMBER: "a spreadsheet has cut a number, as in 8.86912E+11: make the column text and enter it again",
    Fault.MODULE_MISSING: "the team lacks the module POINTS",
    Fault.NOT_POSTED: "the ledger could not write it, by a fault of ours; the service's log has why",
}


class Hints(msgspec.Struct, frozen=True):
    """How a line names its customer; the first that finds a customer decides. Empty: not given."""

    member_id: str = ""
    email: str = ""
    phone: str = ""


class Match(msgspec.Struct, frozen=True):
    """Which customers a line names: none (`customer_id` None), one customer, or several."""

    customer_id: UUID | None
    ambiguous: bool
    on_whatsapp: bool


class Line(msgspec.Struct, frozen=True):
    """A line of the file. `given`: its customer, where the caller matched it; `fault`: why it could not, or empty."""

    row_number: int
    hints: Hints
    points_text: str
    given: UUID | None = None
    fault: str = ""


class Row(msgspec.Struct, frozen=True):
    """A line with whom it means and what it asks: WAITING to be posted, or decided as it stands."""

    line: Line
    customer_id: UUID | None
    points: int
    status: RowStatus
    fault: str


class RowOutcome(msgspec.Struct, frozen=True):
    """What became of a row that was posted or taken back."""

    status: RowStatus
    fault: str = ""
    delta_balance: int = 0
    delta_cumulative: int = 0
    cumulative_cut: int = 0
    balance: int = 0
    sequence: int = 0


def parse_points(text: str) -> int | Fault:
    """The points that a cell asks; 0 for a blank one.

    Whole numbers in ASCII digits with at most a sign before them; marks that nobody sees mean nothing. Separators
    (`1,000`), fractions and full-width digits are refused rather than guessed at: a sheet that holds them may mean
    something else by them.
    """
    text = as_key(text)
    if not text:
        return 0
    if not _WHOLE.fullmatch(text):
        return Fault.NOT_A_NUMBER
    points = int(text)
    return points if abs(points) <= POINTS_MAX else Fault.OUT_OF_RANGE


def asks(line: Line) -> bool:
    """Whether the line's customer has to be looked up: it is sound and asks for a change."""
    points = parse_points(line.points_text)
    return not line.fault and not isinstance(points, Fault) and points != 0


def row_of(line: Line, match: Match | None) -> Row:
    """The row of a line; `match` of one that `asks`."""
    points = parse_points(line.points_text)
    if line.fault:
        return Row(line, line.given, 0, RowStatus.INVALID, line.fault)
    if isinstance(points, Fault):
        return Row(line, line.given, 0, RowStatus.INVALID, points.value)
    if points == 0:
        return Row(line, line.given, 0, RowStatus.UNCHANGED, "")
    assert match is not None, "a line that asks for a change was matched"
    fault = _mismatch(line, match)
    status = RowStatus.INVALID if fault else RowStatus.WAITING
    return Row(line, line.given or match.customer_id, points, status, fault)


def _mismatch(line: Line, match: Match) -> str:
    if match.ambiguous:
        return Fault.AMBIGUOUS.value
    if line.given is None and line.hints == Hints():
        return Fault.NO_CUSTOMER.value
    if match.customer_id is None:
        return Fault.NOT_FOUND.value
    return "" if match.on_whatsapp else Fault.NOT_ON_WHATSAPP.value


def check_unchanged(added: Sequence[Line], present: Iterable[Line]) -> None:
    """Raises InvalidArgument for lines that were added before with other content; `present`: as they were added."""
    present_by_number = {line.row_number: line for line in present}
    faults = []
    for index, line in enumerate(added):
        before = present_by_number[line.row_number]
        same = (line.hints, line.points_text) == (before.hints, before.points_text)
        if not same or (line.given or before.given) != before.given:
            faults.append(FieldViolation(f"rows[{index}].row_number", "was added with other content"))
    if faults:
        raise InvalidArgument.of(*faults)


def posting_of(team_id: UUID, import_id: UUID, terms: ImportTerms, row: PostedRow) -> Posting:
    """The posting of a row. Its key is made of import and line, so that no run of it counts twice."""
    body = ImportRow(row.points, terms.deduct_cumulative, import_id, terms.file_name, row.row_number)
    key = uuid5(import_id, f"row {row.row_number}")
    return Posting(key, team_id, row.customer_id, None, terms.actor, body)


def undoing_of(team_id: UUID, import_id: UUID, terms: ImportTerms, row: PostedRow) -> Posting:
    """The posting that takes a row back: the opposite of what it changed."""
    body = ImportUndo(-row.delta_balance, -row.delta_cumulative, import_id, terms.file_name, row.row_number)
    key = uuid5(import_id, f"undo of row {row.row_number}")
    return Posting(key, team_id, row.customer_id, None, terms.actor, body)


class ImportTerms(msgspec.Struct, frozen=True):
    """What an import is opened with."""

    file_name: str
    file_sha256: bytes
    deduct_cumulative: bool
    repeat: bool
    actor: str


class PostedRow(msgspec.Struct, frozen=True):
    """A row to be posted, or to be taken back."""

    row_number: int
    customer_id: UUID
    points: int
    delta_balance: int
    delta_cumulative: int


def outcome_of(answer: PostingAnswer) -> RowOutcome:
    """What an answer of the ledger makes of a row."""
    posted = answer.outcome
    if posted.status == Status.POSTED:
        return RowOutcome(
            RowStatus.APPLIED,
            "",
            posted.delta_balance,
            posted.delta_cumulative,
            posted.shortfall,
            posted.balance,
            posted.sequence,
        )
    if posted.reason == Reason.INSUFFICIENT:
        return RowOutcome(RowStatus.INSUFFICIENT, balance=posted.balance)
    if posted.reason == Reason.MODULE_MISSING:
        return RowOutcome(RowStatus.INVALID, Fault.MODULE_MISSING.value, balance=posted.balance)
    return RowOutcome(RowStatus.INVALID, Fault.OUT_OF_RANGE.value, balance=posted.balance)


def undone_of(answer: PostingAnswer) -> RowOutcome:
    """What an answer of the ledger makes of a row that was to be taken back."""
    posted = answer.outcome
    if posted.status == Status.POSTED:
        return RowOutcome(RowStatus.UNDONE, balance=posted.balance, sequence=posted.sequence)
    return RowOutcome(RowStatus.NOT_UNDONE, balance=posted.balance)


def not_posted(row: PostedRow) -> RowOutcome:
    """Of a row that the ledger fails to write, or to take back, whatever is tried."""
    undoing = row.delta_balance or row.delta_cumulative
    return RowOutcome(RowStatus.NOT_UNDONE if undoing else RowStatus.INVALID, Fault.NOT_POSTED.value)


def read_file(content: bytes) -> list[Line]:
    """The lines of a file; one that cannot be read has a fault. Raises InvalidArgument when the file is none with the
    right headings, or none of its lines can be read.
    """
    lines = _lines(tables.read_table(content))
    if lines and all(line.fault == Fault.MALFORMED for line in lines):
        _check_readable(content)
    return lines


def _check_readable(content: bytes) -> None:
    """Raises InvalidArgument for a file that is no text as a whole."""
    finder = tables.EncodingFinder()
    finder.feed(content)
    encoding = finder.found(whole=True)
    try:
        text = content[encoding.mark_length :].decode(encoding.name)
    except UnicodeDecodeError as error:
        place = encoding.mark_length + error.start
        raise _refused(f"must be UTF-8, UTF-16 or Big5; byte {place} is not") from error
    if "\0" in text:
        raise _refused("must not hold the character U+0000")


def _lines(table: Iterable[tables.Line]) -> list[Line]:
    heading: dict[str, int] | None = None
    lines: list[Line] = []
    width = 0
    for each in table:
        if heading is None:
            if each.broken:
                raise _refused("has a heading that is too long, or whose quotes are not closed")
            heading, width = _heading(each.cells), len(each.cells)
            continue
        if len(lines) == ROWS_MAX:
            raise _refused(f"must have at most {ROWS_MAX} lines")
        if each.broken:
            lines.append(Line(each.number, Hints(), "", fault=Fault.MALFORMED.value))
        else:
            lines.append(_line(each.number, each.cells, heading, width))
    if heading is None:
        raise _refused("is empty")
    return lines


def _heading(cells: Sequence[str]) -> dict[str, int]:
    """Field → column. Letter case, the form of letters, and signs between them do not matter (X-06)."""
    found: dict[str, int] = {}
    for column, cell in enumerate(cells):
        field = field_meant(tables.cell_text(cell))
        if field not in _FIELDS:
            continue
        if field in found:
            raise _refused(f"has the column {HEADINGS[field][0]} more than once")
        found[field] = column
    if "points" not in found:
        raise _refused(f"has no column {POINTS_COLUMN}")
    if len(found) == 1:
        raise _refused(f"has none of the columns {', '.join(HINT_COLUMNS.values())}")
    return found


def _line(number: int, cells: Sequence[str], heading: dict[str, int], width: int) -> Line:
    whole = _whole_line(cells, heading["points"], width)
    if whole is None:
        return Line(number, Hints(), "", fault=Fault.MALFORMED.value)
    texts = {field: tables.cell_text(whole[column]) for field, column in heading.items()}
    if any(map(_UNREADABLE.search, texts.values())):
        return Line(number, Hints(), "", fault=Fault.MALFORMED.value)
    points_text = texts.pop("points")
    if len(points_text) > POINTS_LENGTH_MAX or any(len(text) > CELL_LENGTH_MAX for text in texts.values()):
        return Line(number, Hints(), points_text[:POINTS_LENGTH_MAX], fault=Fault.MALFORMED.value)
    sound = {field: "" if tables.is_mangled(text) else text for field, text in texts.items()}
    if any(texts.values()) and not any(sound.values()):
        return Line(number, Hints(**texts), points_text, fault=Fault.MANGLED_NUMBER.value)
    return Line(number, Hints(**{field: as_key(text) for field, text in sound.items()}), points_text)


def _whole_line(cells: Sequence[str], points: int, width: int) -> Sequence[str] | None:
    """As many cells as the heading: spreadsheets leave blank ones at the end away, or add some. None where another one
    is too many, or where points may have slipped into another column."""
    if len(cells) > width:
        return None if any(cell.strip() for cell in cells[width:]) else cells[:width]
    if len(cells) <= points and _SHORT_NUMBER.fullmatch(cells[-1].strip()):
        return None
    return [*cells, *[""] * (width - len(cells))]


def _refused(description: str) -> InvalidArgument:
    return InvalidArgument.of(FieldViolation("csv", description))


def sample() -> list[list[str]]:
    """A file as it should look."""
    return [
        [*HINT_COLUMNS.values(), "Name", POINTS_COLUMN],
        ["M-0001", "", "", "Chan Tai Man", "50"],
        ["", "wong@example.com", "", "Wong Siu Ming", "-20"],
        ["", "", "+85291234567", "Lee Ka Yan", ""],
    ]
