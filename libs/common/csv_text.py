"""CSV that people open in spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


BYTE_ORDER_MARK: Final = "\ufeff".encode()
"""Spreadsheets take a file that begins with it for UTF-8, and any other for the encoding of their country."""


def csv_lines(lines: Iterable[Sequence[object]]) -> bytes:
    """Whole lines, UTF-8."""
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue().encode()
