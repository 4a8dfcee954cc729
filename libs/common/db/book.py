"""The queries of what all services share, which stand in `sql/queries` beside this package."""

from __future__ import annotations

from typing import Final

from libs.common.db.queries import QueryBook

BOOK: Final = QueryBook.load("libs.common")
