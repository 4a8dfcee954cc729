"""Small servers that speak the real history contracts, for tests of who reads them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import grpc

from libs.common.feeds.rows import HistoryRow, pack_rows
from omnijourney.channel_gateway.v1 import channel_gateway_service_pb2_grpc as gateway_grpc
from omnijourney.common.v1.history_pb2 import HistoryCursor
from omnijourney.internal.v1 import (
    customers_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
    opens_service_pb2_grpc,
)
from omnijourney.journey.v1 import journey_service_pb2_grpc as journey_grpc
from omnijourney.points.v1 import points_service_pb2_grpc as points_grpc

Register = Callable[[Any, grpc.aio.Server], None]
Feed = tuple[Register, type[Any]]
"""What else the service answers."""

FEEDS: Final[Mapping[str, Feed]] = {
    "journey": (journey_grpc.add_JourneyServiceServicer_to_server, journey_grpc.JourneyServiceServicer),
    "channel_gateway": (
        gateway_grpc.add_ChannelGatewayServiceServicer_to_server,
        gateway_grpc.ChannelGatewayServiceServicer,
    ),
    "points": (points_grpc.add_PointsServiceServicer_to_server, points_grpc.PointsServiceServicer),
    "segment": (
        customers_service_pb2_grpc.add_CustomersServiceServicer_to_server,
        customers_service_pb2_grpc.CustomersServiceServicer,
    ),
}


class FeedServer:
    """One service as its readers see it: `record` adds rows of `libs.common.feeds.rows`, `answers` gives replies to
    other calls.
    """

    def __init__(self, service: str) -> None:
        """`service` is one of FEEDS."""
        self.service = service
        self.port = 0
        self.rows: defaultdict[int, list[HistoryRow]] = defaultdict(list)
        self.answers: dict[str, Any] = {}
        self.rows_max = 5_000
        """Most rows that one answer holds, whatever is asked."""
        self.reads = 0
        self._news = asyncio.Event()

    def record(self, *rows: HistoryRow) -> None:
        """Gives rows their positions, by their partition, and tells who waits."""
        for row in rows:
            row.position = len(self.rows[row.partition]) + 1
            self.rows[row.partition].append(row)
        self._news.set()
        self._news = asyncio.Event()

    async def list_history(self, request: Any, context: Any) -> Any:
        """A page, as the contracts say."""
        self.reads += 1
        news = self._news
        page = self._page(request)
        if not page and request.wait.ToTimedelta():
            try:
                async with asyncio.timeout(request.wait.ToTimedelta().total_seconds()):
                    await news.wait()
            except TimeoutError:
                pass
            page = self._page(request)
        after = {cursor.partition: cursor.after_position for cursor in request.cursors}
        after.update((row.partition, row.position) for row in page)
        return history_service_pb2.ListHistoryResponse(
            next_cursors=[HistoryCursor(partition=p, after_position=at) for p, at in after.items()],
            form=history_service_pb2.HISTORY_FORM_PACKED,
            rows=pack_rows(page) if page else b"",
        )

    def _page(self, request: Any) -> list[HistoryRow]:
        found = [
            row for cursor in request.cursors for row in self.rows[cursor.partition][cursor.after_position :]
        ]
        return found[: min(request.page_size or 1_000, self.rows_max)]

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator["FeedServer"]:
        """Serves on loopback while the context lasts."""
        add, base = FEEDS[self.service]
        server = grpc.aio.server()
        add(_answering(self, base), server)
        opens_service_pb2_grpc.add_OpensServiceServicer_to_server(
            _answering(self, opens_service_pb2_grpc.OpensServiceServicer), server
        )
        history_service_pb2_grpc.add_HistoryServiceServicer_to_server(_Histories(self), server)
        self.port = server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        try:
            yield self
        finally:
            await server.stop(None)


class _Histories(history_service_pb2_grpc.HistoryServiceServicer):
    def __init__(self, feed: FeedServer) -> None:
        self._feed = feed

    async def ListHistory(self, request: Any, context: Any) -> Any:  # noqa: N802 - the generated base names it
        return await self._feed.list_history(request, context)


def _answering(feed: FeedServer, base: type[Any]) -> Any:
    def answering(name: str) -> Callable[[Any, Any, Any], Any]:
        async def answer(_: Any, request: Any, context: Any) -> Any:
            if name not in feed.answers:
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, name)
            found = feed.answers[name]
            return found(request) if callable(found) else found

        return answer

    methods = {name: answering(name) for name in dir(base) if name[0].isupper()}
    return type("Fake", (base,), methods)()
