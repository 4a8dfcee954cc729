"""What our own services ask: the history of journeys, and the mail of system triggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.feeds.serving import Reading, serve_history, serve_mail
from libs.common.ids import PARTITIONS
from libs.common.rpc.server import GrpcServer
from services.journey.convert.history import row_values
from services.journey.servicer.base import Dependencies


class JourneyHistory:
    """The rows in order of commit, for `HistoryServicer`."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` of the servicer."""
        self._deps = deps

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Any]:
        """See `History`."""
        return Reading(lambda: self._deps.history.page(cursors, size), self._deps.notifier)

    @property
    def partitions(self) -> int:
        """See `History`."""
        return PARTITIONS

    def values(self, rows: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """See `History`."""
        return list(map(row_values, rows))

    def place(self, row: Any) -> tuple[int, int]:
        """See `History`."""
        return row["partition"], row["position"]


def serve(server: GrpcServer, deps: Dependencies) -> None:
    """Adds all of it to the server."""
    serve_history(server, JourneyHistory(deps), deps.draining)
    serve_mail(server, deps.mail)
