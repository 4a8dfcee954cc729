"""YAML and JSON as trees of items that know their lines, and back to text. Pure; knows nothing of definitions.

Of YAML it takes what says one thing only: one document, no aliases, no tags. Plain scalars stay as they are written, so
that `no` or `1_000` is whatever the field that holds it is.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

DEPTH_MAX: Final = 120
"""Lists and mappings within each other: a definition that the contract takes has fewer."""
ITEMS_MAX: Final = 250_000
"""Values, keys, lists and mappings of a text, some 150 bytes each in memory."""
_UNPRINTABLE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not take as it is."""
_ESCAPED: Final = re.compile(
    "[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""What stands escaped in a quoted scalar: the unprintable, line breaks of any kind and the byte order mark."""
_PLAIN: Final = re.compile(
    r"[^\W\d][\w./+-]*(?: [\w./+-]+)*"  # words
    r"|(?:[0-9]+[dhms])+"  # spans
    r"|[0-9]+(?:\.[0-9]+)? [A-Z]{3}"  # amounts
)
_RESERVED: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that some reader of YAML takes for something else than a text."""
_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class TextFault(Exception):
    """Why a text cannot be read at all."""

    def __init__(self, line: int, message: str) -> None:
        """`line` counts from 1."""
        super().__init__(message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value. `quoted`: certainly a text; otherwise it is what its field makes of it."""

    line: int
    text: str
    quoted: bool

    @property
    def is_null(self) -> bool:
        """Whether it says that there is nothing."""
        return not self.quoted and self.text in {"", "~", "null"}


@dataclass(frozen=True, slots=True)
class Listing:
    """Values in order."""

    line: int
    items: list[Item] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    """Values by their keys, each with the line of its key."""

    line: int
    entries: dict[str, tuple[int, Item]] = field(default_factory=dict)

    def add(self, key: str, line: int, value: Item) -> None:
        """Raises TextFault for a key that is there."""
        if key in self.entries:
            raise TextFault(line, f"{key!r} stands here twice; first in line {self.entries[key][0]}")
        self.entries[key] = (line, value)


Item: TypeAlias = Scalar | Listing | Mapping
Plain: TypeAlias = "dict[str, Plain] | list[Plain] | str | int | bool"
"""What is written: as the standard library has it."""


# ---- YAML ------------------------------------------------------------------------------------------------------


def read_yaml(text: str) -> Item:
    """The one document of a text. Raises TextFault."""
    text = text.removeprefix("\ufeff")
    if found := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise TextFault(line, f"holds the character U+{ord(found.group()):04X}, which has to be escaped")
    try:
        return _document(_bounded(yaml.parse(text, Loader=_LOADER)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "it cannot be read"
        raise TextFault(mark.line + 1 if mark else 1, f"is no YAML: {what}") from None
    except yaml.YAMLError as error:
        raise TextFault(1, f"is no YAML: {error}") from None


def _bounded(events: Iterator[Any]) -> Iterator[Any]:
    """Raises TextFault when there are too many."""
    for count, event in enumerate(events):
        if count > ITEMS_MAX:
            raise TextFault(_line(event), f"has more than {ITEMS_MAX} values by this line")
        yield event


def _document(events: Iterator[Any]) -> Item:
    next(events)  # the stream begins
    if not isinstance(next(events), yaml.DocumentStartEvent):
        raise TextFault(1, "is empty")
    item = _item(next(events), events, 1)
    next(events)  # the document ends
    after = next(events)
    if isinstance(after, yaml.DocumentStartEvent):
        raise TextFault(_line(after), "begins a second document; a text holds one")
    return item


def _item(event: Any, events: Iterator[Any], depth: int) -> Item:
    line = _line(event)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise TextFault(line, "has an anchor or an alias, which are not taken: write it out")
    if event.tag is not None:
        raise TextFault(line, f"has the tag {event.tag}; tags are not taken")
    if isinstance(event, yaml.ScalarEvent):
        return Scalar(line, event.value, quoted=bool(event.style))
    if depth > DEPTH_MAX:
        raise TextFault(line, f"is nested deeper than {DEPTH_MAX} levels")
    if isinstance(event, yaml.SequenceStartEvent):
        listing = Listing(line)
        while not isinstance(following := next(events), yaml.SequenceEndEvent):
            listing.items.append(_item(following, events, depth + 1))
        return listing
    mapping = Mapping(line)
    while not isinstance(following := next(events), yaml.MappingEndEvent):
        key = _item(following, events, depth + 1)
        if not isinstance(key, Scalar):
            raise TextFault(key.line, "has a list or a mapping as its key")
        mapping.add(key.text, key.line, _item(next(events), events, depth + 1))
    return mapping


def _line(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


# ---- JSON ------------------------------------------------------------------------------------------------------

_BLANK: Final = re.compile(r"[ \t\n\r]*")
_LITERAL: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null", re.ASCII)


def read_json(text: str) -> Item:
    """The one value of a text. Raises TextFault."""
    return _Json(text.removeprefix("\ufeff")).whole()


class _Json:
    """A reader that keeps lines, which the standard library's does not."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._items = 0
        self._breaks = [found.start() for found in re.finditer("\n", text)]
        self._strings = json.JSONDecoder()

    def whole(self) -> Item:
        item = self._item(1)
        if self._peek():
            raise self._fault("goes on after its end")
        return item

    @property
    def _line(self) -> int:
        return bisect_right(self._breaks, self._at - 1) + 1

    def _fault(self, what: str) -> TextFault:
        return TextFault(self._line, f"is no JSON: {what}")

    def _peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank else self._at
        return self._text[self._at : self._at + 1]

    def _take(self, character: str) -> None:
        if self._peek() != character:
            raise self._fault(f"{character!r} is missing before {self._text[self._at : self._at + 10]!r}")
        self._at += 1

    def _item(self, depth: int) -> Item:
        first, line = self._peek(), self._line
        self._items += 1
        if self._items > ITEMS_MAX:
            raise TextFault(line, f"has more than {ITEMS_MAX} values by this line")
        if depth > DEPTH_MAX:
            raise TextFault(line, f"is nested deeper than {DEPTH_MAX} levels")
        if first == '"':
            return Scalar(line, self._string(), quoted=True)
        if first == "[":
            listing = Listing(line)
            for _ in self._members("[", "]"):
                listing.items.append(self._item(depth + 1))
            return listing
        if first == "{":
            return self._mapping(Mapping(line), depth)
        if not (found := _LITERAL.match(self._text, self._at)):
            raise self._fault(f"there is no value at {self._text[self._at : self._at + 10]!r}")
        self._at = found.end()
        return Scalar(line, found.group(), quoted=False)

    def _mapping(self, mapping: Mapping, depth: int) -> Mapping:
        for _ in self._members("{", "}"):
            self._peek()
            line, key = self._line, self._string()
            self._take(":")
            mapping.add(key, line, self._item(depth + 1))
        return mapping

    def _members(self, opening: str, closing: str) -> Iterator[None]:
        """Once for each member, before which it stands."""
        self._take(opening)
        if self._peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self._peek() == closing:
                self._at += 1
                return
            self._take(",")

    def _string(self) -> str:
        if self._peek() != '"':
            raise self._fault(f"a text in quotes is missing before {self._text[self._at : self._at + 10]!r}")
        try:
            value, self._at = self._strings.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            raise TextFault(error.lineno, f"is no JSON: {error.msg}") from None
        return str(value)


# ---- out -------------------------------------------------------------------------------------------------------


def json_text(value: Plain) -> str:
    """As JSON, indented, keys in the order that they have."""
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def yaml_text(value: Plain) -> str:
    """As YAML in blocks, keys in the order that they have. The same value always gives the same text, and any reader of
    YAML 1.1 or 1.2 gets the same value."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: Plain) -> list[str]:
    if isinstance(value, dict) and value:
        return [line for key, each in value.items() for line in _entry(f"{_scalar(key)}:", each)]
    if isinstance(value, list) and value:
        return [line for each in value for line in _member(_lines(each))]
    return [_scalar(value)]


def _entry(key: str, value: Plain) -> list[str]:
    lines = _lines(value)
    if isinstance(value, dict) and value:
        return [key, *(f"  {line}" for line in lines)]
    if isinstance(value, list) and value:
        return [key, *lines]
    return [f"{key} {lines[0]}"]


def _member(lines: list[str]) -> list[str]:
    return [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]


def _scalar(value: Plain) -> str:
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED else _quoted(value)
    return json.dumps(value)  # a number, true, false, and what is empty


def _quoted(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(text, ensure_ascii=False))
