"""Tables as spreadsheets write them: the text of a file, what separates its cells, and what a cell means.

Pure, and used by every reader of files that people send.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_MARKS: Final = (
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_BIG5: Final = ("cp950", "big5hkscs")
"""As Windows in Taiwan and in Hong Kong writes it. Hardly any text of another encoding is one of these by chance."""
_SEPARATORS: Final = ",;\t"
_QUOTED: Final = re.compile(r'"[^"]*"')
_MANGLED: Final = re.compile(r"[+-]?[0-9](?:[.,][0-9]+)?E\+[0-9]{1,3}", re.ASCII | re.IGNORECASE)
_FORMULA_OF_TEXT: Final = re.compile(r'="((?:[^"]|"")*)"')
_FORMULA_SIGNS: Final = ("=", "+", "-", "@")


class Line(NamedTuple):
    """A line of a table."""

    number: int
    """Of the file, from 1; of a cell with line breaks, where the line begins."""
    cells: list[str]


def text_of(content: bytes) -> str:
    """The text of a file in UTF-8 or UTF-16 with its byte order mark, in UTF-8 without one, or in Big5.

    What is none of them is read as UTF-8, with a lone surrogate for each byte that is not. Never raises.
    """
    if content.startswith(codecs.BOM_UTF8):
        return content.decode("utf-8-sig", errors="surrogateescape")
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            whole = len(content) - len(content) % 2
            return content[len(mark) : whole].decode(encoding, errors="surrogatepass")
    for encoding in ("utf-8", *_BIG5):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("utf-8", errors="surrogateescape")


def lines_of(text: str) -> Iterator[Line]:
    """The lines that hold anything; what separates cells is what separates the heading most. Raises `csv.Error`."""
    source = text.removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(source, newline=""), delimiter=_separator(source), strict=True)
    begins = 1
    try:
        for cells in reader:
            number, begins = begins, reader.line_num + 1
            if any(cell.strip() for cell in cells):
                yield Line(number, cells)
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from error


def _separator(text: str) -> str:
    """Of the first line that holds anything but separators; a comma where nothing separates its cells."""
    lines = (line for line in io.StringIO(text) if line.strip(_SEPARATORS + " \r\n"))
    bare = _QUOTED.sub("", next(lines, ""))
    return max(_SEPARATORS, key=bare.count)


def cell_text(cell: str) -> str:
    """What a cell means: without blanks around it, without the apostrophe that keeps spreadsheets from taking it for a
    formula, and without the formula `="…"` that keeps them from taking it for a number.
    """
    text = cell.strip()
    if text.startswith("'") and text[1:].startswith(_FORMULA_SIGNS):
        text = text[1:]
    formula = _FORMULA_OF_TEXT.fullmatch(text)
    return formula[1].replace('""', '"').strip() if formula else text


def is_mangled(text: str) -> bool:
    """Whether a spreadsheet took a long number for a quantity and left its first digits only: 8.86912E+11."""
    return _MANGLED.fullmatch(text) is not None
