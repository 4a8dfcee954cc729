"""Imports as operations: what every service shows of its long work."""

from __future__ import annotations

from uuid import UUID

from libs.common.errors import FailedPrecondition, NotFound
from libs.common.rpc.long_work import OperationPage, PageKey
from omnijourney.common.v1 import operation_pb2
from services.points.convert.imports import operation
from services.points.domain.imports import ImportState
from services.points.servicer.base import Dependencies


class ImportOperations:
    """An import that was executed is an operation under its own id; one that is undone begins again as an undo."""

    def __init__(self, deps: Dependencies) -> None:
        """`deps` of the servicer."""
        self._deps = deps

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        shown = operation(*await self._deps.imports.read((team_id, operation_id)))
        if shown is None:
            raise NotFound.of("operation", operation_id)
        return shown

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._deps.import_store.list_imports(team_id, after, limit + 1)
        page = found[:limit]
        counts = await self._deps.import_store.counts(team_id, [each.import_id for each in page])
        shown = [operation(each, counts[each.import_id]) for each in page]
        last = page[-1] if len(found) > limit else None
        following = (last.created_at, last.import_id) if last else None
        return OperationPage([each for each in shown if each is not None], following)

    async def cancel(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`: rows are posted in chunks that nothing holds back."""
        shown = await self.read(team_id, operation_id)
        if shown.state == operation_pb2.OPERATION_STATE_RUNNING:
            raise FailedPrecondition(
                "OPERATION_NOT_CANCELLABLE",
                "an import that posts its rows cannot be ended; undo it when it is done",
                metadata={"state": ImportState.RUNNING.name},
            )
        return shown
