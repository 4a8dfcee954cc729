"""Tables as spreadsheets write them: in which encoding a file is, what separates its cells, and what a cell means.

Pure, and used by every reader of files that people send. A file comes in parts with borders anywhere, as wide as the
sender likes; what is kept of it meanwhile is bounded (ADR 58).
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from libs.common.text import trimmed

LINE_LENGTH_MAX: Final = 64 * 1024
"""Characters of a line, those of all line breaks within its cells included. A longer one is broken."""
BREAKS_MAX: Final = 50
"""Line breaks within the cells of one line. A quote that is open for longer was never meant to be closed."""
_BIG5: Final = ("cp950", "big5hkscs")
"""As Windows in Taiwan and in Hong Kong writes it. Hardly any text of another encoding is one of these by chance."""
_SEPARATORS: Final = ",;\t"
_SAID_SEPARATOR: Final = re.compile(r'"?sep=([,;\t])"?', re.IGNORECASE)
"""A first line that is for the spreadsheet alone."""
_QUOTED: Final = re.compile(r'"[^"]*"')
_MANGLED: Final = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?E\+[0-9]{1,3}", re.ASCII | re.IGNORECASE)
_FORMULA_OF_TEXT: Final = re.compile(r'="((?:[^"]|"")*)"')
_FORMULA_SIGNS: Final = ("=", "+", "-", "@")
_END_OF_LINE: Final = re.compile(r"\r\n|\n|\r(?=[^\n])")
"""A carriage return counts when it is known what follows."""


class Line(NamedTuple):
    """A line of a table."""

    number: int
    """Of the file, from 1; of a cell with line breaks, where the line begins."""
    cells: list[str]
    end_byte: int = 0
    """Where in the file the next line begins."""
    next_number: int = 0
    """The number of that line."""
    broken: bool = False
    """It is too long, or its quotes are not closed as they should be; its text, if any, is its only cell."""


class Encoding(NamedTuple):
    """How a file is written."""

    name: str
    """As Python knows it."""
    mark_length: int = 0
    """Bytes of the byte order mark before the text."""

    @property
    def errors(self) -> str:
        """What becomes of bytes that are no text: a lone surrogate each, in the encodings that are taken whatever the
        bytes are."""
        if self.name in _BIG5:
            return "strict"
        return "surrogateescape" if self.name == "utf-8" else "surrogatepass"

    def length_of(self, text: str) -> int:
        """Bytes that the text has in the file."""
        if text.isascii():
            return len(text) * (2 if self.name.startswith("utf-16") else 1)
        return len(text.encode(self.name, self.errors))


_MARKS: Final = (
    (codecs.BOM_UTF8, Encoding("utf-8", len(codecs.BOM_UTF8))),
    (codecs.BOM_UTF16_LE, Encoding("utf-16-le", len(codecs.BOM_UTF16_LE))),
    (codecs.BOM_UTF16_BE, Encoding("utf-16-be", len(codecs.BOM_UTF16_BE))),
)


_HEAD_BYTES: Final = 64
"""Of a file without a mark: enough to see that every other byte is 0."""
_ZEROS_OF_UTF_16: Final = 8
"""One byte of so many, at least, is 0: each ASCII character has one."""


class EncodingFinder:
    """Which encoding a file is in: of its byte order mark, else UTF-16 where only every other byte of its head is 0,
    else UTF-8, or else Big5. What is none of them is UTF-8."""

    def __init__(self) -> None:
        """Of a file of which nothing is known yet."""
        self._head = b""
        self._left = {name: codecs.getincrementaldecoder(name)("strict") for name in ("utf-8", *_BIG5)}

    def feed(self, part: bytes) -> None:
        """Takes the next bytes of the file."""
        self._head += part[: _HEAD_BYTES - len(self._head)]
        self._decode(part, final=False)

    def found(self, *, whole: bool) -> Encoding:
        """What it is by all that was fed; `whole`: nothing follows."""
        marked = next((encoding for mark, encoding in _MARKS if self._head.startswith(mark)), None)
        if marked is not None:
            return marked
        if (unmarked := self._unmarked_utf_16()) is not None:
            return unmarked
        if whole:
            self._decode(b"", final=True)
        return Encoding(next(iter(self._left), "utf-8"))

    def _unmarked_utf_16(self) -> Encoding | None:
        """No text of another encoding holds zeros."""
        zeros = {place % 2 for place, byte in enumerate(self._head) if byte == 0}
        if len(zeros) != 1 or self._head.count(0) * _ZEROS_OF_UTF_16 < len(self._head):
            return None
        return Encoding("utf-16-le" if zeros == {1} else "utf-16-be")

    def _decode(self, part: bytes, *, final: bool) -> None:
        for name, decoder in list(self._left.items()):
            try:
                decoder.decode(part, final)
            except UnicodeDecodeError:
                del self._left[name]


class TableReader:
    """Makes lines of the bytes of a file, part by part, from its beginning or from where a line begins."""

    def __init__(
        self, encoding: Encoding, *, separator: str = "", byte: int | None = None, number: int = 1
    ) -> None:
        """`separator` empty: as the heading says, which is read then. `byte`: from where bytes are fed, by default
        behind the byte order mark; `number` of the line that begins there."""
        self.separator = separator
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding.name)(encoding.errors)
        self._byte = encoding.mark_length if byte is None else byte
        self._number = number
        self._rest = ""
        """Text behind the last end of a line."""
        self._skipped = 0
        """Bytes of a line that is too long, as far as they are not kept."""
        self._waiting: deque[str | int] = deque()
        """Whole lines of the file of which no line of the table was made yet; of those too long, their bytes."""

    def feed(self, part: bytes) -> Iterator[Line]:
        """The lines that end in the next bytes."""
        self._split(self._decoder.decode(part))
        return self._lines(whole=False)

    def end(self) -> Iterator[Line]:
        """The lines that are left when nothing follows."""
        left = self._decoder.getstate()[0]
        if self._encoding.name.startswith("utf-16"):
            left = left[: len(left) - len(left) % 2]
        self._split(left.decode(self._encoding.name, self._encoding.errors))
        if self._rest or self._skipped:
            self._keep(self._rest)
        self._rest = ""
        return self._lines(whole=True)

    def _split(self, text: str) -> None:
        text = self._rest + text
        place = 0
        for found in _END_OF_LINE.finditer(text):
            self._keep(text[place : found.end()])
            place = found.end()
        self._rest = text[place:]
        if len(self._rest) > LINE_LENGTH_MAX and not self._rest.endswith("\r"):
            self._skipped += self._encoding.length_of(self._rest)
            self._rest = ""

    def _keep(self, line: str) -> None:
        if self._skipped or len(line) > LINE_LENGTH_MAX:
            self._waiting.append(self._skipped + self._encoding.length_of(line))
            self._skipped = 0
        else:
            self._waiting.append(line)

    def _lines(self, *, whole: bool) -> Iterator[Line]:
        while self._waiting:
            first = self._waiting[0]
            if isinstance(first, int):
                yield self._taken([], 1, broken=True)
                continue
            if not self.separator:
                named = _SAID_SEPARATOR.fullmatch(first.strip(" \r\n"))
                if named is not None or not first.strip(_SEPARATORS + " \r\n"):
                    self.separator = named[1] if named is not None else ""
                    self._taken([], 1)
                    continue
                self.separator = _separator(first)
            if '"' not in first:
                cells: list[str] | None = first.rstrip("\r\n").split(self.separator)
                count = 1
            else:
                cells, count = self._quoted(whole=whole)
                if count == 0:
                    return
            line = self._taken(
                [first.rstrip("\r\n")] if cells is None else cells, count, broken=cells is None
            )
            if any(cell.strip() for cell in line.cells):
                yield line

    def _quoted(self, *, whole: bool) -> tuple[list[str] | None, int]:
        """The cells of the next line and of how many lines of the file it is made; None for those of a broken one, of
        which only the first line of the file is taken, and 0 lines where more have to be known."""
        source = _Source(self._waiting, whole=whole)
        try:
            return next(csv.reader(source, delimiter=self.separator, strict=True)), source.count
        except _MoreNeeded:
            return None, 0
        except (csv.Error, _NeverClosed):
            return None, 1

    def _taken(self, cells: list[str], count: int, *, broken: bool = False) -> Line:
        number = self._number
        for _ in range(count):
            line = self._waiting.popleft()
            self._byte += line if isinstance(line, int) else self._encoding.length_of(line)
        self._number += count
        return Line(number, cells, self._byte, self._number, broken)


class _MoreNeeded(Exception):
    """A quote is open where what was fed ends."""


class _NeverClosed(Exception):
    """A quote is open for longer than any cell is."""


class _Source(Iterator[str]):
    """Lines of the file for one line of the table."""

    def __init__(self, waiting: Iterable[str | int], *, whole: bool) -> None:
        self.count = 0
        self._waiting = iter(waiting)
        self._whole = whole
        self._length = 0

    def __next__(self) -> str:
        line = next(self._waiting, None)
        if line is None:
            if self._whole:
                raise StopIteration
            raise _MoreNeeded
        if isinstance(line, int) or self.count > BREAKS_MAX or self._length + len(line) > LINE_LENGTH_MAX:
            raise _NeverClosed
        self.count += 1
        self._length += len(line)
        return line


def read_table(content: bytes) -> Iterator[Line]:
    """The lines of a whole file that hold anything."""
    finder = EncodingFinder()
    finder.feed(content)
    encoding = finder.found(whole=True)
    reader = TableReader(encoding)
    yield from reader.feed(content[encoding.mark_length :])
    yield from reader.end()


def _separator(heading: str) -> str:
    """What the heading has most outside of quotes; a comma where nothing separates its cells."""
    return max(_SEPARATORS, key=_QUOTED.sub("", heading).count)


def cell_text(cell: str) -> str:
    """What a cell means: without blanks and what else nobody sees around it, without the apostrophe that keeps
    spreadsheets from taking it for a formula, and without the formula `="…"` that keeps them from taking it for a
    number.
    """
    text = trimmed(cell)
    if text.startswith("'") and text[1:].startswith(_FORMULA_SIGNS):
        text = text[1:]
    formula = _FORMULA_OF_TEXT.fullmatch(text)
    return trimmed(formula[1].replace('""', '"')) if formula else text


def is_mangled(text: str) -> bool:
    """Whether a spreadsheet took a long number for a quantity and left its first digits only: 8.86912E+11."""
    return _MANGLED.fullmatch(text) is not None
