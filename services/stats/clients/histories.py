"""The histories of the other services, all read alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import grpc

from libs.common.errors import Unavailable
from libs.common.feeds.follower import Page
from libs.common.rpc.client import CALL_DEADLINE_S, fitting_page
from libs.common.rpc.values import duration
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import history_service_pb2, history_service_pb2_grpc
from omnijourney.segment.v1 import history_pb2 as segment_facts
from services.stats.domain.model import Source

PAGE_ROWS: Final = 2_000
"""Rows of one page: about 1 MB, counted in some 20 ms."""


class Peers(NamedTuple):
    """A channel to each service."""

    journey: grpc.aio.Channel
    points: grpc.aio.Channel
    channel_gateway: grpc.aio.Channel
    segment: grpc.aio.Channel


class GrpcHistory:
    """The history of any of the four services: they differ in the list that holds their rows only."""

    def __init__(self, source: Source, name: str, channel: grpc.aio.Channel, request: Any, rows: str) -> None:
        """`request` makes a request from cursors and a wait; `rows` is the answer's list."""
        self.source = source
        self.name = name
        self._call = history_service_pb2_grpc.HistoryServiceStub(channel).ListHistory
        self._request = request
        self._rows = rows

    async def read(self, cursors: Mapping[int, int], wait_s: float, rows_max: int) -> Page[Any]:
        """See `libs.common.feeds.follower.History`."""
        request = self._request(
            cursors=[HistoryCursor(partition=p, after_position=at) for p, at in cursors.items()],
            wait=duration(timedelta(seconds=wait_s)),
        )

        async def read(rows: int) -> Any:
            request.page_size = rows
            return await self._call(request, timeout=CALL_DEADLINE_S + wait_s)

        try:
            response = await fitting_page(read, rows_max)
        except grpc.aio.AioRpcError as error:
            raise Unavailable(
                "DEPENDENCY_UNAVAILABLE",
                f"{self.name} does not answer: {error.code().name} {error.details()}",
                metadata={"dependency": self.name},
            ) from error
        following = {cursor.partition: cursor.after_position for cursor in response.next_cursors}
        return Page(getattr(response, self._rows), {**cursors, **following})


_segment_request = partial(
    history_service_pb2.ListHistoryRequest,
    kinds=(
        segment_facts.FACT_KIND_CHECKOUT_COMPLETED,
        segment_facts.FACT_KIND_ORDER_STORED,
        segment_facts.FACT_KIND_ORDER_REFUNDED,
        segment_facts.FACT_KIND_REFUND_STORED,
    ),
)
"""Only what is counted."""


def histories(peers: Peers) -> list[GrpcHistory]:
    """All four."""
    asked = history_service_pb2.ListHistoryRequest
    return [
        GrpcHistory(Source.JOURNEY, "journey", peers.journey, asked, "journey_facts"),
        GrpcHistory(Source.GATEWAY, "channel_gateway", peers.channel_gateway, asked, "gateway_facts"),
        GrpcHistory(Source.POINTS, "points", peers.points, asked, "entries"),
        GrpcHistory(Source.SEGMENT, "segment", peers.segment, _segment_request, "customer_facts"),
    ]
