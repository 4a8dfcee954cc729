"""What our own services ask: the history of journeys, and the mail of system triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.feeds.serving import Reading, serve_history, serve_mail
from libs.common.rpc.server import GrpcServer
from omnijourney.internal.v1 import history_service_pb2
from services.journey.convert.history import fact_message
from services.journey.servicer.base import Dependencies


class JourneyHistory:
    """The rows in order of commit, for `HistoryServicer`."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` of the servicer."""
        self._deps = deps

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Any]:
        """See `History`."""
        return Reading(lambda: self._deps.history.page(cursors, size), self._deps.notifier)

    def answer(self, rows: Sequence[Any]) -> history_service_pb2.ListHistoryResponse:
        """See `History`."""
        return history_service_pb2.ListHistoryResponse(journey_facts=map(fact_message, rows))

    def place(self, row: Any) -> tuple[int, int]:
        """See `History`."""
        return row["partition"], row["position"]

    def unreadable(self, row: Any) -> history_service_pb2.ListHistoryResponse:
        """See `History`."""
        answer = history_service_pb2.ListHistoryResponse()
        partition, position = self.place(row)
        answer.journey_facts.add(partition=partition, position=position)
        return answer


def serve(server: GrpcServer, deps: Dependencies) -> None:
    """Adds all of it to the server."""
    serve_history(server, JourneyHistory(deps), deps.draining)
    serve_mail(server, deps.mail)
