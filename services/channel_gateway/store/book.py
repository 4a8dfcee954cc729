"""The service's book of queries, and how its column-wise statements get their arguments."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from libs.common.db.queries import QueryBook

QUERIES: Final = QueryBook.load("services.channel_gateway")
"""The hot path: batches."""
ADMIN: Final = QueryBook.load("services.channel_gateway", "sql/admin.sql")
"""Single resources, for people."""


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows turned into `width` columns, for `unnest`."""
    turned = [list(column) for column in zip(*rows, strict=True)]
    return turned or [[] for _ in range(width)]
