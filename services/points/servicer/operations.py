"""Imports as operations: what every service shows of its long work."""

from __future__ import annotations

from uuid import UUID

from libs.common.errors import FailedPrecondition, NotFound
from libs.common.rpc.long_work import OperationPage, PageKey, Unpausable
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as pb
from services.points.convert.imports import operation
from services.points.domain.imports import ImportState
from services.points.domain.views import Import, ImportCounts
from services.points.servicer.base import Dependencies


class ImportOperations(Unpausable):
    """An import that was executed is an operation under its own id; one that is undone begins again as an undo."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` of the servicer."""
        self._deps = deps

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return _shown(*await self._deps.imports.read((team_id, operation_id)))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._deps.import_store.list_imports(team_id, after, limit + 1)
        page = found[:limit]
        counts = await self._deps.import_store.counts(team_id, [each.import_id for each in page])
        shown = [operation(each, counts[each.import_id]) for each in page]
        last = page[-1] if len(found) > limit else None
        following = (last.created_at, last.import_id) if last else None
        return OperationPage([each for each in shown if each is not None], following)

    async def cancel(
        self, request: pb.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> pb.CancelOperationResponse:
        """See `Operations`: rows are posted in chunks that nothing holds back."""

        def answer(found: Import, counts: ImportCounts) -> pb.CancelOperationResponse:
            shown = _shown(found, counts)
            if shown.state == operation_pb2.OPERATION_STATE_RUNNING:
                raise FailedPrecondition(
                    "OPERATION_NOT_CANCELLABLE",
                    "an import that posts its rows cannot be ended; undo it when it is done",
                    metadata={"state": ImportState.RUNNING.name},
                )
            return pb.CancelOperationResponse(operation=shown)

        key = (team_id, operation_id)
        return await self._deps.imports.leave(request, key, pb.CancelOperationResponse, answer)


def _shown(found: Import, counts: ImportCounts) -> operation_pb2.Operation:
    shown = operation(found, counts)
    if shown is None:
        raise NotFound.of("operation", found.import_id)
    return shown
