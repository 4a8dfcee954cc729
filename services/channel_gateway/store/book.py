"""The service's book of queries, and how its column-wise statements get their arguments."""

from collections.abc import Container, Iterable, Sequence
from typing import Any, Final

from libs.common.db.queries import QueryBook

QUERIES: Final = QueryBook.load("services.channel_gateway")
"""All statements, one file a noun."""


def columns(rows: Iterable[Sequence[Any]], width: int) -> list[list[Any]]:
    """Rows turned into `width` columns, for `unnest`."""
    turned = [list(column) for column in zip(*rows, strict=True)]
    return turned or [[] for _ in range(width)]


def slim_columns(rows: Iterable[Sequence[Any]], width: int, keys: Container[int]) -> list[list[Any]]:
    """The same, a column that is the same in all rows as one value (`same_or` in SQL): most are, and the driver takes
    longer for a value than the server. The columns numbered in `keys` stay whole."""
    return [
        column[:1] if number not in keys and column.count(column[0]) == len(column) else column
        for number, column in enumerate(columns(rows, width))
    ]
