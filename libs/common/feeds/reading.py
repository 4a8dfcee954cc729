"""Reading the history of another service, row by row as it hands them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Generic

import grpc

from libs.common.errors import Unavailable
from libs.common.feeds.follower import Page
from libs.common.feeds.rows import Row, reader_of
from libs.common.rpc.client import CALL_DEADLINE_S, fitting_page
from libs.common.rpc.values import duration
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import history_service_pb2, history_service_pb2_grpc

_PACKED: Final = history_service_pb2.HISTORY_FORM_PACKED


class PackedHistory(Generic[Row]):
    """The rows of one service, a `libs.common.feeds.follower.History`."""

    def __init__(
        self,
        name: str,
        channel: grpc.aio.Channel,
        row: type[Row],
        *,
        kinds: Sequence[Any] = (),
        content_only: bool = False,
    ) -> None:
        """`name` of the service that `channel` leads to, `row` its struct; `kinds` of segment's facts, none: all;
        `content_only`: of the gateway's rows only those that tell of content that is gone."""
        self.name = name
        self._stub = history_service_pb2_grpc.HistoryServiceStub(channel)
        self._kinds = kinds
        self._content_only = content_only
        self._read: Callable[[bytes], list[Row]] = reader_of(row)

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int) -> Page[Row]:
        """See `libs.common.feeds.follower.History`. Raises Unavailable also for a service of another release, which
        hands rows on in a form that is not read."""
        request = history_service_pb2.ListHistoryRequest(
            cursors=[HistoryCursor(partition=p, after_position=at) for p, at in cursors.items()],
            wait=duration(timedelta(seconds=wait_s)),
            kinds=self._kinds,
            form=_PACKED,
            content_only=self._content_only,
        )

        async def read(rows: int) -> history_service_pb2.ListHistoryResponse:
            request.page_size = rows
            answer: history_service_pb2.ListHistoryResponse = await self._stub.ListHistory(
                request, timeout=CALL_DEADLINE_S + wait_s
            )
            return answer

        try:
            response = await fitting_page(read, rows_max)
        except grpc.aio.AioRpcError as error:
            raise self._unavailable(f"{error.code().name} {error.details()}") from error
        if response.form != _PACKED:
            raise self._unavailable("it is of another release, and hands its history on in another form")
        try:
            rows = self._read(response.rows)
        except ValueError as error:  # msgspec's, too
            raise self._unavailable(f"what it hands on is no page of rows: {error}") from error
        following = {cursor.partition: cursor.after_position for cursor in response.next_cursors}
        return Page(rows, {**cursors, **following}, response.at_end)

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(
            "DEPENDENCY_UNAVAILABLE",
            f"{self.name} does not answer: {why}",
            metadata={"dependency": self.name},
        )
