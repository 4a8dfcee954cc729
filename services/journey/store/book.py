"""The service's queries by name; one file a noun in `sql/queries`."""

from __future__ import annotations

from typing import Final

from libs.common.db.queries import QueryBook

BOOK: Final = QueryBook.load("services.journey")
