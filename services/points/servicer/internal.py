# ruff: noqa: N802 - the generated base names the methods
"""What our own services ask: postings, and the history of entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.errors import FieldViolation, InvalidArgument
from libs.common.feeds.serving import Reading, SelectedRows, serve_history
from libs.common.rpc.followers import serve_followers
from libs.common.rpc.persons import serve_persons
from libs.common.rpc.server import GrpcServer
from libs.common.rpc.servicing import Edge
from omnijourney.internal.v1 import (
    ledger_service_pb2,
    ledger_service_pb2_grpc,
    merges_service_pb2,
    merges_service_pb2_grpc,
)
from services.points.convert import ledger as convert
from services.points.convert import requests
from services.points.domain.model import Posting
from services.points.servicer.base import Dependencies
from services.points.servicer.merges import MergesServicer


class LedgerServicer(Edge[Dependencies], ledger_service_pb2_grpc.LedgerServiceServicer):
    """See `protos/omnijourney/internal/v1/ledger_service.proto`."""

    async def PostEntries(
        self, request: ledger_service_pb2.PostEntriesRequest, context: Any
    ) -> ledger_service_pb2.PostEntriesResponse:
        """Posts a batch."""
        count = len(request.postings)
        if not 1 <= count <= requests.BATCH_MAX:
            violation = FieldViolation("postings", f"must have 1 to {requests.BATCH_MAX} items, has {count}")
            raise InvalidArgument.of(violation)
        read = convert.postings(request.postings)
        sound = [each for each in read if isinstance(each, Posting)]
        answers = iter(await self._deps.writer.post(sound) if sound else ())
        return ledger_service_pb2.PostEntriesResponse(
            results=[convert.result(next(answers)) if isinstance(each, Posting) else each for each in read]
        )

    async def BatchListPointChanges(
        self, request: ledger_service_pb2.BatchListPointChangesRequest, context: Any
    ) -> ledger_service_pb2.BatchListPointChangesResponse:
        """What has changed customers' points."""
        found = await self._deps.reports.changes(*requests.point_changes(request))
        return ledger_service_pb2.BatchListPointChangesResponse(customers=map(convert.point_changes, found))


class EntryHistory(SelectedRows):
    """The entries in order of posting, for `HistoryServicer`."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` of the servicer."""
        self._deps = deps

    def reading(self, cursors: Mapping[int, int], size: int, kinds: Sequence[int]) -> Reading[Any]:
        """See `History`."""

        async def rows() -> tuple[Sequence[Any], dict[int, int]]:
            return await self._deps.reports.history(dict(cursors), size)

        return Reading(rows, self._deps.notifier)


def serve(server: GrpcServer, deps: Dependencies) -> None:
    """Adds all of it to the server."""
    server.add(
        ledger_service_pb2_grpc.add_LedgerServiceServicer_to_server,
        LedgerServicer(deps),
        ledger_service_pb2.DESCRIPTOR.services_by_name["LedgerService"],
    )
    server.add(
        merges_service_pb2_grpc.add_MergesServiceServicer_to_server,
        MergesServicer(deps),
        merges_service_pb2.DESCRIPTOR.services_by_name["MergesService"],
    )
    serve_history(server, EntryHistory(deps), deps.draining)
    serve_persons(server, deps.persons)
    serve_followers(server, deps.customers.taken)
