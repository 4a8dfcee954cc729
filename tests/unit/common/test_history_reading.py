"""Pages of another service's history, as it hands them on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import grpc
import msgspec
import pytest

from libs.common.errors import Unavailable
from libs.common.feeds.reading import PackedHistory
from libs.common.feeds.rows import EntryRow, FactRow, GatewayRow, RecordRow, pack_rows, reader_of
from libs.testing.feeds import FeedServer
from libs.testing.history_rows import NOON, TEAM, entry, order, receipt, sent
from omnijourney.internal.v1 import history_service_pb2, history_service_pb2_grpc

ANN = UUID(int=5)
PACKED = history_service_pb2.HISTORY_FORM_PACKED


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (GatewayRow, [sent(ANN), receipt(ANN, 2)]),
        (EntryRow, [entry(ANN, 1, 5, asked=7)]),
        (FactRow, [order(ANN)]),
        (RecordRow, [RecordRow(71, 2**40, TEAM.bytes, b"\xff")]),
    ],
)
def test_rows_are_read_as_they_were_packed(kind: Any, rows: list[Any]) -> None:
    assert reader_of(kind)(pack_rows(rows)) == rows
    assert reader_of(kind)(pack_rows([msgspec.structs.astuple(row) for row in rows])) == rows
    assert reader_of(kind)(b"") == []


def test_rows_of_the_release_before_and_of_the_one_after_are_read() -> None:
    short, long = (1, 2, TEAM.bytes, ANN.bytes, NOON), (1, 3, TEAM.bytes, ANN.bytes, NOON, 4, 5, 6, 7, "new")
    assert reader_of(EntryRow)(pack_rows([short, long])) == [
        EntryRow(1, 2, TEAM.bytes, ANN.bytes, NOON),
        EntryRow(1, 3, TEAM.bytes, ANN.bytes, NOON, 4, 5, 6, 7),
    ]


def test_a_row_of_another_form_is_as_one_that_cannot_be_read_and_spoils_no_other() -> None:
    sound, odd, bare = (1, 2, TEAM.bytes, ANN.bytes, NOON), (1, 3, TEAM.bytes, "Ann", NOON), (1, 4, None)
    assert [(row.position, row.team) for row in reader_of(EntryRow)(pack_rows([sound, odd, bare]))] == [
        (2, TEAM.bytes),
        (3, None),
        (4, None),
    ]


class Answering(history_service_pb2_grpc.HistoryServiceServicer):
    """Gives one answer."""

    def __init__(self, answer: history_service_pb2.ListHistoryResponse) -> None:
        self._answer = answer

    async def ListHistory(self, request: Any, context: Any) -> Any:  # noqa: N802 - the generated base names it
        return self._answer


@asynccontextmanager
async def reading(answer: history_service_pb2.ListHistoryResponse) -> AsyncIterator[PackedHistory[EntryRow]]:
    server = grpc.aio.server()
    history_service_pb2_grpc.add_HistoryServiceServicer_to_server(Answering(answer), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield PackedHistory("points", channel, EntryRow)
    await server.stop(None)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (history_service_pb2.ListHistoryResponse(), "another release"),
        (history_service_pb2.ListHistoryResponse(form=PACKED, rows=b"\xc1"), "no page"),
        (history_service_pb2.ListHistoryResponse(form=PACKED, rows=pack_rows([(1,)])), "no page"),
    ],
)
async def test_an_answer_that_is_none_moves_nothing_and_is_asked_for_again(answer: Any, says: str) -> None:
    async with reading(answer) as history:
        with pytest.raises(Unavailable, match=says):
            await history.read({1: 0}, 0, 10)


async def test_a_reader_asks_for_fewer_rows_where_a_page_fits_into_no_message() -> None:
    async with FeedServer("journey").serving() as feed:
        feed.record(*(RecordRow(3, 0, TEAM.bytes, bytes([n]) * 3_000_000) for n in range(4)))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{feed.port}") as channel:
            page = await PackedHistory("journey", channel, RecordRow).read({3: 0, 4: 0}, 0, 10)
    assert [row.body[0] for row in page.rows] == [0]
    assert page.cursors == {3: 1, 4: 0}
    assert feed.reads > 1
