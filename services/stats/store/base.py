"""The book of all SQL of stats."""

from __future__ import annotations

from typing import Final

from libs.common.db.queries import QueryBook

BOOK: Final = QueryBook.load("services.stats")
