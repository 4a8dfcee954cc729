"""What our own services ask: the history of journeys, the mail of system triggers, and steps of merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.feeds.journey_records import FEED_START
from libs.common.feeds.notifier import CommitNotifier
from libs.common.feeds.records import SHARDS
from libs.common.feeds.serving import Reading, serve_history, serve_mail
from libs.common.rpc.followers import serve_followers
from libs.common.rpc.persons import serve_persons
from libs.common.rpc.server import GrpcServer
from omnijourney.internal.v1 import merges_service_pb2, merges_service_pb2_grpc
from services.journey.convert.history import row_values
from services.journey.servicer.base import Dependencies
from services.journey.servicer.merges import MergesServicer


class JourneyHistory:
    """The rows in order of commit, for `HistoryServicer`: records, and what was written before there were any."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` of the servicer."""
        self._deps = deps
        self._has_records = False
        self._never = CommitNotifier()
        """For what is written no more: who waits for it is not to look again at each commit of records."""

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Any]:
        """See `History`. Raises InvalidArgument for a page of records and of what was written before."""
        if all(partition >= FEED_START for partition in cursors):
            return Reading(lambda: self._deps.history.records(cursors, size), self._deps.notifier)
        if any(partition >= FEED_START for partition in cursors):
            raise InvalidArgument.of(
                FieldViolation("cursors", f"must all be below {FEED_START}, or none: two histories")
            )
        notifier = self._never if self._has_records else self._deps.notifier
        return Reading(lambda: self._before_records(cursors, size), notifier)

    async def _before_records(
        self, cursors: Mapping[int, int], size: int
    ) -> tuple[Sequence[Any], dict[int, int]]:
        if not self._has_records:
            self._has_records = await self._deps.history.has_records()
        return await self._deps.history.page(cursors, size)

    @property
    def partitions(self) -> int:
        """See `History`."""
        return FEED_START + SHARDS

    def values(self, rows: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """See `History`."""
        return [tuple(row) if row["partition"] >= FEED_START else row_values(row) for row in rows]

    def place(self, row: Any) -> tuple[int, int]:
        """See `History`."""
        return row["partition"], row["position"]


def serve(server: GrpcServer, deps: Dependencies) -> None:
    """Adds all of it to the server."""
    server.add(
        merges_service_pb2_grpc.add_MergesServiceServicer_to_server,
        MergesServicer(deps),
        merges_service_pb2.DESCRIPTOR.services_by_name["MergesService"],
    )
    serve_history(server, JourneyHistory(deps), deps.draining)
    serve_mail(server, deps.mail)
    serve_persons(server, deps.persons)
    serve_followers(server, deps.following.taken)
