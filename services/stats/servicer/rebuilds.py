# ruff: noqa: N802 - the generated base names the methods
"""Figures counted anew, and the operations that do it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.common.ids import ALL_TEAMS
from libs.common.rpc.fields import FieldCheck
from libs.common.rpc.long_work import OperationPage, PageKey, Unpausable
from libs.common.rpc.servicing import Edge
from omnijourney.common.v1 import operation_pb2
from omnijourney.common.v1 import operations_service_pb2 as operations
from omnijourney.stats.v1 import stats_service_pb2 as pb
from services.stats.convert.rebuilds import operation_message
from services.stats.domain.rebuild import Rebuild, RebuildKey
from services.stats.servicer.base import Dependencies
from services.stats.usecases.rebuilds import Rebuilds


class RebuildRpcs(Edge[Dependencies]):
    """The RPC that starts one."""

    async def StartRebuild(self, request: pb.StartRebuildRequest, context: Any) -> pb.StartRebuildResponse:
        """Starts to count a team, or all, anew."""
        check = FieldCheck()
        team_id = check.uuid("team_id", request.team_id) if request.team_id else ALL_TEAMS
        check.done()

        def answer(found: Rebuild) -> pb.StartRebuildResponse:
            return pb.StartRebuildResponse(operation=operation_message(found))

        return await self._deps.rebuilds.start(request, team_id, pb.StartRebuildResponse, answer)


class RebuildOperations(Unpausable):
    """Rebuilds are the long work of this service."""

    def __init__(self, rebuilds: Rebuilds) -> None:
        """Of the servicer."""
        self._rebuilds = rebuilds

    async def read(self, team_id: UUID, operation_id: UUID) -> operation_pb2.Operation:
        """See `Operations`."""
        return operation_message(await self._rebuilds.read(RebuildKey(team_id, operation_id)))

    async def page(self, team_id: UUID, after: PageKey | None, limit: int) -> OperationPage:
        """See `Operations`."""
        found = await self._rebuilds.page(team_id, after, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        following = (last.created_at, last.key.rebuild_id) if last else None
        return OperationPage([operation_message(each) for each in found[:limit]], following)

    async def cancel(
        self, request: operations.CancelOperationRequest, team_id: UUID, operation_id: UUID
    ) -> operations.CancelOperationResponse:
        """See `Operations`."""
        form = operations.CancelOperationResponse

        def answer(found: Rebuild) -> operations.CancelOperationResponse:
            return form(operation=operation_message(found))

        return await self._rebuilds.cancel(request, RebuildKey(team_id, operation_id), form, answer)
