"""CSV that people open in spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def harmless(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def csv_lines(lines: Iterable[Sequence[object]]) -> bytes:
    """Whole lines, UTF-8."""
    out = io.StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue().encode()
