"""Files of contacts: what their columns are, and what a line says (S-06d, S-06e, P-10)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from libs.common import tables
from libs.common.audience.expressions import AttributeType, ChannelNumber
from libs.common.channel_ids import BUSINESS_SCOPED, SAID, is_person_id
from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.headings import HEADINGS, field_meant, field_named, letters
from libs.common.hints import (
    Reason,
    line_fault,
    read_email,
    read_id,
    read_name,
    read_phone_hint,
)
from libs.common.text import as_key, as_seen, fold
from services.segment.domain.changes import TAGS_MAX
from services.segment.domain.edits import Profile
from services.segment.domain.model import Attribute, IdentityKey

COLUMNS_MAX: Final = 200
HEADING_LENGTH_MAX: Final = 200
POINTS_MAX: Final = 10**12
POINTS: Final = "points"
POINTS_HEADING: Final = HEADINGS[POINTS][0]
EXTERNAL_ID: Final = "external_id"
ATTRIBUTE: Final = "attributes."
REPORT_HEADINGS: Final = ("Import Line", "Import Fault")
"""Columns that a report adds; they are passed over when it is loaded again."""
_TAG_SEPARATORS: Final = re.compile(r"[,;|、\uff0c\uff1b\n]")
_TAG_LENGTH_MAX: Final = 100
_DATE: Final = re.compile(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})", re.ASCII)
_YES: Final = frozenset({"true", "yes", "1", "是"})
_NO: Final = frozenset({"false", "no", "0", "否"})
_WHOLE: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DIGITS_MAX: Final = 100
_UNREADABLE: Final = re.compile(r"[\0\ud800-\udfff]")
_CUT: Final = "a spreadsheet has cut the number {}: make the column text and enter it again"


class Column(NamedTuple):
    """A column of a file."""

    heading: str
    field: str
    """What it fills; empty: it is passed over."""


class FileTerms(msgspec.Struct, frozen=True):
    """How the lines of a file are understood."""

    country: str
    """In whose form phones are read."""
    channel: int
    """0: the file is of no channel."""
    account_id: UUID | None
    columns: tuple[Column, ...]
    types: Mapping[str, AttributeType]
    """Of the attributes that the team has."""


class ContactLine(msgspec.Struct, frozen=True):
    """What a line says, or what is wrong with it."""

    number: int
    cells: tuple[str, ...]
    profile: Profile = Profile()
    points: int = 0
    fault: str = ""


def columns_of(
    heading: tables.Line, attributes: Iterable[Attribute], given: Mapping[str, str]
) -> tuple[Column, ...]:
    """What the columns of a heading are. `given`: heading → field, where people say it; it wins.

    Raises InvalidArgument.
    """
    if heading.broken:
        raise _refused("has a heading that is too long, or whose quotes are not closed")
    if any(map(_UNREADABLE.search, heading.cells)):
        raise _refused("is no table of text: save it as CSV, in UTF-8")
    if len(heading.cells) > COLUMNS_MAX:
        raise _refused(f"must have at most {COLUMNS_MAX} columns")
    usable = [each for each in attributes if not each.archived]
    said = {fold(as_key(name)): field for name, field in given.items()}
    known = {*HEADINGS, *(ATTRIBUTE + each.key for each in usable)}
    recognise = _recogniser(usable)
    columns: list[Column] = []
    for text in headings_of(heading):
        field = said.pop(fold(as_key(text)), None)
        columns.append(Column(text, recognise(text) if field is None else field))
    _check(columns, said, known)
    return tuple(columns)


def _recogniser(attributes: Iterable[Attribute]) -> Callable[[str], str]:
    """What a heading is that nobody has mapped. A field's name goes before an attribute's, and what is called just so
    before what has the same letters."""
    keyed = [(name, ATTRIBUTE + each.key) for each in attributes for name in (each.display_name, each.key)]
    keyed += [(field, field) for _, field in keyed]
    named = {fold(as_key(name)): field for name, field in keyed if name}
    meant = {letters(name): field for name, field in keyed if letters(name)}

    def recognise(heading: str) -> str:
        return (
            field_named(heading)
            or named.get(fold(as_key(heading)))
            or field_meant(heading)
            or meant.get(letters(heading), "")
        )

    return recognise


def headings_of(heading: tables.Line) -> list[str]:
    """The texts of a heading, as they are kept."""
    return [_UNREADABLE.sub("\ufffd", tables.cell_text(cell))[:HEADING_LENGTH_MAX] for cell in heading.cells]


def _check(columns: Sequence[Column], strange: Mapping[str, str], known: set[str]) -> None:
    for heading in strange:
        raise InvalidArgument.of(FieldViolation("mapping", f"the file has no column {heading!r}"))
    for column in columns:
        if column.field and column.field not in known:
            choices = ", ".join(sorted(known))
            raise InvalidArgument.of(
                FieldViolation("mapping", f"{column.field!r} is no field to be filled: take one of {choices}")
            )


POINTS_CLOSED: Final = (
    f"has the column {POINTS_HEADING}, and the team does not have the module POINTS: map it to nothing"
)


def columns_fault(columns: Sequence[Column], channel: int) -> str:
    """What keeps a file from being imported as its columns are understood, which another mapping may mend; empty:
    nothing."""
    fields = [column.field for column in columns if column.field]
    for field in fields:
        if fields.count(field) > 1:
            return f"has more than one column for {field}: map all but one to nothing"
    if not {"member_id", "phone", "email", EXTERNAL_ID} & set(fields):
        return "has no column that says whom a line is of: Member ID, Phone, Email or the id on the channel"
    if POINTS in fields and channel != ChannelNumber.WHATSAPP:
        return f"has the column {POINTS_HEADING}, which is for contacts of WhatsApp only: map it to nothing"
    if EXTERNAL_ID in fields and not channel:
        return "has a column of ids on a channel: say of which channel and account the contacts are"
    return ""


def read_line(line: tables.Line, terms: FileTerms) -> ContactLine:
    """What a line says. Total: what cannot be used is the fault of the line."""
    cells = tuple(_UNREADABLE.sub("\ufffd", cell) for cell in line.cells)
    if line.broken:
        return ContactLine(line.number, cells, fault="the line is too long, or a quote in it is not closed")
    if any(map(_UNREADABLE.search, line.cells)):
        return ContactLine(line.number, cells, fault="the line holds what cannot be read as text")
    if any(cell.strip() for cell in cells[len(terms.columns) :]):
        return ContactLine(line.number, cells, fault="the line has more cells than the heading")
    texts = {
        column.field: text
        for column, cell in zip(terms.columns, cells, strict=False)
        if column.field and (text := tables.cell_text(cell))
    }
    try:
        profile, points = _profile(texts, terms)
    except _LineFault as fault:
        return ContactLine(line.number, cells, fault=str(fault))
    return ContactLine(line.number, cells, profile, points)


class _LineFault(Exception):
    """What is wrong with a line, for people."""


def _profile(texts: Mapping[str, str], terms: FileTerms) -> tuple[Profile, int]:
    for field, text in texts.items():
        if tables.is_mangled(text) and field not in {"name", "tags", "email"}:
            raise _LineFault(f"{field}: {_CUT.format(text)}")
    phone = _read("phone", texts, lambda text: read_phone_hint(text, terms.country))
    identities = _identities(texts.get(EXTERNAL_ID, ""), phone, terms)
    points = _points(texts.get(POINTS, ""))
    if points and not identities:
        raise _LineFault(f"{POINTS_HEADING}: the line names no WhatsApp contact whom to give points to")
    profile = Profile(
        member_id=_read("member_id", texts, read_id) or None,
        name=_read("name", texts, read_name),
        phone=phone or None,
        email=_read("email", texts, read_email) or None,
        tags=_tags(texts.get("tags", "")),
        attributes=tuple(
            (key, attribute_text(text, terms.types.get(key, AttributeType.TEXT)))
            for field, text in sorted(texts.items())
            if field.startswith(ATTRIBUTE) and (key := field.removeprefix(ATTRIBUTE))
        ),
        identities=identities,
    )
    if not (profile.member_id or profile.phone or profile.email or identities):
        raise _LineFault("the line names nobody: no member id, phone, e-mail address or id on the channel")
    return profile, points


def _read(field: str, texts: Mapping[str, str], read: Callable[[str], str | Reason]) -> str:
    found = read(texts.get(field, ""))
    if isinstance(found, Reason):
        raise _LineFault(f"{field}: {found.value}")
    return found


def _identities(text: str, phone: str, terms: FileTerms) -> tuple[IdentityKey, ...]:
    if terms.account_id is None:
        return ()
    if terms.channel == ChannelNumber.WHATSAPP and not BUSINESS_SCOPED.fullmatch(as_key(text)):
        number = read_phone_hint(text, terms.country) if text else phone
        if isinstance(number, Reason):
            raise _LineFault(f"{EXTERNAL_ID}: {number.value}")
        text = number.removeprefix("+")
    else:
        text = _read(EXTERNAL_ID, {EXTERNAL_ID: text}, read_id)
    if text and not is_person_id(terms.channel, text):
        raise _LineFault(f"{EXTERNAL_ID}: {SAID[ChannelNumber(terms.channel)]}")
    return (IdentityKey(terms.channel, terms.account_id, text),) if text else ()


def _tags(text: str) -> tuple[str, ...]:
    tags = tuple(dict.fromkeys(tag for part in _TAG_SEPARATORS.split(text) if (tag := as_seen(part))))
    if len(tags) > TAGS_MAX:
        raise _LineFault(f"tags: at most {TAGS_MAX}")
    for tag in tags:
        if (fault := line_fault(tag, _TAG_LENGTH_MAX)) is not None:
            raise _LineFault(f"tags: {fault.value}")
    return tags


def attribute_text(text: str, kind: AttributeType) -> str:
    """A value as a spreadsheet writes it, as the type's own text; what is neither stays, and is judged as it is."""
    if kind is AttributeType.DATE and (found := _DATE.fullmatch(text)):
        return f"{found[1]}-{found[2]:>02}-{found[3]:>02}"
    if kind is AttributeType.BOOLEAN and fold(text) in _YES | _NO:
        return "true" if fold(text) in _YES else "false"
    return text


