"""Pages of a history: bounded in bytes, and one row that cannot be told hides no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from libs.common.feeds import serving
from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.serving import HistoryServicer, Reading
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import history_service_pb2
from omnijourney.points.v1 import entry_pb2


class Row(NamedTuple):
    partition: int
    position: int
    note: str = ""


class Rows:
    """A history of notes; of one that says "bad" no message can be made."""

    def __init__(self, *rows: Row) -> None:
        self.rows = rows

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Row]:
        async def page() -> tuple[list[Row], dict[int, int]]:
            found = [row for row in self.rows if row.position > cursors.get(row.partition, 1_000)][:size]
            return found, {**cursors, **{row.partition: row.position for row in found}}

        return Reading(page, CommitNotifier())

    def answer(self, rows: Sequence[Row]) -> history_service_pb2.ListHistoryResponse:
        assert all(row.note != "bad" for row in rows)
        entries = (
            entry_pb2.Entry(partition=row.partition, position=row.position, note=row.note) for row in rows
        )
        return history_service_pb2.ListHistoryResponse(entries=entries)

    def place(self, row: Row) -> tuple[int, int]:
        return row.partition, row.position

    def unreadable(self, row: Row) -> history_service_pb2.ListHistoryResponse:
        return self.answer([row._replace(note="")])


async def read_all(*rows: Row, size: int = 10) -> list[list[tuple[int, int, str]]]:
    """The pages, as a reader gets them that goes on from where each has led."""
    servicer = HistoryServicer(Rows(*rows), asyncio.Event())
    cursors = {row.partition: 0 for row in rows}
    pages: list[list[tuple[int, int, str]]] = []
    while True:
        given = [HistoryCursor(partition=p, after_position=at) for p, at in cursors.items()]
        request = history_service_pb2.ListHistoryRequest(cursors=given, page_size=size)
        answer: Any = await servicer.ListHistory(request, None)
        assert answer.ByteSize() <= serving.ROW_BYTES_MAX + 1_000
        if not answer.entries:
            return pages
        pages.append([(each.partition, each.position, each.note[:9]) for each in answer.entries])
        cursors = {cursor.partition: cursor.after_position for cursor in answer.next_cursors}


async def test_a_row_that_cannot_be_read_is_named_by_its_place() -> None:
    assert await read_all(Row(0, 1, "a"), Row(0, 2, "bad"), Row(1, 1, "b")) == [
        [(0, 1, "a"), (0, 2, ""), (1, 1, "b")]
    ]


async def test_a_row_that_fits_into_no_message_is_named_by_its_place() -> None:
    huge = "x" * (serving.ROW_BYTES_MAX + 1)
    assert await read_all(Row(0, 1, "a"), Row(0, 2, huge), Row(0, 3, "b")) == [
        [(0, 1, "a"), (0, 2, ""), (0, 3, "b")]
    ]


async def test_a_page_has_as_many_rows_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HISTORY_BYTES_MAX", 2_500)
    rows = [Row(partition, position, "x" * 1_000) for partition in (0, 3, 9) for position in (1, 2, 3)]
    pages = await read_all(*rows)
    assert [each[:2] for page in pages for each in page] == [row[:2] for row in rows]
    assert max(map(len, pages)) == 2


async def test_a_row_larger_than_a_page_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HISTORY_BYTES_MAX", 500)
    pages = await read_all(Row(0, 1, "a"), Row(0, 2, "x" * 1_000), Row(1, 1, "b"))
    assert [len(page) for page in pages] == [1, 1, 1]
