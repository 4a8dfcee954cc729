"""Pages of a history: bounded in bytes, and one row that cannot be told hides no other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from libs.common.errors import InvalidArgument
from libs.common.feeds import serving
from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.rows import HistoryRow, reader_of
from libs.common.feeds.serving import HistoryServicer, Reading
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import history_service_pb2

PACKED = history_service_pb2.HISTORY_FORM_PACKED
NO_VALUE = object()
"""No msgpack can be made of it."""


class NoteRow(HistoryRow, array_like=True):
    note: str = ""


READ = reader_of(NoteRow)


class Row(NamedTuple):
    partition: int
    position: int
    note: str = ""


class Rows:
    """A history of notes; of one that says "bad" or "odd" no row can be made."""

    def __init__(self, *rows: Row) -> None:
        self.rows = rows

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Row]:
        async def page() -> tuple[list[Row], dict[int, int]]:
            found = [row for row in self.rows if row.position > cursors.get(row.partition, 1_000)][:size]
            return found, {**cursors, **{row.partition: row.position for row in found}}

        return Reading(page, CommitNotifier())

    partitions = 10

    def values(self, rows: Sequence[Row]) -> Sequence[tuple[Any, ...]]:
        assert all(row.note != "bad" for row in rows)
        return [
            (row.partition, row.position, b"t" * 16, NO_VALUE if row.note == "odd" else row.note)
            for row in rows
        ]

    def place(self, row: Row) -> tuple[int, int]:
        return row.partition, row.position


async def read_all(*rows: Row, size: int = 10) -> list[list[tuple[int, int, str]]]:
    """The pages, as a reader gets them that goes on from where each has led."""
    servicer = HistoryServicer(Rows(*rows), asyncio.Event())
    cursors = {row.partition: 0 for row in rows}
    pages: list[list[tuple[int, int, str]]] = []
    while True:
        given = [HistoryCursor(partition=p, after_position=at) for p, at in cursors.items()]
        request = history_service_pb2.ListHistoryRequest(cursors=given, page_size=size, form=PACKED)
        answer: Any = await servicer.ListHistory(request, None)
        assert answer.ByteSize() <= serving.ROW_BYTES_MAX + 1_000
        assert answer.form == PACKED
        moved = {cursor.partition: cursor.after_position for cursor in answer.next_cursors}
        assert all(position > cursors[partition] for partition, position in moved.items())
        if not answer.rows:
            assert not moved
            return pages
        pages.append([(row.partition, row.position, row.note[:9]) for row in READ(answer.rows)])
        cursors |= moved


@pytest.mark.parametrize("note", ["bad", "odd"])
async def test_a_row_that_cannot_be_read_is_named_by_its_place(note: str) -> None:
    assert await read_all(Row(0, 1, "a"), Row(0, 2, note), Row(1, 1, "b")) == [
        [(0, 1, "a"), (0, 2, ""), (1, 1, "b")]
    ]


async def test_a_reader_of_the_release_before_is_refused_by_name() -> None:
    servicer = HistoryServicer(Rows(Row(0, 1, "a")), asyncio.Event())
    request = history_service_pb2.ListHistoryRequest(cursors=[HistoryCursor(partition=0)])
    with pytest.raises(InvalidArgument) as caught:
        await servicer.ListHistory(request, None)
    (fault,) = caught.value.violations
    assert fault.field == "form"
    assert "release before" in fault.description


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