def _points(text: str) -> int:
    if text and not _WHOLE.fullmatch(text):
        raise _LineFault(f"{POINTS_HEADING}: must be a whole number such as 50 or -50, in plain digits")
    points = int(text or 0) if len(text) <= _DIGITS_MAX else POINTS_MAX + 1
    if abs(points) > POINTS_MAX:
        raise _LineFault(f"{POINTS_HEADING}: more points than one change may have")
    return points


def _refused(description: str) -> InvalidArgument:
    return InvalidArgument.of(FieldViolation("csv", description))


_CHANNEL_IDS: Final = {
    ChannelNumber.LINE: ("LINE User ID", "U4af4980629a1b0d5ae8e7d4a1f0f8c11"),
    ChannelNumber.WHATSAPP: ("WhatsApp Number", "886912345678"),
}


def sample(channel: int, *, with_points: bool) -> list[list[str]]:
    """A file as it should look, for contacts of a channel or, at 0, of none."""
    heading = ["Member ID", "Name", "Phone", "Email", "Tags"]
    lines = [
        ["M-0001", "陳怡君", "0912345678", "chan@example.com", "VIP;new"],
        ["M-0002", "Wong Siu Ming", "+85291234567", "wong@example.com", ""],
    ]
    if channel:
        name, id_ = _CHANNEL_IDS.get(ChannelNumber(channel), ("Channel ID", "24000000000000001"))
        heading.append(name)
        lines = [[*lines[0], id_], [*lines[1], "85291234567" if channel == ChannelNumber.WHATSAPP else ""]]
    if with_points and channel == ChannelNumber.WHATSAPP:
        heading.append(POINTS_HEADING)
        lines = [[*lines[0], "50"], [*lines[1], "-20"]]
    return [heading, *lines]
